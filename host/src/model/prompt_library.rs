//! Prompts by name: those that are in use, and those that lie in the prompts
//! folder. A file there is a candidate and no more; which version is in use is
//! the store's to know, and the operator's to say.
//!
//! Reading is whole and strict, file by file: a broken file is reported and
//! leaves the others alone.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use thiserror::Error;

use super::prompt::{MAX_PROMPT_BYTES, Prompt, PromptError};
use crate::ids::nearest;
use crate::plain_file;

/// Prompts that come with thrall, for `init`: file name and text.
pub const SHIPPED: [(&str, &str); 1] =
    [("triage.toml", include_str!("../../../prompts/triage.toml"))];

/// Prompts in use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptLibrary {
    prompts: BTreeMap<String, Arc<Prompt>>,
}

/// A prompt that is not in the library.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no prompt named `{name}` is in use{hint}; `thrall prompt load` puts one in use")]
pub struct NoPrompt {
    pub name: String,
    hint: String,
}

/// A good file of the folder.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptFile {
    pub prompt: Prompt,
    pub text: String,
}

/// A file in the folder that gave no prompt.
#[derive(Debug, Error)]
#[error("prompts/{file}: {problem}")]
pub struct BadPromptFile {
    pub file: String,
    pub problem: PromptFileProblem,
}

/// What is wrong with a prompt file.
#[derive(Debug, Error)]
pub enum PromptFileProblem {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no UTF-8 text")]
    NotText,
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

/// Reads every `*.toml` of the prompts folder, with what could not be read.
///
/// # Errors
/// [`io::Error`] if the folder itself cannot be listed.
pub fn read_folder(folder: &Dir) -> io::Result<(Vec<PromptFile>, Vec<BadPromptFile>)> {
    let mut names = Vec::new();
    for entry in folder.entries()? {
        // A name that is no UTF-8 names no prompt.
        if let Ok(name) = entry?.file_name().into_string()
            && name.ends_with(".toml")
        {
            names.push(name);
        }
    }
    names.sort();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in names {
        match read_file(folder, &file) {
            Ok(read) => good.push(read),
            Err(problem) => bad.push(BadPromptFile { file, problem }),
        }
    }
    Ok((good, bad))
}

fn read_file(folder: &Dir, name: &str) -> Result<PromptFile, PromptFileProblem> {
    let bytes = plain_file::read(folder, name, MAX_PROMPT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| PromptFileProblem::NotText)?;
    let prompt = Prompt::from_toml(&text)?;
    if name.strip_suffix(".toml") == Some(prompt.name.as_str()) {
        Ok(PromptFile { prompt, text })
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
        // A pipe would be waited for without end.
        assert!(
            std::process::Command::new("mkfifo")
                .arg(folder.path().join("pipe.toml"))
                .status()
                .unwrap()
                .success()
        );
        let dir = plain_file::open_folder(folder.path()).unwrap();
        let (good, bad) = read_folder(&dir).unwrap();
        assert_eq!(good.len(), 1);
        let messages: Vec<String> = bad.iter().map(ToString::to_string).collect();
        assert!(messages[0].contains("broken.toml") && messages[0].contains("never closed"));
        assert!(messages[1].contains("`another`"));
        assert!(messages[2].contains("prompts/pipe.toml: cannot be read"), "{}", messages[2]);
        let mut library = PromptLibrary::default();
        good.into_iter().for_each(|file| library.insert(file.prompt));
        let missing = library.get("goood").unwrap_err().to_string();
        assert!(missing.contains("did you mean `good`?"), "{missing}");
    }
}
