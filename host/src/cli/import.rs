//! `thrall import`: carries a plugin folder of the earlier thrall over into a
//! home. First everything is looked at and said (`import/`), then it is written,
//! file by file, each whole. The old folder is only read.

mod old_folder;
mod old_forms;
mod places;
mod present;
mod prompts;
mod recipes;
mod report;
mod settings;
mod thrall_toml;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::Outcome;
use super::args::ImportArgs;
use super::printer::Printer;
use super::socket_client::SocketClient;
use crate::app::prompt_desk::{self, NewPrompt};
use crate::app::{self, Deciders, grant_files};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::home::Home;
use crate::model::{PromptForm, PromptLibrary};
use crate::model_files::ModelFiles;
use crate::plain_file;
use crate::recipes::Mode;
use crate::roles::Separation;
use crate::roles::accounts::Accounts;
use crate::store::Store;
use crate::store::earlier_database::{self, EarlierDatabase};
use crate::strict_toml::{MAX_FILE_BYTES, Problem};
use old_folder::{Found, OldFolder};
use places::Places;
use present::Present;
use recipes::NewRecipe;
use report::{Item, Report, Word};

const CONFIG: &str = "thrall.toml";

pub(super) async fn run(
    home: &Path,
    args: &ImportArgs,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let old = OldFolder::open(&args.dir)
        .with_context(|| format!("cannot open the folder {}", args.dir.display()))?;
    refuse_wrong_folder(&home, &old)?;
    let config = Config::load(&home.config_file())?;
    let deciders = app::deciders(&home, &config)?;
    let mut import = look(&home, &old, args, &deciders).await?;
    import.items.sort_by_key(|item| item.result);
    let report = Report {
        from: old.path().display().to_string(),
        home: home.root().display().to_string(),
        dry_run: args.dry_run,
        items: import.items,
        paste: import.paste,
    };
    if !args.dry_run {
        import.writes.apply(&home).await?;
    }
    report.print(printer)?;
    if !args.dry_run && import.writes.config.is_some() {
        printer.talk("thrall.toml is read at the start: restart a service that runs");
    }
    if let Separation::Advisory(reason) = config.roles.separation()
        && import.has_automated
        && !config.roles.accept_advisory
    {
        printer.talk(&format!(
            "automated recipes are supervised at most while separation is advisory ({reason}): see [roles] in {}",
            home.config_file().display()
        ));
    }
    Ok(if report.needs_somebody() { Outcome::No } else { Outcome::Done })
}

fn refuse_wrong_folder(home: &Home, old: &OldFolder) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if real(home.root()) == real(old.path()) || old.path().join(CONFIG).exists() {
        bail!(
            "{} is a home of this thrall: import takes a plugin folder of the earlier one",
            old.path().display()
        );
    }
    if !old.is_plugin() {
        bail!(
            "{} is no plugin folder of the earlier thrall: it has no plugin.toml, recipes/ or thrall.db (the folder is called 06-thrall or 06-responder)",
            old.path().display()
        );
    }
    Ok(())
}

/// What was found, and what follows.
struct Import {
    items: Vec<Item>,
    paste: Vec<String>,
    writes: Writes,
    has_automated: bool,
}

/// A prompt to write, and to put in use if that can be.
struct NewFile {
    name: String,
    text: String,
    is_loadable: bool,
}

/// What is to be written.
struct Writes {
    places: Places,
    config: Option<String>,
    prompts: Vec<NewFile>,
    recipes: Vec<NewRecipe>,
}

async fn look(
    home: &Home,
    old: &OldFolder,
    args: &ImportArgs,
    deciders: &Deciders,
) -> anyhow::Result<Import> {
    let places = Places::open(home, args.force)?;
    let (mut items, secrets, config, paste) = look_at_settings(home, old, args.force)?;
    let (prompt_items, new_prompts) = look_at_prompts(old, &secrets, &places, deciders);
    items.extend(prompt_items);
    let mut writes = Writes { places, config, prompts: new_prompts, recipes: Vec::new() };
    match old.recipes() {
        Ok(Some(found)) => {
            for file in &found.files {
                let (item, new) =
                    recipes::look(file, &secrets, &deciders.loader, &writes.places).await;
                items.push(item);
                writes.recipes.extend(new);
            }
            items.extend(others("recipes", &found));
        }
        Ok(None) => items.push(Item::left_out(
            "recipes/",
            "there are none: v2 had its one pipeline built in, the mail-triage that thrall ships does its work",
        )),
        Err(problem) => items.push(Item::broken("recipes/", vec![problem])),
    }
    items.extend(the_rest(old));
    let has_automated = writes.recipes.iter().any(|recipe| recipe.grant.mode == Mode::Automated);
    Ok(Import { items, paste, writes, has_automated })
}

type Settings = (Vec<Item>, Vec<String>, Option<String>, Vec<String>);

/// Rows, secrets, the new thrall.toml, lines to paste.
fn look_at_settings(home: &Home, old: &OldFolder, force: bool) -> anyhow::Result<Settings> {
    let mut items = Vec::new();
    let Some((file, content)) = old.configuration() else {
        items.push(Item::left_out("plugin.toml", "there is none"));
        return Ok((items, Vec::new(), None, Vec::new()));
    };
    let text = match content {
        Ok(text) => text,
        Err(problem) => {
            items.push(Item::broken(file, vec![problem]));
            return Ok((items, Vec::new(), None, Vec::new()));
        }
    };
    let own = plain_file::read(&root_of(home)?, CONFIG, MAX_FILE_BYTES)
        .with_context(|| format!("cannot read {}", home.config_file().display()))?;
    let present = Present::new(String::from_utf8_lossy(&own).into_owned());
    let found = settings::read(file, &text, &present, &ModelFiles::of_home(home)?);
    let merged = thrall_toml::merge(&present, &found.wanted, force, &Accounts::of_machine());
    items.extend(merged.items);
    items.extend(found.items);
    Ok((items, found.secrets, merged.text, merged.paste))
}

/// Rows, and prompts to write. From here on the loader knows the new ones.
fn look_at_prompts(
    old: &OldFolder,
    secrets: &[String],
    places: &Places,
    deciders: &Deciders,
) -> (Vec<Item>, Vec<NewFile>) {
    let mut items = Vec::new();
    let mut read = Vec::new();
    match old.prompts() {
        Ok(Some(found)) => {
            read.extend(found.files.iter().map(|file| prompts::file(file, secrets, places)));
            items.extend(others("prompts", &found));
        }
        Ok(None) => {}
        Err(problem) => items.push(Item::broken("prompts/", vec![problem])),
    }
    let names: Vec<String> = read.iter().flatten().map(|good| good.prompt.name.clone()).collect();
    look_at_database(old, &names, secrets, places, &mut items, &mut read);
    let mut library = PromptLibrary::clone(&deciders.questions.prompts.load());
    let mut new = Vec::new();
    for one in read {
        match one {
            Ok(good) => {
                if good.is_new {
                    let is_loadable = good.prompt.check_loadable().is_ok();
                    let name = good.prompt.name.clone();
                    new.push(NewFile { name, text: good.text, is_loadable });
                    if is_loadable {
                        library.insert(good.prompt);
                    }
                }
                items.push(good.item);
            }
            Err(item) => items.push(item),
        }
    }
    deciders.questions.prompts.store(library.into());
    (items, new)
}

fn look_at_database(
    old: &OldFolder,
    in_files: &[String],
    secrets: &[String],
    places: &Places,
    items: &mut Vec<Item>,
    read: &mut Vec<prompts::Read>,
) {
    const JOURNAL: &str =
        "the old journal, context and buffers stay where they are, the new journal begins empty";
    match earlier_database::read(old.path()) {
        Ok(EarlierDatabase::Absent) => return,
        Ok(EarlierDatabase::Prompts(rows)) => {
            for row in rows {
                let shown = format!("thrall.db: prompt {}", row.name.escape_debug());
                if in_files.contains(&row.name) {
                    let why = format!("prompts/{}.toml is the one that was in use", row.name);
                    items.push(Item::left_out(shown, why));
                    continue;
                }
                read.push(match &row.content {
                    Some(content) => prompts::row(&row.name, content, secrets, places),
                    None => Err(Item::needs_you(shown, "it is no text, or longer than 256 KiB")),
                });
            }
        }
        // With prompts in files there is nothing that is needed from it.
        Ok(EarlierDatabase::BeingWritten) if !in_files.is_empty() => {}
        Ok(EarlierDatabase::BeingWritten) => {
            let why = "it is being written, so its prompts were not read: stop the node (or run `sqlite3 thrall.db 'PRAGMA wal_checkpoint(TRUNCATE)'`) and import again";
            items.push(Item::needs_you("thrall.db: prompts", why));
        }
        Err(error) => {
            let what = format!("{:#}", anyhow::Error::from(error));
            items.push(Item::broken(
                "thrall.db: prompts",
                vec![Problem::in_file("thrall.db", what)],
            ));
        }
    }
    items.push(Item::left_out("thrall.db", JOURNAL));
}

/// What lies in a sub-folder and is no TOML file.
fn others(folder: &str, found: &Found) -> Vec<Item> {
    let mut items = Vec::new();
    if !found.other.is_empty() {
        let why = format!("the earlier thrall did not read them either: {}", some(&found.other));
        items.push(Item::left_out(format!("{folder}/: other files"), why));
    }
    items.extend(odd(&format!("{folder}/"), &found.odd));
    items
}

fn odd(place: &str, names: &[String]) -> Option<Item> {
    let why = || format!("names that are no UTF-8, rename them: {}", some(names));
    (!names.is_empty()).then(|| Item::needs_you(format!("{place}: odd names"), why()))
}

/// What the folder holds besides.
fn the_rest(old: &OldFolder) -> Vec<Item> {
    const LOOKED_AT: [&str; 7] = [
        "plugin.toml",
        "plugin.toml.disabled",
        "recipes",
        "prompts",
        "thrall.db",
        "thrall.db-wal",
        "thrall.db-shm",
    ];
    const KNOWN: [(&str, &str); 3] = [
        ("artifacts", "old briefings stay where they are"),
        ("breakers", "tripped breakers stay where they are; they expire"),
        ("rag", "knowledge packs are not in this version"),
    ];
    let names = match old.names() {
        Ok(names) => names,
        Err(error) => {
            let problem = Problem::in_file("the folder", format!("cannot be listed: {error}"));
            return vec![Item::broken("other files", vec![problem])];
        }
    };
    let mut items = Vec::new();
    let mut rest = Vec::new();
    for name in names.good.iter().filter(|name| !LOOKED_AT.contains(&name.as_str())) {
        match KNOWN.iter().find(|(known, _)| known == name) {
            Some((_, why)) if old.is_folder(name) => {
                items.push(Item::left_out(format!("{name}/"), *why));
            }
            _ => rest.push(name.clone()),
        }
    }
    if names.good.iter().filter(|name| name.starts_with("plugin.toml")).count() > 1 {
        items
            .push(Item::left_out("plugin.toml.disabled", "plugin.toml is the one that was in use"));
    }
    if !rest.is_empty() {
        let why = format!("code, logs and papers of the earlier thrall: {}", some(&rest));
        items.push(Item::left_out("other files", why));
    }
    items.extend(odd("the folder", &names.odd));
    items
}

/// A few names, and how many more.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// Whether a text holds one of the secrets of plugin.toml.
fn holds_secret(text: &str, secrets: &[String]) -> bool {
    secrets.iter().any(|secret| text.contains(secret.as_str()))
}

fn secret_item(what: String) -> Item {
    Item::new(
        what,
        Word::NeedsYou,
        "it holds a secret of plugin.toml, which is copied nowhere: take it out, then import again",
    )
}

fn root_of(home: &Home) -> anyhow::Result<Dir> {
    Dir::open_ambient_dir(home.root(), ambient_authority())
        .with_context(|| format!("cannot open {}", home.root().display()))
}

impl Writes {
    /// Writes everything. What comes after depends on what came before: recipes
    /// name prompts, and run under grants, so a grant lies there first.
    async fn apply(&self, home: &Home) -> anyhow::Result<()> {
        if let Some(text) = &self.config {
            let mode = std::fs::metadata(home.config_file())?.permissions().mode() & 0o777;
            plain_file::replace_as(&root_of(home)?, CONFIG, text.as_bytes(), mode)
                .with_context(|| format!("cannot write {}", home.config_file().display()))?;
        }
        for prompt in &self.prompts {
            self.places.write_prompt(&prompt.name, &prompt.text)?;
        }
        self.use_prompts(home).await?;
        for recipe in &self.recipes {
            grant_files::write(home, &recipe.grant)?;
            self.places.write_recipe(&recipe.grant.recipe, &recipe.text)?;
        }
        Ok(())
    }

    /// Whoever imports is the operator, and what was in use there is in use here.
    async fn use_prompts(&self, home: &Home) -> anyhow::Result<()> {
        let mut loadable = self.prompts.iter().filter(|prompt| prompt.is_loadable).peekable();
        if loadable.peek().is_none() {
            return Ok(());
        }
        let client = SocketClient::of_role(home).await;
        let now = SystemClock.now();
        let store = match client {
            Some(_) => None,
            None => Some(Store::open(&home.state(), now)?),
        };
        for prompt in loadable {
            let content = prompt.text.clone().into_bytes();
            let form = PromptForm::Toml;
            let refused = match (&client, &store) {
                (Some(client), _) => client.load_prompt(None, form, content).await?.err(),
                (None, Some(store)) => {
                    let by = "import".to_owned();
                    let new = NewPrompt { name: None, form, content, by };
                    prompt_desk::load(store, new, now).await.err().map(|error| error.to_string())
                }
                (None, None) => None,
            };
            if let Some(why) = refused {
                bail!("prompt {} is in its place and not in use: {why}", prompt.name);
            }
        }
        Ok(())
    }
}
