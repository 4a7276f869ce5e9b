//! Which prompts are in use, and what lies in prompts/ beside them. In use is
//! what the database says; a file is a candidate until the operator loads it.
//! Only what is shipped with thrall comes into use by itself, and only under a
//! name that no version was ever loaded under.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::clock::TimestampMs;
use crate::home::Home;
use crate::ids::Digest;
use crate::model::prompt_library::{self, BadPromptFile, PromptFile, SHIPPED};
use crate::model::{Prompt, PromptForm, PromptLibrary};
use crate::store::{PromptMark, PromptPush, PromptStep, PromptVersion, Reader, Store, StoreError};

/// Who brought what came with a home.
const SHIPPED_BY: &str = "thrall";

/// Prompts in use, and files that are not.
#[derive(Debug, Default)]
pub struct Shelf {
    pub library: PromptLibrary,
    /// Files that are no prompts, and versions in use that cannot be read.
    pub problems: Vec<String>,
    pub candidates: Vec<Candidate>,
    /// Shipped prompts that are in the library and not yet in the database.
    fresh: Vec<PromptFile>,
}

/// A file of prompts/ that nobody has loaded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub hash: String,
    /// What is in use now.
    pub active: Option<String>,
    /// Why it cannot be loaded as it is.
    pub refused: Option<String>,
}

impl Candidate {
    /// A line for the operator, with what to type.
    pub fn line(&self, home: &Home) -> String {
        let Self { name, hash, .. } = self;
        if let Some(why) = &self.refused {
            return format!("prompts/{name}.toml is a candidate that cannot be loaded: {why}");
        }
        let stays = match &self.active {
            Some(active) => format!("{active} stays in use"),
            None => "no version of it is in use".to_owned(),
        };
        let file = home.prompts().join(format!("{name}.toml"));
        format!(
            "prompts/{name}.toml ({hash}) is a candidate, {stays}: thrall prompt load {}",
            file.display()
        )
    }
}

impl Shelf {
    /// Reads database and folder. Without a database (somebody who may not look
    /// into state/) the files are all that can be known.
    ///
    /// # Errors
    /// When the folder cannot be listed or the database not be read.
    pub fn read(home: &Home, reader: Option<&Reader>) -> anyhow::Result<Self> {
        let folder = home.prompts();
        let (files, bad) = prompt_library::read_folder(&home.dir(&folder)?)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let Some(reader) = reader else {
            let mut shelf = Self { problems: lines(&bad), ..Self::default() };
            files.into_iter().for_each(|file| shelf.library.insert(file.prompt));
            return Ok(shelf);
        };
        Ok(Self::lay_out(reader.active_prompts()?, &reader.prompt_marks(None)?, files, &bad))
    }

    fn lay_out(
        in_use: Vec<PromptVersion>,
        marks: &[PromptMark],
        files: Vec<PromptFile>,
        bad: &[BadPromptFile],
    ) -> Self {
        let mut shelf = Self { problems: lines(bad), ..Self::default() };
        let mut active = BTreeMap::new();
        for PromptVersion { mark, content } in in_use {
            match Prompt::read(mark.form, Some(&mark.name), &content) {
                Ok(prompt) => shelf.library.insert(prompt),
                Err(error) => shelf.problems.push(format!(
                    "prompt {:?}, version {}, is in use and cannot be read: {error}",
                    mark.name, mark.hash
                )),
            }
            active.insert(mark.name, mark.hash);
        }
        for file in files {
            let name = &file.prompt.name;
            let sha256 = Digest::of(file.text.as_bytes());
            let mut versions = marks.iter().filter(|mark| mark.name == *name).peekable();
            let was_never_loaded = versions.peek().is_none();
            if was_never_loaded && SHIPPED.iter().any(|(_, text)| *text == file.text) {
                shelf.library.insert(file.prompt.clone());
                shelf.fresh.push(file);
            } else if versions.all(|mark| mark.sha256 != sha256) {
                shelf.candidates.push(Candidate {
                    hash: file.prompt.hash.clone(),
                    active: active.get(name).cloned(),
                    refused: file.prompt.check_loadable().err().map(|error| error.to_string()),
                    name: name.clone(),
                });
            }
        }
        shelf
    }

    /// Writes down which shipped prompts are in use from now on, and names them
    /// with their hashes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn settle(
        &mut self,
        store: &Store,
        now: TimestampMs,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let mut settled = Vec::new();
        for file in std::mem::take(&mut self.fresh) {
            let change = store
                .load_prompt(PromptPush {
                    name: file.prompt.name,
                    form: PromptForm::Toml,
                    content: file.text,
                    how: PromptStep::Shipped,
                    by: SHIPPED_BY.to_owned(),
                    at: now,
                })
                .await?;
            settled.push((change.name, change.hash));
        }
        Ok(settled)
    }
}

fn lines(bad: &[BadPromptFile]) -> Vec<String> {
    bad.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str) -> PromptFile {
        let text = format!("name = {name:?}\ncontent = {content:?}\n");
        PromptFile { prompt: Prompt::from_toml(&text).unwrap(), text }
    }

    fn kept(file: &PromptFile, active: bool) -> PromptVersion {
        let sha256 = Digest::of(file.text.as_bytes());
        PromptVersion {
            mark: PromptMark {
                name: file.prompt.name.clone(),
                hash: sha256.short(),
                sha256,
                form: PromptForm::Toml,
                active,
                pushed_by: "operator".to_owned(),
                pushed_at: TimestampMs(1),
            },
            content: file.text.clone(),
        }
    }

    fn laid_out(kept: &[PromptVersion], files: &[PromptFile]) -> Shelf {
        let in_use = kept.iter().filter(|one| one.mark.active).cloned().collect();
        let marks: Vec<PromptMark> = kept.iter().map(|one| one.mark.clone()).collect();
        Shelf::lay_out(in_use, &marks, files.to_vec(), &[])
    }

    const GOOD: &str = "{{filter.tier}} {{envelope.body_text}}";

    #[test]
    fn a_changed_file_is_a_candidate_and_what_was_loaded_stays() {
        let (old, new) = (file("mine", GOOD), file("mine", &format!("New. {GOOD}")));
        let loaded = kept(&old, true);
        let shelf = laid_out(std::slice::from_ref(&loaded), std::slice::from_ref(&new));
        assert_eq!(shelf.library.get("mine").unwrap().hash, old.prompt.hash);
        let line = shelf.candidates[0].line(&Home::new("/srv/t"));
        assert_eq!(
            line,
            format!(
                "prompts/mine.toml ({}) is a candidate, {} stays in use: thrall prompt load /srv/t/prompts/mine.toml",
                new.prompt.hash, old.prompt.hash
            )
        );
        // Once loaded it is no candidate any more, whatever is in use after it.
        let both = [loaded, kept(&new, false)];
        assert!(laid_out(&both, std::slice::from_ref(&new)).candidates.is_empty());
        assert!(laid_out(&both, std::slice::from_ref(&old)).candidates.is_empty());
    }

    #[test]
    fn a_new_file_is_not_in_use_and_says_why_it_could_not_be() {
        let shelf = laid_out(&[], &[file("mine", GOOD), file("vague", "Sort this")]);
        assert_eq!(shelf.library.iter().count(), 0);
        let lines: Vec<String> =
            shelf.candidates.iter().map(|one| one.line(&Home::new("/srv/t"))).collect();
        assert!(lines[0].contains("no version of it is in use"), "{lines:?}");
        assert!(lines[1].ends_with("prompt must contain {tier} placeholder"), "{lines:?}");
    }

    #[test]
    fn only_what_is_shipped_comes_into_use_by_itself_and_only_once() {
        let (_, text) = SHIPPED[0];
        let shipped =
            PromptFile { prompt: Prompt::from_toml(text).unwrap(), text: text.to_owned() };
        let shelf = laid_out(&[], std::slice::from_ref(&shipped));
        assert_eq!(shelf.fresh, std::slice::from_ref(&shipped));
        assert!(shelf.library.get("triage").is_ok() && shelf.candidates.is_empty());
        // Whoever loaded another one has decided.
        let own = kept(&file("triage", GOOD), true);
        let shelf = laid_out(&[own], std::slice::from_ref(&shipped));
        assert!(shelf.fresh.is_empty());
        assert_eq!(shelf.candidates[0].hash, shipped.prompt.hash);
    }
}
