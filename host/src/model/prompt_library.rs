//! Prompts by name, as they lie in the prompts folder.
//!
//! Reading is whole and strict, file by file: a broken file is reported and
//! leaves the others alone. Which version of a prompt is active is the store's
//! to know (only the operator activates one); this is what there is to activate.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use thiserror::Error;

use super::prompt::{Prompt, PromptError};
use crate::ids::nearest;
use crate::plain_file;

/// Prompts that come with thrall, for `init`: file name and text.
pub const SHIPPED: [(&str, &str); 1] =
    [("triage.toml", include_str!("../../../prompts/triage.toml"))];

/// A prompt is a page; more is a mistake or an attack on the loader's memory.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// Loaded prompts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptLibrary {
    prompts: BTreeMap<String, Arc<Prompt>>,
}

/// A prompt that is not in the library.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no prompt named `{name}`{hint}; prompts are files prompts/NAME.toml")]
pub struct NoPrompt {
    pub name: String,
    hint: String,
}

/// A file in the folder that gave no prompt.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct BadPromptFile {
    pub path: PathBuf,
    pub problem: PromptFileProblem,
}

/// What is wrong with a prompt file.
#[derive(Debug, Error)]
pub enum PromptFileProblem {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error("declares the name `{0}`; file and prompt must have one name")]
    OtherName(String),
}

impl PromptLibrary {
    /// The prompts that come with thrall.
    ///
    /// # Errors
    /// [`PromptError`] if one of them is broken, which a test rules out.
    pub fn shipped() -> Result<Self, PromptError> {
        let mut library = Self::default();
        for (_, text) in SHIPPED {
            library.insert(Prompt::from_toml(text)?);
        }
        Ok(library)
    }

    /// Reads every `*.toml` of a folder, with what could not be read.
    ///
    /// # Errors
    /// [`io::Error`] if the folder itself cannot be listed.
    pub fn read_folder(folder: &Path) -> io::Result<(Self, Vec<BadPromptFile>)> {
        let dir = plain_file::open_folder(folder)?;
        let mut names = Vec::new();
        for entry in dir.entries()? {
            let name = PathBuf::from(entry?.file_name());
            if name.extension().is_some_and(|ending| ending == "toml") {
                names.push(name);
            }
        }
        names.sort();
        let mut library = Self::default();
        let mut bad = Vec::new();
        for name in names {
            match read_file(&dir, &name) {
                Ok(prompt) => library.insert(prompt),
                Err(problem) => bad.push(BadPromptFile { path: folder.join(name), problem }),
            }
        }
        Ok((library, bad))
    }

    /// Adds a prompt, replacing one of the same name.
    pub fn insert(&mut self, prompt: Prompt) {
        self.prompts.insert(prompt.name.clone(), Arc::new(prompt));
    }

    /// # Errors
    /// [`NoPrompt`] with the nearest name.
    pub fn get(&self, name: &str) -> Result<Arc<Prompt>, NoPrompt> {
        self.prompts.get(name).cloned().ok_or_else(|| {
            let near = nearest(name, self.prompts.keys().map(String::as_str));
            let hint = near.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default();
            NoPrompt { name: name.to_owned(), hint }
        })
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Prompt>> {
        self.prompts.values()
    }
}

fn read_file(dir: &Dir, name: &Path) -> Result<Prompt, PromptFileProblem> {
    let plain = name.to_str().ok_or_else(|| io::Error::other("the name is no UTF-8"))?;
    let bytes = plain_file::read(dir, plain, MAX_FILE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is no UTF-8"))?;
    let prompt = Prompt::from_toml(text)?;
    if name.file_stem().is_some_and(|stem| stem == prompt.name.as_str()) {
        Ok(prompt)
    } else {
        Err(PromptFileProblem::OtherName(prompt.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_prompts_are_sound_and_may_be_activated() {
        let library = PromptLibrary::shipped().unwrap();
        let triage = library.get("triage").unwrap();
        triage.check_loadable().unwrap();
        let labels = triage.labels().unwrap();
        let actions = ["drop", "reply", "compile", "wake"];
        for label in labels.iter() {
            let action = triage.action_of(&label.name).unwrap();
            assert!(actions.contains(&action), "{action}");
        }
    }

    #[test]
    fn one_broken_file_does_not_take_the_others_along() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("good.toml", "name = \"good\"\ncontent = \"Tier {{filter.tier}}\"");
        write("broken.toml", "name = \"broken\"\ncontent = \"{{envelope.body\"");
        write("other.toml", "name = \"another\"\ncontent = \"x\"");
        write("notes.txt", "not a prompt");
        let (library, bad) = PromptLibrary::read_folder(folder.path()).unwrap();
        assert_eq!(library.iter().count(), 1);
        let messages: Vec<String> = bad.iter().map(ToString::to_string).collect();
        assert!(messages[0].contains("broken.toml") && messages[0].contains("never closed"));
        assert!(messages[1].contains("`another`"));
        let missing = library.get("goood").unwrap_err().to_string();
        assert!(missing.contains("did you mean `good`?"), "{missing}");
    }
}
