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
}

impl Store {
    /// Keeps a revision; one that is known stays as it was first seen.
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
        let found: Option<(String, String, i64)> = self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT canonical, components, first_seen FROM recipes
                     WHERE name = ?1 AND digest = ?2",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row(params![name, digest.0], |row| {
                            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                        })
                        .optional()
                })
                .doing("read a recipe's revision")
        })?;
        let Some((canonical, components, first_seen)) = found else { return Ok(None) };
        let components = serde_json::from_str(&components)
            .map_err(|_| StoreError::malformed(format!("a revision of {name}")))?;
        Ok(Some(Revision {
            name: name.to_owned(),
            digest: *digest,
            canonical,
            components,
            first_seen: TimestampMs::from_i64(first_seen),
        }))
    }
}

fn remember(session: &Session, revision: &Revision) -> Result<(), StoreError> {
    let components = super::commit::to_json(&revision.components, "a list of components")?;
    session
        .connection
        .prepare_cached(
            "INSERT OR IGNORE INTO recipes (name, digest, canonical, components, first_seen)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                revision.name,
                revision.digest.0,
                revision.canonical,
                components,
                revision.first_seen.as_i64(),
            ])
        })
        .doing("keep a recipe's revision")
        .map(drop)
}
