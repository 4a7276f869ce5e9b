//! `thrall init`: makes a home with the shipped recipes, prompts and grants.
//! Files that are there already are left as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::Outcome;
use super::args::InitArgs;
use super::printer::Printer;
use crate::app::prompt_shelf::Shelf;
use crate::app::{self, grant_files};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::grants::{Grant, binding};
use crate::home::{FOLDERS, Home};
use crate::ids::Digest;
use crate::model::{Prompt, PromptLibrary};
use crate::recipes::registry::Revision;
use crate::recipes::{ComponentSource, Known, Mode, manifest};
use crate::store::{Store, StoreError};
use crate::{shipped, strict_toml};

pub(super) async fn run(
    home: &Path,
    args: &InitArgs,
    lists_files: bool,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::new(args.dir.as_deref().unwrap_or(home));
    create_folder(home.root(), 0o755)?;
    for (name, mode) in FOLDERS {
        create_folder(&home.root().join(name), mode)?;
    }
    let mut written: Vec<&str> = Vec::new();
    let mut fresh: Vec<&str> = Vec::new();
    for file in shipped::FILES {
        let path = home.root().join(file.path);
        if write_new(&path, file.content)? {
            written.push(file.path);
            fresh.extend(
                file.path.strip_prefix("grants/").and_then(|name| name.strip_suffix(".toml")),
            );
            if lists_files {
                printer.talk(&format!("wrote {}", path.display()));
            }
        }
    }
    let unbound: Vec<&str> = shipped::FILES
        .iter()
        .filter_map(|file| file.path.strip_prefix("grants/")?.strip_suffix(".toml"))
        .filter(|name| fresh.contains(name))
        .collect();
    let unbound = only_shipped(&home, unbound, printer)?;
    bind_shipped(&home, &unbound)?;
    use_shipped_prompts(&home, printer).await?;
    if printer.is_json() {
        printer.json(&json!({"home": home.root(), "written": written}))?;
    }
    let root = home.root().display();
    printer.talk(&format!("{root} is a thrall home: {}.", summary(&written)));
    printer.talk(&format!("Next, each with `thrall --home {root}`:"));
    for step in NEXT {
        printer.talk(&format!("  {step}"));
    }
    Ok(Outcome::Done)
}

/// What is left for a person to do.
const NEXT: [&str; 5] = [
    "thrall.toml               your node id and your team's ids",
    "log-watch, oom-recovery   the path of your node's log, in recipes/ and in grants/, then `grant allow` for both",
    "model pull gemma3-270m    253 MB; without it mail is sorted by rules and fallbacks alone",
    "doctor, then serve        what is missing; the doorkeeper itself",
    "outbox list               where wakes are found while no node is connected",
];

/// How many files of which kind.
fn summary(written: &[&str]) -> String {
    if written.is_empty() {
        return "every file was there already and stays as it is".to_owned();
    }
    let count = |is_one: &dyn Fn(&str) -> bool| written.iter().filter(|path| is_one(path)).count();
    let in_folder = |folder: &'static str, ending: &'static str| {
        count(&|path: &str| path.starts_with(folder) && path.ends_with(ending))
    };
    let recipes = in_folder("recipes/", ".toml");
    let (grants, components) = (in_folder("grants/", ""), in_folder("recipes/", ".wasm"));
    format!(
        "{} files written, {recipes} recipes with {grants} grants and {components} components among them (--verbose names them)",
        written.len()
    )
}

/// Prompts are in use only when somebody said so; for those that are shipped,
/// making the home says it. A service that runs does it at its next reading.
async fn use_shipped_prompts(home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let store = match Store::open(&home.state(), now) {
        Ok(store) => store,
        Err(StoreError::InUse { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut shelf = Shelf::read(home, Some(store.reader()))?;
    for (name, hash) in shelf.settle(&store, now).await? {
        printer.talk(&format!("prompt {name}, version {hash}, is in use"));
    }
    for candidate in &shelf.candidates {
        printer.talk(&candidate.line(home));
    }
    Ok(())
}

/// A grant that was just written is for the recipe that is shipped with it.
/// Where another lies there, or another component, nobody has looked at it: the
/// grant is taken back.
fn only_shipped<'n>(
    home: &Home,
    names: Vec<&'n str>,
    printer: &Printer,
) -> anyhow::Result<Vec<&'n str>> {
    let is_shipped = |file: &shipped::ShippedFile| {
        fs::read(home.root().join(file.path)).is_ok_and(|bytes| bytes == file.content)
    };
    let components_are =
        shipped::FILES.iter().filter(|file| file.path.ends_with(".wasm")).all(is_shipped);
    let mut kept = Vec::new();
    for name in names {
        let path = format!("recipes/{name}.toml");
        let recipe_is = shipped::FILES.iter().any(|file| file.path == path && is_shipped(file));
        if recipe_is && components_are {
            kept.push(name);
        } else {
            grant_files::remove(home, name)?;
            printer.talk(&format!(
                "{path} is not the one that is shipped, so it gets no grant: thrall grant allow {name}"
            ));
        }
    }
    Ok(kept)
}

/// Binds grants to the recipes that they are shipped with. Their files were
/// compared, so what they are made of is known without compiling anything: the
/// first start does that.
fn bind_shipped(home: &Home, names: &[&str]) -> anyhow::Result<()> {
    let content = |path: &str| {
        let file = shipped::FILES.iter().find(|file| file.path == path);
        file.map(|file| file.content).with_context(|| format!("{path} is not shipped"))
    };
    let library = PromptLibrary::shipped()?;
    let kinds = |prompt: &Prompt| {
        prompt.kinds.iter().map(|kind| (kind.name.clone(), kind.action.clone())).collect()
    };
    let prompts = library.iter().map(|prompt| (prompt.name.clone(), kinds(prompt))).collect();
    let known = Known { prompts, ..Known::default() };
    for name in names {
        let recipe = manifest::parse_bytes(name, content(&format!("recipes/{name}.toml"))?, &known)
            .map_err(|problems| anyhow::anyhow!("{}", strict_toml::lines(&problems)))?;
        let mut components: BTreeMap<String, Digest> = BTreeMap::new();
        for (_, _, stage) in recipe.stages() {
            if let ComponentSource::File(file) = &stage.component {
                let bytes = content(&format!("recipes/{file}"))?;
                components.insert(file.clone(), Digest::of(bytes));
            }
        }
        let components: Vec<(String, Digest)> = components.into_iter().collect();
        grant_files::bind(home, name, binding::digest(&recipe.canonical, &components))?;
    }
    Ok(())
}

/// A grant names the revision that it is for, components included; theirs are
/// known only now that they lie there.
pub(super) async fn bind_grants(home: &Home, names: &[&str]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let config = Config::load(&home.config_file())?;
    let deciders = app::deciders(home, &config)?;
    for name in names {
        let bytes = super::recipe::read_recipe(home, name)?.map_err(anyhow::Error::msg)?;
        // A recipe that the user changed into a broken one has no revision.
        if let Ok(candidate) = deciders.loader.check(name, &bytes).await {
            let nothing = Arc::new(Grant::nothing(name));
            let binding = Revision::new(candidate, nothing, Mode::Automated).binding;
            grant_files::bind(home, name, binding)?;
        }
    }
    Ok(())
}

fn create_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    // Exactly this mode, whatever the umask: recipes/ is for a group to write.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// True if the file was written, false if there was one.
fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<bool> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(content).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
