//! Loading prompts and going back to earlier ones. What asks here is the
//! operator's: the one route, the command line without a service, `import`. A
//! prompt comes as bytes, never as a path.

use serde::{Deserialize, Serialize};

use crate::clock::TimestampMs;
use crate::ids::{Digest, is_valid_name, nearest};
use crate::model::prompt::PromptError;
use crate::model::{Prompt, PromptForm};
use crate::store::{PromptChange, PromptMark, PromptPush, PromptStep, Reader, Store, StoreError};

/// A prompt that somebody wants used.
#[derive(Clone, Debug)]
pub struct NewPrompt {
    /// Goes before the name that a file declares; bare text needs one.
    pub name: Option<String>,
    pub form: PromptForm,
    pub content: Vec<u8>,
    pub by: String,
}

/// A version that somebody wants used again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Back {
    pub name: String,
    /// The beginning of a version; the one used before if left out.
    pub to: Option<String>,
    pub by: String,
}

/// Why the version in use stays.
#[derive(Debug, thiserror::Error)]
pub enum PromptRefusal {
    #[error(transparent)]
    Bad(#[from] PromptError),
    #[error("the prompt is no UTF-8 text")]
    NotText,
    #[error("bare text needs a name: give one")]
    NoName,
    #[error("{0}")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many times of use are looked through for the version before.
const LOOKED_THROUGH: u32 = 1000;

/// Checks a prompt and puts it in use.
///
/// # Errors
/// Why not.
pub async fn load(
    store: &Store,
    new: NewPrompt,
    now: TimestampMs,
) -> Result<PromptChange, PromptRefusal> {
    let content = String::from_utf8(new.content).map_err(|_| PromptRefusal::NotText)?;
    if new.form == PromptForm::Text && new.name.is_none() {
        return Err(PromptRefusal::NoName);
    }
    let prompt = Prompt::read(new.form, new.name.as_deref(), &content)?;
    prompt.check_loadable()?;
    let push = PromptPush {
        name: prompt.name,
        form: new.form,
        content,
        how: PromptStep::Load,
        by: new.by,
        at: now,
    };
    Ok(store.load_prompt(push).await?)
}

/// Puts an earlier version in use again.
///
/// # Errors
/// There is none, or it would not be loaded today.
pub async fn roll_back(
    store: &Store,
    back: Back,
    now: TimestampMs,
) -> Result<PromptChange, PromptRefusal> {
    let reader = store.reader();
    let marks = versions(reader, &back.name)?;
    let target = match &back.to {
        Some(wanted) => find(&marks, wanted)?.sha256,
        None => before(reader, &back.name, &marks)?,
    };
    if let Some(version) = reader.prompt_version(&back.name, target)? {
        Prompt::read(version.mark.form, Some(&back.name), &version.content)?.check_loadable()?;
    }
    Ok(store.roll_prompt_back(back.name, target, back.by, now).await?)
}

/// The versions of a prompt, newest first.
///
/// # Errors
/// There are none; with the nearest name.
pub fn versions(reader: &Reader, name: &str) -> Result<Vec<PromptMark>, PromptRefusal> {
    if !is_valid_name(name) {
        return Err(PromptError::Name(name.chars().take(80).collect()).into());
    }
    let marks = reader.prompt_marks(Some(name))?;
    if !marks.is_empty() {
        return Ok(marks);
    }
    let all = reader.prompt_marks(None)?;
    let near = nearest(name, all.iter().map(|mark| mark.name.as_str()));
    let hint = near.map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
    Err(PromptRefusal::Unknown(format!("no prompt is called {name:?}{hint}")))
}

/// The version that a text is the beginning of.
///
/// # Errors
/// There is none, with the nearest one, or more than one.
pub fn find<'m>(marks: &'m [PromptMark], wanted: &str) -> Result<&'m PromptMark, PromptRefusal> {
    let lower = wanted.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    let mut found = marks
        .iter()
        .filter(|mark| !lower.is_empty() && mark.sha256.to_string().starts_with(&lower));
    let unknown = |why: String| Err(PromptRefusal::Unknown(why));
    match (found.next(), found.next()) {
        (Some(mark), None) => Ok(mark),
        (Some(one), Some(other)) => unknown(format!(
            "{wanted:?} is the beginning of more than one version: {}, {}",
            one.hash, other.hash
        )),
        (None, _) => {
            let near = nearest(&lower, marks.iter().map(|mark| mark.hash.as_str()))
                .or(marks.first().map(|mark| mark.hash.as_str()));
            let hint = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
            let shown: String = wanted.chars().take(80).collect();
            unknown(format!("there is no version {shown:?}{hint}"))
        }
    }
}

/// The version that was in use before the present one.
fn before(reader: &Reader, name: &str, marks: &[PromptMark]) -> Result<Digest, PromptRefusal> {
    let present = marks.iter().find(|mark| mark.active).map(|mark| mark.sha256);
    let past = reader.prompt_activations(name, LOOKED_THROUGH)?;
    let found = past.into_iter().map(|one| one.sha256).find(|one| Some(*one) != present);
    found.ok_or_else(|| {
        PromptRefusal::Unknown(format!("no other version of {name:?} was in use before"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixtures::{NOW, TestStore};

    const GOOD: &str = "{{filter.tier}} {{envelope.body_text}}";

    fn new(name: Option<&str>, form: PromptForm, content: &[u8]) -> NewPrompt {
        NewPrompt {
            name: name.map(str::to_owned),
            form,
            content: content.to_vec(),
            by: "operator".to_owned(),
        }
    }

    fn back(to: Option<&str>) -> Back {
        Back { name: "mine".into(), to: to.map(str::to_owned), by: "operator".into() }
    }

    #[tokio::test]
    async fn what_must_not_be_used_is_refused_and_nothing_is_kept() {
        let test = TestStore::new();
        let why = async |name: Option<&str>, form, content: &[u8]| {
            load(&test.store, new(name, form, content), NOW).await.unwrap_err().to_string()
        };
        let text = PromptForm::Text;
        let mine = Some("mine");
        assert_eq!(
            why(mine, text, b"{{envelope.body_text}}").await,
            "prompt must contain {tier} placeholder"
        );
        assert!(why(mine, text, b"{{filter.tier}}").await.contains("message text"));
        assert!(why(mine, text, b"  ").await.starts_with("content required"));
        assert!(why(None, text, GOOD.as_bytes()).await.contains("needs a name"));
        assert!(why(Some("../x"), text, GOOD.as_bytes()).await.contains("not usable"));
        assert!(why(mine, text, b"\xff").await.contains("UTF-8"));
        assert!(why(mine, text, b"{{filter.tier}}\0").await.contains("NUL"));
        assert!(why(mine, text, b"{{filter.teir}}").await.contains("`{{filter.tier}}`"));
        assert!(why(mine, PromptForm::Toml, b"name = ").await.contains("not valid"));
        assert!(test.store.reader().prompt_marks(None).unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_goes_back_to_what_was_used_before_or_to_any_version() {
        let test = TestStore::new();
        let mut hashes = Vec::new();
        for word in ["one", "two", "three"] {
            let content = format!("{word} {GOOD}");
            let one = new(Some("mine"), PromptForm::Text, content.as_bytes());
            hashes.push(load(&test.store, one, NOW).await.unwrap().hash);
        }
        let change = roll_back(&test.store, back(None), NOW).await.unwrap();
        assert_eq!((&change.hash, change.old_hash.as_ref()), (&hashes[1], Some(&hashes[2])));
        // The version before that one is the third again.
        assert_eq!(roll_back(&test.store, back(None), NOW).await.unwrap().hash, hashes[2]);
        let to = back(Some(&hashes[0][..8]));
        assert_eq!(roll_back(&test.store, to, NOW).await.unwrap().hash, hashes[0]);

        let mut wrong = hashes[1].clone();
        wrong.replace_range(15.., if wrong.ends_with('0') { "1" } else { "0" });
        let error = roll_back(&test.store, back(Some(&wrong)), NOW).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("did you mean {}?", hashes[1])), "{error}");
        let other = Back { name: "mime".into(), ..back(None) };
        let error = roll_back(&test.store, other, NOW).await.unwrap_err().to_string();
        assert_eq!(error, "no prompt is called \"mime\", did you mean \"mine\"?");
    }

    #[tokio::test]
    async fn there_may_be_nothing_to_go_back_to() {
        let test = TestStore::new();
        load(&test.store, new(Some("mine"), PromptForm::Text, GOOD.as_bytes()), NOW).await.unwrap();
        let error = roll_back(&test.store, back(None), NOW).await.unwrap_err().to_string();
        assert!(error.contains("no other version"), "{error}");
    }
}
