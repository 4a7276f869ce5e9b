//! What can be read about prompts: all of them, and one with its versions. The
//! same for the route, the command line beside a service, and without one.

use serde::{Deserialize, Serialize};

use super::prompt_desk::{self, PromptRefusal};
use super::prompt_shelf::Candidate;
use crate::clock::TimestampMs;
use crate::home::Home;
use crate::model::{Prompt, PromptForm};
use crate::store::{PromptActivation, PromptMark, Reader, StoreError};

/// The answer of `GET /thrall/prompts`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PromptsListing {
    pub prompts: Vec<ListedPrompt>,
    /// Files of prompts/ that nobody has loaded, with the line that would.
    pub candidates: Vec<String>,
}

/// One prompt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedPrompt {
    pub name: String,
    /// The version in use.
    pub hash: Option<String>,
    pub pushed_by: Option<String>,
    pub pushed_at: Option<TimestampMs>,
    pub versions: usize,
    /// The file that lies in prompts/ and is none of the versions.
    pub candidate: Option<String>,
}

/// The answer of `GET /thrall/prompts/{name}`: one version, and its history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PromptStory {
    #[serde(flatten)]
    pub version: PromptMark,
    /// Of a prompt in the earlier form: the hash of its text as it is read here.
    pub converted_hash: Option<String>,
    pub content: String,
    /// Every version, newest first.
    pub versions: Vec<PromptMark>,
    /// Which of them was in use when, newest first.
    pub history: Vec<PromptActivation>,
}

/// As many times of use as anybody reads.
const MAX_HISTORY: u32 = 200;

/// All prompts.
///
/// # Errors
/// When the database cannot be read.
pub fn all(
    home: &Home,
    reader: &Reader,
    candidates: &[Candidate],
) -> Result<PromptsListing, StoreError> {
    let mut prompts: Vec<ListedPrompt> = Vec::new();
    for mark in reader.prompt_marks(None)? {
        if prompts.last().is_none_or(|last| last.name != mark.name) {
            prompts.push(unused(mark.name.clone()));
        }
        if let Some(listed) = prompts.last_mut() {
            listed.versions += 1;
            if mark.active {
                listed.hash = Some(mark.hash);
                listed.pushed_by = Some(mark.pushed_by);
                listed.pushed_at = Some(mark.pushed_at);
            }
        }
    }
    for candidate in candidates {
        let at = prompts.iter().position(|listed| listed.name == candidate.name);
        let hash = Some(candidate.hash.clone());
        match at.and_then(|at| prompts.get_mut(at)) {
            Some(listed) => listed.candidate = hash,
            None => {
                prompts.push(ListedPrompt { candidate: hash, ..unused(candidate.name.clone()) });
            }
        }
    }
    prompts.sort_by(|one, other| one.name.cmp(&other.name));
    let candidates = candidates.iter().map(|candidate| candidate.line(home)).collect();
    Ok(PromptsListing { prompts, candidates })
}

fn unused(name: String) -> ListedPrompt {
    ListedPrompt {
        name,
        hash: None,
        pushed_by: None,
        pushed_at: None,
        versions: 0,
        candidate: None,
    }
}

/// One version of a prompt: the one in use, or the one that `wanted` begins.
///
/// # Errors
/// There is no such prompt or version; with the nearest one.
pub fn one(
    reader: &Reader,
    name: &str,
    wanted: Option<&str>,
) -> Result<PromptStory, PromptRefusal> {
    let versions = prompt_desk::versions(reader, name)?;
    let mark = match wanted {
        Some(wanted) => Some(prompt_desk::find(&versions, wanted)?),
        None => versions.iter().find(|mark| mark.active).or(versions.first()),
    };
    let gone = || PromptRefusal::Unknown(format!("prompt {name:?} has no version"));
    let mark = mark.ok_or_else(gone)?;
    let found = reader.prompt_version(name, mark.sha256)?.ok_or_else(gone)?;
    let read = Prompt::read(found.mark.form, Some(name), &found.content);
    Ok(PromptStory {
        converted_hash: read.ok().and_then(|prompt| prompt.converted_hash),
        version: found.mark,
        content: found.content,
        history: reader.prompt_activations(name, MAX_HISTORY)?,
        versions,
    })
}

impl PromptStory {
    /// How its text is written down.
    pub fn form(&self) -> PromptForm {
        self.version.form
    }
}
