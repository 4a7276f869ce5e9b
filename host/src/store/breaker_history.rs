//! The history of breakers, which their files do not keep: who tripped which,
//! when it was cleared or expired, and how many events each stopped.

use std::collections::HashMap;

use serde_json::json;

use super::Store;
use super::error::{Doing, StoreError};
use super::journal_columns::{self, Note, PERFORMED};
use super::reader::{Reader, unsigned};
use super::session::Session;
use crate::breakers::met;
use crate::clock::TimestampMs;
use crate::pipeline::guard::BREAKER_BLOCKED;

/// The `action` of such rows.
pub(super) const BREAKER: &str = "breaker";

/// Something that became of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerNote {
    pub at: TimestampMs,
    pub target: String,
    /// tripped, cleared, expired.
    pub what: &'static str,
    pub reason: String,
    pub by: String,
    pub trip_count: u32,
}

impl Store {
    /// Writes down what became of breakers, in order.
    ///
    /// # Errors
    /// The database cannot be written; nothing was written.
    pub async fn note_breakers(&self, notes: Vec<BreakerNote>) -> Result<(), StoreError> {
        self.writer.run(notes.len(), move |session| append_all(session, &notes)).await
    }
}

fn append_all(session: &mut Session, notes: &[BreakerNote]) -> Result<(), StoreError> {
    for note in notes {
        let facts = json!({
            "target": note.target,
            "by": note.by,
            "reason": note.reason,
            "trip_count": note.trip_count,
        })
        .to_string();
        let row = Note {
            at: note.at,
            envelope_seq: None,
            recipe: "",
            action: BREAKER,
            action_name: note.what,
            reason: &format!("{}: {} (by {})", note.target, note.reason, note.by),
            outbox_id: None,
            detail: Some(&facts),
        };
        journal_columns::append_note(session, PERFORMED, &row)?;
    }
    Ok(())
}

impl Reader {
    /// How many events each breaker stopped from `since` on, by its target.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn blocked_by_breakers(
        &self,
        since: TimestampMs,
    ) -> Result<HashMap<String, u64>, StoreError> {
        let groups: Vec<(String, u64)> = self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT reason, count(*) FROM journal
                     WHERE kind = 'decision' AND recipe = '' AND at >= ?1 AND action_name = ?2
                     GROUP BY reason",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map(rusqlite::params![since.as_i64(), BREAKER_BLOCKED], |row| {
                            Ok((row.get(0)?, unsigned(row, 1)?))
                        })?
                        .collect()
                })
                .doing("count what breakers stopped")
        })?;
        let mut blocked = HashMap::new();
        for (reason, count) in groups {
            if let Some(target) = met::target_of(&reason) {
                *blocked.entry(target.to_owned()).or_default() += count;
            }
        }
        Ok(blocked)
    }
}
