//! `thrall recipe new`: a folder in which a recipe's component is written, built
//! and tested at once. What stands in it is decided in `recipe_new/scaffold.rs`;
//! here the words are checked and the files written.

mod kit;
mod scaffold;
mod template;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::Outcome;
use super::args::RecipeNewArgs;
use super::printer::Printer;
use crate::ids::{is_valid_name, nearest};
use crate::stage::World;
use crate::wasm::offered_interfaces;
pub(super) use kit::{COMPONENTIZE_PY, contract};
use scaffold::{Language, Plan};

/// Makes the folder. Needs no home: an author works anywhere.
pub(super) fn run(args: &RecipeNewArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(problem) => {
            printer.talk(&problem);
            return Ok(Outcome::No);
        }
    };
    let parent = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = parent.join(&plan.name);
    if folder.symlink_metadata().is_ok() {
        printer.talk(&format!(
            "{} exists already: choose another name, or remove it first",
            folder.display()
        ));
        return Ok(Outcome::No);
    }
    write(&folder, &plan.files()).with_context(|| format!("cannot make {}", folder.display()))?;
    if printer.is_json() {
        printer.json(&json!({
            "folder": folder,
            "name": plan.name,
            "world": plan.world,
            "imports": plan.imports,
            "language": plan.language.word(),
            "files": plan.files().iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        }))?;
    } else {
        printer.line(&folder.display().to_string())?;
        printer.talk(&format!("Next: cd {}, then {}", folder.display(), plan.next_step()));
    }
    Ok(Outcome::Done)
}

/// The words as they are meant; the error is a sentence with the way out.
fn plan(args: &RecipeNewArgs) -> Result<Plan, String> {
    if !is_valid_name(&args.name) {
        return Err(format!(
            "{:?} cannot name a recipe: at most 64 of a-z, 0-9, - and _, a letter or digit first",
            args.name
        ));
    }
    let world = one_of(&args.world, "world", &World::ALL, World::as_str)?;
    let language = one_of(&args.lang, "language", &Language::ALL, Language::word)?;
    let offered = offered_interfaces(world);
    let mut imports: Vec<String> = Vec::new();
    for word in args.imports.iter().filter(|word| !word.is_empty()) {
        if !offered.contains(&word.as_str()) {
            return Err(format!(
                "world {} offers no import {word:?}{}; it offers {}",
                world.as_str(),
                did_you_mean(word, offered.iter().copied()),
                offered.join(", ")
            ));
        }
        imports.push(word.clone());
    }
    imports.sort();
    imports.dedup();
    Ok(Plan { name: args.name.clone(), world, imports, language })
}

fn one_of<T: Copy>(
    word: &str,
    what: &str,
    all: &[T],
    word_of: fn(T) -> &'static str,
) -> Result<T, String> {
    let words = || all.iter().map(|one| word_of(*one));
    all.iter().copied().find(|one| word_of(*one) == word).ok_or_else(|| {
        format!(
            "there is no {what} {word:?}{}; there is {}",
            did_you_mean(word, words()),
            words().collect::<Vec<_>>().join(", ")
        )
    })
}

fn did_you_mean<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, valid).map_or_else(String::new, |near| format!(", did you mean {near:?}?"))
}

/// Writes all files or none that was there before: the folder is made here, and
/// one that exists is left alone.
fn write(folder: &Path, files: &[scaffold::File]) -> anyhow::Result<()> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::create_dir(folder)?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::File::create_new(&path)
            .and_then(|mut open| open.write_all(file.content.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str, world: &str, imports: &[&str], lang: &str) -> Result<Plan, String> {
        plan(&RecipeNewArgs {
            name: name.to_owned(),
            world: world.to_owned(),
            imports: imports.iter().map(ToString::to_string).collect(),
            lang: lang.to_owned(),
            dir: None,
        })
    }

    #[test]
    fn imports_are_sorted_and_named_once() {
        let plan = planned("x", "hotwire", &["model", "log", "model", ""], "rust").unwrap();
        assert_eq!(plan.imports, ["log", "model"]);
    }

    #[test]
    fn wrong_words_are_refused_with_the_right_one() {
        for lang in ["rust", "python"] {
            let refused = |name, world, imports: &[&str]| {
                planned(name, world, imports, lang).err().unwrap_or_default()
            };
            assert!(refused("../x", "filter", &[]).contains("cannot name a recipe"));
            assert!(refused("x", "filtre", &[]).contains("did you mean \"filter\"?"));
            let import = refused("x", "hotwire", &["journal"]);
            assert!(import.contains("did you mean \"journal-read\"?"), "{import}");
            let not_here = refused("x", "filter", &["model"]);
            assert!(not_here.contains("world filter offers no import \"model\""), "{not_here}");
            assert!(not_here.contains("it offers log, context-read, journal-read, breaker-read"));
        }
        let lang = planned("x", "filter", &[], "pyton").unwrap_err();
        assert!(lang.contains("did you mean \"python\"?"), "{lang}");
    }

    #[test]
    fn a_folder_that_exists_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("x");
        std::fs::create_dir(&folder).unwrap();
        let files = planned("x", "filter", &[], "rust").unwrap().files();
        assert!(write(&folder, &files).is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
