//! The outbox as people read it: each row in one line, without the texts that
//! it carries.

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Doing, StoreError};
use super::outbox_rows::{BRIEFING, OutboxState, WAKE};
use super::reader::Reader;
use crate::clock::TimestampMs;
use crate::ids::JournalId;

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    pub id: i64,
    pub created_at: TimestampMs,
    pub updated_at: TimestampMs,
    pub state: OutboxState,
    /// `reply`, `skill`, `briefing`, ...
    pub operation: String,
    /// A node, a skill, a file, the agent.
    pub recipient: String,
    /// Empty for a flush by the clock or by the operator.
    pub recipe: String,
    /// The decision that asked for it.
    pub journal_id: Option<JournalId>,
    pub attempts: u32,
    /// It is not tried before.
    pub not_before: Option<TimestampMs>,
    /// What was said last: an error, or what came of it.
    pub detail: String,
}

/// Which rows; an absent condition is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxFilter {
    pub state: Option<OutboxState>,
    pub recipe: Option<String>,
    pub limit: u32,
}

impl Reader {
    /// Rows of the outbox, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn outbox_list(&self, filter: &OutboxFilter) -> Result<Vec<OutboxEntry>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, created_at, updated_at, state, kind, body, recipe, journal_id,
                         attempts, not_before, detail
                     FROM outbox
                     WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR recipe = ?2)
                     ORDER BY id DESC LIMIT ?3",
                )
                .and_then(|mut statement| {
                    let state = filter.state.map(OutboxState::as_str);
                    statement
                        .query_map(params![state, filter.recipe, filter.limit], entry)?
                        .collect()
                })
                .doing("list the outbox")
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<OutboxEntry> {
    let state: String = row.get(3)?;
    let state = state.parse().unwrap_or(OutboxState::Uncertain);
    let operation: String = row.get(4)?;
    let body: String = row.get(5)?;
    let not_before: i64 = row.get(9)?;
    Ok(OutboxEntry {
        id: row.get(0)?,
        created_at: TimestampMs::from_i64(row.get(1)?),
        updated_at: TimestampMs::from_i64(row.get(2)?),
        state,
        recipient: recipient(&operation, &body),
        operation,
        recipe: row.get(6)?,
        journal_id: row.get(7)?,
        attempts: row.get(8)?,
        not_before: (state == OutboxState::Pending && not_before > 0)
            .then(|| TimestampMs::from_i64(not_before)),
        detail: row.get(10)?,
    })
}

/// Where a row goes, from the body that it was written with.
fn recipient(operation: &str, body: &str) -> String {
    let key = match operation {
        WAKE => return "the agent".to_owned(),
        BRIEFING => "artifact",
        "reply" | "mail" => "to_node",
        "skill" => "skill",
        "trip-breaker" => "target",
        _ => return String::new(),
    };
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
