//! Every revision of a recipe that was ever loaded, so that a journal row's
//! digest can be followed to the text that decided.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::Digest;

/// A recipe's text and components as they were at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub digest: Digest,
    /// Canonical TOML: what the digest covers, together with the components.
    pub canonical: String,
    /// File or bundled name, and digest of its bytes.
    pub components: Vec<(String, Digest)>,
    pub first_seen: TimestampMs,
    /// The file's own text.
    pub source: String,
    /// The grant that it is live under, as its file.
    pub grant: String,
    /// What a grant for it names.
    pub binding: Digest,
    /// What the grant that it is under names: that revision is kept, whatever
    /// was followed since.
    pub granted: Option<Digest>,
}

/// Revisions of one recipe that are kept with their text. Rows of the journal
/// name more; what only the file ever said is gone then.
const MAX_REVISIONS: u32 = 100;

impl Store {
    /// Keeps a revision that is live now; one that is known stays as it was first
    /// seen, and counts as the newest.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn remember_revision(&self, revision: Revision) -> Result<(), StoreError> {
        self.writer.run(1, move |session| remember(session, &revision)).await
    }

    /// As [`Self::remember_revision`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::remember_revision`].
    pub fn remember_revision_blocking(&self, revision: Revision) -> Result<(), StoreError> {
        self.writer.run_blocking(1, move |session| remember(session, &revision))
    }
}

impl Reader {
    /// A revision by its recipe's name and its digest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn revision(&self, name: &str, digest: &Digest) -> Result<Option<Revision>, StoreError> {
        let found: Option<Row> = self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM recipes WHERE name = ?1 AND digest = ?2"
                ))
                .and_then(|mut statement| {
                    statement.query_row(params![name, digest.0], read_row).optional()
                })
                .doing("read a recipe's revision")
        })?;
        found.map(|row| row.into_revision(name)).transpose()
    }

    /// The revision that a grant names.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn revision_bound(
        &self,
        name: &str,
        binding: &Digest,
    ) -> Result<Option<Revision>, StoreError> {
        let found: Option<Row> = self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM recipes WHERE name = ?1 AND binding = ?2
                     ORDER BY last_live DESC LIMIT 1"
                ))
                .and_then(|mut statement| {
                    statement.query_row(params![name, binding.0], read_row).optional()
                })
                .doing("read a granted revision")
        })?;
        found.map(|row| row.into_revision(name)).transpose()
    }

    /// Revisions of a recipe that were live, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn live_revisions(&self, name: &str, limit: u32) -> Result<Vec<Revision>, StoreError> {
        let found: Vec<Row> = self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM recipes WHERE name = ?1 AND last_live IS NOT NULL
                     ORDER BY last_live DESC, digest LIMIT ?2"
                ))
                .and_then(|mut statement| {
                    statement.query_map(params![name, limit], read_row)?.collect()
                })
                .doing("read a recipe's revisions")
        })?;
        found.into_iter().map(|row| row.into_revision(name)).collect()
    }
}

const COLUMNS: &str = "digest, canonical, components, first_seen, source, grant_text, binding";

/// A revision as it is stored.
struct Row {
    digest: [u8; 32],
    canonical: String,
    components: String,
    first_seen: i64,
    source: Option<String>,
    grant: Option<String>,
    binding: Option<[u8; 32]>,
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        digest: row.get(0)?,
        canonical: row.get(1)?,
        components: row.get(2)?,
        first_seen: row.get(3)?,
        source: row.get(4)?,
        grant: row.get(5)?,
        binding: row.get(6)?,
    })
}

impl Row {
    fn into_revision(self, name: &str) -> Result<Revision, StoreError> {
        let components = serde_json::from_str(&self.components)
            .map_err(|_| StoreError::malformed(format!("a revision of {name}")))?;
        Ok(Revision {
            name: name.to_owned(),
            digest: Digest(self.digest),
            canonical: self.canonical,
            components,
            first_seen: TimestampMs::from_i64(self.first_seen),
            source: self.source.unwrap_or_default(),
            grant: self.grant.unwrap_or_default(),
            binding: self.binding.map_or(Digest::ZERO, Digest),
            granted: None,
        })
    }
}

/// What was live last is last, also where two went live within a millisecond, or
/// the clock went back between them.
fn remember(session: &Session, revision: &Revision) -> Result<(), StoreError> {
    let components = super::commit::to_json(&revision.components, "a list of components")?;
    session
        .connection
        .prepare_cached(
            "INSERT INTO recipes
                 (name, digest, canonical, components, first_seen, source, grant_text, binding,
                  last_live)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, max(?5, coalesce((
                 SELECT max(last_live) + 1 FROM recipes WHERE name = ?1 AND digest <> ?2), ?5)))
             ON CONFLICT (name, digest) DO UPDATE SET source = excluded.source,
                 grant_text = excluded.grant_text, last_live = excluded.last_live",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                revision.name,
                revision.digest.0,
                revision.canonical,
                components,
                revision.first_seen.as_i64(),
                revision.source,
                revision.grant,
                revision.binding.0,
            ])
        })
        .doing("keep a recipe's revision")?;
    session
        .connection
        .prepare_cached(
            "DELETE FROM recipes WHERE name = ?1 AND last_live < (
                 SELECT min(last_live) FROM (SELECT last_live FROM recipes
                     WHERE name = ?1 ORDER BY last_live DESC LIMIT ?2))
                 AND binding IS NOT ?3",
        )
        .and_then(|mut statement| {
            let granted = revision.granted.map(|digest| digest.0);
            statement.execute(params![revision.name, MAX_REVISIONS, granted])
        })
        .doing("forget a recipe's oldest revision")
        .map(drop)
}
