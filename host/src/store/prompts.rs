//! Every version of every prompt, and which one is active.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::Digest;

/// One version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptVersion {
    pub name: String,
    /// SHA-256 of the text as it was loaded.
    pub sha256: Digest,
    pub content: String,
    pub is_active: bool,
    pub pushed_by: String,
    pub pushed_at: TimestampMs,
}

impl PromptVersion {
    /// A version that is not active yet.
    pub fn new(name: String, content: String, pushed_by: String, pushed_at: TimestampMs) -> Self {
        let sha256 = Digest::of(content.as_bytes());
        Self { name, sha256, content, is_active: false, pushed_by, pushed_at }
    }

    /// The version's short name: 16 hex characters, as journal rows show it.
    pub fn version(&self) -> String {
        self.sha256.short()
    }
}

impl Store {
    /// Keeps a version; one with the same text stays as it was first pushed.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn remember_prompt(&self, prompt: PromptVersion) -> Result<(), StoreError> {
        self.writer.run(1, move |session| remember(session, &prompt)).await
    }

    /// As [`Self::remember_prompt`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::remember_prompt`].
    pub fn remember_prompt_blocking(&self, prompt: PromptVersion) -> Result<(), StoreError> {
        self.writer.run_blocking(1, move |session| remember(session, &prompt))
    }

    /// Makes a kept version the active one.
    ///
    /// # Errors
    /// There is no such version, or the database cannot be written; the
    /// version that was active stays so.
    pub async fn activate_prompt(&self, name: String, sha256: Digest) -> Result<(), StoreError> {
        self.writer.run(1, move |session| activate(session, &name, &sha256)).await
    }

    /// As [`Self::activate_prompt`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::activate_prompt`].
    pub fn activate_prompt_blocking(&self, name: String, sha256: Digest) -> Result<(), StoreError> {
        self.writer.run_blocking(1, move |session| activate(session, &name, &sha256))
    }
}

impl Reader {
    /// The active version of a prompt.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn active_prompt(&self, name: &str) -> Result<Option<PromptVersion>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!("{SELECT} WHERE name = ?1 AND active = 1"))
                .and_then(|mut statement| statement.query_row([name], read).optional())
                .doing("read a prompt")
        })
    }

    /// All versions of a prompt, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn prompt_versions(&self, name: &str) -> Result<Vec<PromptVersion>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!("{SELECT} WHERE name = ?1 ORDER BY id DESC"))
                .and_then(|mut statement| statement.query_map([name], read)?.collect())
                .doing("read a prompt's history")
        })
    }
}

const SELECT: &str = "SELECT name, sha256, content, active, pushed_by, pushed_at FROM prompts";

fn read(row: &Row<'_>) -> rusqlite::Result<PromptVersion> {
    Ok(PromptVersion {
        name: row.get(0)?,
        sha256: Digest(row.get(1)?),
        content: row.get(2)?,
        is_active: row.get(3)?,
        pushed_by: row.get(4)?,
        pushed_at: TimestampMs::from_i64(row.get(5)?),
    })
}

fn remember(session: &Session, prompt: &PromptVersion) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT OR IGNORE INTO prompts
                 (name, version, sha256, content, active, pushed_by, pushed_at)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                prompt.name,
                prompt.version(),
                prompt.sha256.0,
                prompt.content,
                prompt.pushed_by,
                prompt.pushed_at.as_i64(),
            ])
        })
        .doing("keep a prompt")
        .map(drop)
}

fn activate(session: &Session, name: &str, sha256: &Digest) -> Result<(), StoreError> {
    let run = |sql, active: bool| {
        session
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![name, sha256.0, active]))
            .doing("activate a prompt")
    };
    run("UPDATE prompts SET active = ?3 WHERE name = ?1 AND sha256 <> ?2 AND active = 1", false)?;
    let found = run("UPDATE prompts SET active = ?3 WHERE name = ?1 AND sha256 = ?2", true)?;
    if found == 0 {
        return Err(StoreError::NoSuchPrompt { name: name.to_owned(), version: sha256.short() });
    }
    Ok(())
}
