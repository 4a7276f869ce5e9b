//! Every version of every prompt, which one is in use, and how that came about.
//! Whether somebody may load one is decided before it gets here.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::{Doing, StoreError};
use super::journal_columns::{self, Note, PERFORMED};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::model::PromptForm;

/// One version of a prompt, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptMark {
    pub name: String,
    /// The version's short name: 16 hex characters, as journal rows show it.
    pub hash: String,
    /// SHA-256 of the text as it was loaded.
    pub sha256: Digest,
    pub form: PromptForm,
    pub active: bool,
    /// Who brought it first, and when.
    pub pushed_by: String,
    pub pushed_at: TimestampMs,
}

/// One version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptVersion {
    pub mark: PromptMark,
    pub content: String,
}

/// How a version comes into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptStep {
    /// With the home, as it is shipped.
    Shipped,
    Load,
    Rollback,
}

impl PromptStep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Load => "load",
            Self::Rollback => "rollback",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "shipped" => Self::Shipped,
            "rollback" => Self::Rollback,
            _ => Self::Load,
        }
    }
}

/// A time at which a version came into use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptActivation {
    pub hash: String,
    pub sha256: Digest,
    pub how: PromptStep,
    pub by: String,
    pub at: TimestampMs,
}

/// A version that is to be used from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptPush {
    pub name: String,
    pub form: PromptForm,
    pub content: String,
    pub how: PromptStep,
    pub by: String,
    pub at: TimestampMs,
}

/// What came of it. Nothing where the version was in use already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptChange {
    pub name: String,
    pub hash: String,
    /// What was in use before.
    pub old_hash: Option<String>,
    pub changed: bool,
}

impl Store {
    /// Keeps a version and puts it in use, with its row in the journal.
    ///
    /// # Errors
    /// The database cannot be written; the version that was in use stays so.
    pub async fn load_prompt(&self, push: PromptPush) -> Result<PromptChange, StoreError> {
        self.writer.run(1, move |session| load(session, &push)).await
    }

    /// As [`Self::load_prompt`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::load_prompt`].
    pub fn load_prompt_blocking(&self, push: PromptPush) -> Result<PromptChange, StoreError> {
        self.writer.run_blocking(1, move |session| load(session, &push))
    }

    /// Puts a kept version in use again.
    ///
    /// # Errors
    /// There is no such version, or the database cannot be written; the
    /// version that was in use stays so.
    pub async fn roll_prompt_back(
        &self,
        name: String,
        to: Digest,
        by: String,
        at: TimestampMs,
    ) -> Result<PromptChange, StoreError> {
        self.writer
            .run(1, move |session| use_version(session, &name, to, PromptStep::Rollback, &by, at))
            .await
    }
}

impl Reader {
    /// Every version that is in use.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn active_prompts(&self) -> Result<Vec<PromptVersion>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {MARK}, content FROM prompts WHERE active = 1 ORDER BY name"
                ))
                .and_then(|mut statement| statement.query_map([], version)?.collect())
                .doing("read the prompts")
        })
    }

    /// All versions of all prompts, or of one, by name and newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn prompt_marks(&self, name: Option<&str>) -> Result<Vec<PromptMark>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {MARK} FROM prompts WHERE ?1 IS NULL OR name = ?1
                     ORDER BY name, id DESC"
                ))
                .and_then(|mut statement| statement.query_map([name], mark)?.collect())
                .doing("read the prompts' versions")
        })
    }

    /// One version with its text.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn prompt_version(
        &self,
        name: &str,
        sha256: Digest,
    ) -> Result<Option<PromptVersion>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {MARK}, content FROM prompts WHERE name = ?1 AND sha256 = ?2"
                ))
                .and_then(|mut statement| {
                    statement.query_row(params![name, sha256.0], version).optional()
                })
                .doing("read a prompt")
        })
    }

    /// Which versions of a prompt were in use, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn prompt_activations(
        &self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<PromptActivation>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT sha256, how, by_whom, at FROM prompt_activations
                     WHERE name = ?1 ORDER BY id DESC LIMIT ?2",
                )
                .and_then(|mut statement| {
                    statement.query_map(params![name, limit], activation)?.collect()
                })
                .doing("read a prompt's history")
        })
    }
}

const MARK: &str = "name, version, sha256, form, active, pushed_by, pushed_at";

fn mark(row: &Row<'_>) -> rusqlite::Result<PromptMark> {
    let form: String = row.get(3)?;
    Ok(PromptMark {
        name: row.get(0)?,
        hash: row.get(1)?,
        sha256: Digest(row.get(2)?),
        form: PromptForm::from_word(&form).unwrap_or(PromptForm::Toml),
        active: row.get(4)?,
        pushed_by: row.get(5)?,
        pushed_at: TimestampMs::from_i64(row.get(6)?),
    })
}

fn version(row: &Row<'_>) -> rusqlite::Result<PromptVersion> {
    Ok(PromptVersion { mark: mark(row)?, content: row.get(7)? })
}

fn activation(row: &Row<'_>) -> rusqlite::Result<PromptActivation> {
    let sha256 = Digest(row.get(0)?);
    let how: String = row.get(1)?;
    Ok(PromptActivation {
        hash: sha256.short(),
        sha256,
        how: PromptStep::from_word(&how),
        by: row.get(2)?,
        at: TimestampMs::from_i64(row.get(3)?),
    })
}

fn load(session: &mut Session, push: &PromptPush) -> Result<PromptChange, StoreError> {
    let sha256 = Digest::of(push.content.as_bytes());
    // A text that was brought before stays as it was first pushed.
    session
        .connection
        .prepare_cached(
            "INSERT OR IGNORE INTO prompts
                 (name, version, sha256, content, form, active, pushed_by, pushed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                push.name,
                sha256.short(),
                sha256.0,
                push.content,
                push.form.as_str(),
                push.by,
                push.at.as_i64(),
            ])
        })
        .doing("keep a prompt")?;
    // The same text may be meant otherwise: as a file, or as bare text.
    session
        .connection
        .prepare_cached("UPDATE prompts SET form = ?3 WHERE name = ?1 AND sha256 = ?2")
        .and_then(|mut statement| {
            statement.execute(params![push.name, sha256.0, push.form.as_str()])
        })
        .doing("keep a prompt")?;
    use_version(session, &push.name, sha256, push.how, &push.by, push.at)
}

fn use_version(
    session: &mut Session,
    name: &str,
    new: Digest,
    how: PromptStep,
    by: &str,
    at: TimestampMs,
) -> Result<PromptChange, StoreError> {
    let old: Option<Digest> = session
        .connection
        .prepare_cached("SELECT sha256 FROM prompts WHERE name = ?1 AND active = 1")
        .and_then(|mut statement| {
            statement.query_row([name], |row| Ok(Digest(row.get(0)?))).optional()
        })
        .doing("read a prompt")?;
    let change = PromptChange {
        name: name.to_owned(),
        hash: new.short(),
        old_hash: old.map(|digest| digest.short()),
        changed: old != Some(new),
    };
    if !change.changed {
        return Ok(change);
    }
    activate(session, name, &new)?;
    session
        .connection
        .prepare_cached(
            "INSERT INTO prompt_activations (name, sha256, how, by_whom, at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut statement| {
            statement.execute(params![name, new.0, how.as_str(), by, at.as_i64()])
        })
        .doing("keep a prompt's history")?;
    // A home begins with an empty journal.
    if how != PromptStep::Shipped {
        append(session, &change, how, by, at)?;
    }
    Ok(change)
}

fn activate(session: &Session, name: &str, sha256: &Digest) -> Result<(), StoreError> {
    let run = |sql, active: bool| {
        session
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![name, sha256.0, active]))
            .doing("put a prompt in use")
    };
    run("UPDATE prompts SET active = ?3 WHERE name = ?1 AND sha256 <> ?2 AND active = 1", false)?;
    let found = run("UPDATE prompts SET active = ?3 WHERE name = ?1 AND sha256 = ?2", true)?;
    if found == 0 {
        return Err(StoreError::NoSuchPrompt { name: name.to_owned(), version: sha256.short() });
    }
    Ok(())
}

fn append(
    session: &mut Session,
    change: &PromptChange,
    how: PromptStep,
    by: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let before = change.old_hash.as_deref().unwrap_or("nothing");
    let reason = format!("{} is in use in place of {before}, by {by}", change.hash);
    let detail = serde_json::json!({
        "prompt": change.name,
        "old": change.old_hash,
        "new": change.hash,
        "by": by,
    });
    let note = Note {
        at,
        envelope_seq: None,
        recipe: "",
        action: &format!("prompt-{}", how.as_str()),
        action_name: &change.name,
        reason: &reason,
        outbox_id: None,
        detail: Some(&detail.to_string()),
    };
    journal_columns::append_note(session, PERFORMED, &note).map(drop)
}
