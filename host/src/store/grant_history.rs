//! Every grant that was ever in force, and every revision that failed too
//! often. The files in `grants/` say what holds; here is what held.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::Digest;

/// A grant as it was at one time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PastGrant {
    pub recipe: String,
    pub digest: Digest,
    /// The file as it would be written; empty where the grant was taken away.
    pub content: String,
    pub at: TimestampMs,
}

/// A revision that failed too often.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TrippedRevision {
    pub recipe: String,
    pub revision: Digest,
    pub reason: String,
    pub at: TimestampMs,
}

impl Store {
    /// Keeps grants that differ from the last that is known of their recipe.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn remember_grants(&self, grants: Vec<PastGrant>) -> Result<(), StoreError> {
        self.writer
            .run(1, move |session| grants.iter().try_for_each(|grant| remember(session, grant)))
            .await
    }

    /// Keeps a trip.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn remember_trip(&self, trip: TrippedRevision) -> Result<(), StoreError> {
        self.writer.run(1, move |session| remember_trip(session, &trip)).await
    }
}

impl Reader {
    /// The grants of a recipe, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn grant_history(&self, recipe: &str, limit: u32) -> Result<Vec<PastGrant>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT digest, content, at FROM grants WHERE recipe = ?1
                     ORDER BY id DESC LIMIT ?2",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map(params![recipe, limit], |row| {
                            Ok(PastGrant {
                                recipe: recipe.to_owned(),
                                digest: Digest(row.get(0)?),
                                content: row.get(1)?,
                                at: TimestampMs::from_i64(row.get(2)?),
                            })
                        })?
                        .collect()
                })
                .doing("read the history of a grant")
        })
    }

    /// Every trip.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn trips(&self) -> Result<Vec<TrippedRevision>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT recipe, revision, reason, at FROM trips")
                .and_then(|mut statement| {
                    statement
                        .query_map([], |row| {
                            Ok(TrippedRevision {
                                recipe: row.get(0)?,
                                revision: Digest(row.get(1)?),
                                reason: row.get(2)?,
                                at: TimestampMs::from_i64(row.get(3)?),
                            })
                        })?
                        .collect()
                })
                .doing("read what has tripped")
        })
    }
}

fn remember(session: &Session, grant: &PastGrant) -> Result<(), StoreError> {
    let last: Option<[u8; 32]> = session
        .connection
        .prepare_cached("SELECT digest FROM grants WHERE recipe = ?1 ORDER BY id DESC LIMIT 1")
        .and_then(|mut statement| statement.query_row([&grant.recipe], |row| row.get(0)).optional())
        .doing("read the history of a grant")?;
    let is_first_and_absent = last.is_none() && grant.content.is_empty();
    if last == Some(grant.digest.0) || is_first_and_absent {
        return Ok(());
    }
    session
        .connection
        .prepare_cached("INSERT INTO grants (recipe, digest, content, at) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![
                grant.recipe,
                grant.digest.0,
                grant.content,
                grant.at.as_i64()
            ])
        })
        .doing("keep a grant")
        .map(drop)
}

fn remember_trip(session: &Session, trip: &TrippedRevision) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO trips (recipe, revision, reason, at) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut statement| {
            statement.execute(params![trip.recipe, trip.revision.0, trip.reason, trip.at.as_i64()])
        })
        .doing("keep a trip")
        .map(drop)
}
