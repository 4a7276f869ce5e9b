//! The outbox table: what is left to perform, in which order, and where each
//! row stands. How rows come to an end is in `outbox_ends.rs`.

use rusqlite::{Connection, Row, params};

use super::effects::{class_word, mode_word};
use super::error::{Doing, StoreError};
use super::flush::Origin;
use super::reader::Reader;
use super::session::Session;
use crate::breakers::met::PREFIX;
use crate::clock::TimestampMs;
use crate::grants::HOURLY;
use crate::ids::{EnvelopeSeq, JournalId, nearest};
use crate::journal::AfterFailure;
use crate::operation::{OperationClass, WakeMode};
use crate::pipeline::ports::EVERYBODY;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// Kinds that the outbox itself knows; the others are an operation's.
pub const BRIEFING: &str = "briefing";
pub const WAKE: &str = "wake";
/// Of an operation that the service performs itself.
pub const TRIP_BREAKER: &str = "trip-breaker";

/// Why a row is held for which a node is needed and none is there.
pub const NO_NODE: &str = "no node is connected";

/// The longest that a row waits before it is tried again. [`NEXT_PENDING`] has
/// it in milliseconds.
pub const LONGEST_RETRY: std::time::Duration = std::time::Duration::from_secs(600);

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxState {
    Pending,
    /// Committed before the first byte goes out.
    Attempting,
    Done,
    /// A wake that was accepted without a node: kept with its whole body.
    Recorded,
    Failed,
    /// Waits for something outside: a node, the operator.
    Held,
    /// Attempted, and nobody knows whether it arrived. Never retried by itself.
    Uncertain,
    /// Given up by the operator.
    Dropped,
}

/// A word that is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is no state of an outbox row: one of {}{}",
    OutboxState::ALL.map(OutboxState::as_str).join(", "),
    nearest(word, OutboxState::ALL.map(OutboxState::as_str))
        .map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
)]
pub struct UnknownState {
    word: String,
}

impl std::str::FromStr for OutboxState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| UnknownState { word: word.to_owned() })
    }
}

impl OutboxState {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Attempting,
        Self::Done,
        Self::Recorded,
        Self::Failed,
        Self::Held,
        Self::Uncertain,
        Self::Dropped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Attempting => "attempting",
            Self::Done => "done",
            Self::Recorded => "recorded",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Uncertain => "uncertain",
            Self::Dropped => "dropped",
        }
    }
}

/// An operation to perform.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OutboxRow {
    pub id: i64,
    /// The decision that asked for it; `None` for a flush by the clock.
    pub journal_id: Option<JournalId>,
    pub envelope_seq: Option<EnvelopeSeq>,
    pub recipe: String,
    /// Its place in the plan.
    pub ordinal: u32,
    pub class: OperationClass,
    pub kind: String,
    /// Rows of one lane are performed in order.
    pub lane: String,
    /// JSON.
    pub body: String,
    pub task: Option<String>,
    pub capability: Option<String>,
    pub priority: Option<u8>,
    pub mode: Option<WakeMode>,
    pub flush_id: Option<i64>,
    pub state: OutboxState,
    pub attempts: u32,
    pub not_before: TimestampMs,
    pub detail: String,
    pub created_at: TimestampMs,
    pub updated_at: TimestampMs,
}

impl Reader {
    /// Pending rows that may be performed now, in order. A lane that waits for
    /// a retry or an attempt shows none of its later rows.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn next_pending(&self, now: TimestampMs, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!("SELECT {ROW} FROM outbox o {NEXT_PENDING}"))
                .and_then(|mut statement| {
                    statement.query_map(params![now.as_i64(), limit], read_row)?.collect()
                })
                .doing("look for work in the outbox")
        })
    }

    /// Trips that are decided and not written yet, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pending_trips(&self) -> Result<Vec<OutboxRow>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {ROW} FROM outbox o
                     WHERE o.state = 'pending' AND o.kind = ?1 ORDER BY o.id"
                ))
                .and_then(|mut statement| statement.query_map([TRIP_BREAKER], read_row)?.collect())
                .doing("look for trips in the outbox")
        })
    }

    /// Rows that a breaker held, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn held_by_breakers(&self) -> Result<Vec<OutboxRow>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {ROW} FROM outbox o WHERE o.state = 'held'
                       AND substr(o.detail, 1, length(?1)) = ?1 ORDER BY o.id"
                ))
                .and_then(|mut statement| statement.query_map([PREFIX], read_row)?.collect())
                .doing("look for what breakers hold")
        })
    }

    /// What an event's decisions left to perform, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn outbox_of(&self, seq: EnvelopeSeq) -> Result<Vec<OutboxRow>, StoreError> {
        self.with(|connection| of_envelope(connection, seq))
    }
}

pub(super) fn of_envelope(
    connection: &Connection,
    seq: EnvelopeSeq,
) -> Result<Vec<OutboxRow>, StoreError> {
    connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o WHERE o.envelope_seq = ?1 ORDER BY o.id"
        ))
        .and_then(|mut statement| statement.query_map([seq], read_row)?.collect())
        .doing("read the outbox")
}

pub(super) const ROW: &str =
    "o.id, o.journal_id, o.envelope_seq, o.recipe, o.class, o.kind, o.lane, o.body,
    o.task, o.capability, o.priority, o.mode, o.flush_id, o.state, o.attempts, o.not_before,
    o.detail, o.created_at, o.updated_at, o.ordinal";

/// Also keeps back the wake of a flush whose briefing came to nothing, and the
/// later steps of a plan whose earlier one waits. A row that is to wait for
/// longer than any does was put off while the clock was ahead: it is due.
pub(super) const NEXT_PENDING: &str = "
    WHERE o.state = 'pending' AND o.not_before NOT BETWEEN ?1 + 1 AND ?1 + 600000
      AND NOT EXISTS (SELECT 1 FROM outbox e
          WHERE e.lane = o.lane AND e.id < o.id AND e.state IN ('pending', 'attempting')
            AND (e.state = 'attempting' OR e.not_before BETWEEN ?1 + 1 AND ?1 + 600000))
      AND NOT EXISTS (SELECT 1 FROM outbox b
          WHERE o.flush_id IS NOT NULL AND b.flush_id = o.flush_id AND b.id < o.id
            AND b.state IN ('failed', 'held', 'uncertain'))
      AND NOT EXISTS (SELECT 1 FROM outbox s
          WHERE o.flush_id IS NULL AND s.journal_id = o.journal_id AND s.flush_id IS NULL
            AND s.ordinal < o.ordinal AND s.state IN ('pending', 'attempting')
            AND (s.state = 'attempting' OR s.not_before BETWEEN ?1 + 1 AND ?1 + 600000))
    ORDER BY o.id LIMIT ?2";

pub(super) fn read_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    let class: String = row.get(4)?;
    let mode: Option<String> = row.get(11)?;
    let state: String = row.get(13)?;
    Ok(OutboxRow {
        id: row.get(0)?,
        journal_id: row.get(1)?,
        envelope_seq: row.get(2)?,
        recipe: row.get(3)?,
        class: match class.as_str() {
            "local" => OperationClass::Local,
            "keyed" => OperationClass::Keyed,
            // The strictest of the three: tried at most once.
            _ => OperationClass::Unkeyed,
        },
        kind: row.get(5)?,
        lane: row.get(6)?,
        body: row.get(7)?,
        task: row.get(8)?,
        capability: row.get(9)?,
        priority: row.get(10)?,
        mode: mode.map(|word| match word.as_str() {
            "respond" => WakeMode::Respond,
            _ => WakeMode::Process,
        }),
        flush_id: row.get(12)?,
        state: state.parse().unwrap_or(OutboxState::Uncertain),
        attempts: row.get(14)?,
        not_before: TimestampMs::from_i64(row.get(15)?),
        detail: row.get(16)?,
        created_at: TimestampMs::from_i64(row.get(17)?),
        updated_at: TimestampMs::from_i64(row.get(18)?),
        ordinal: row.get(19)?,
    })
}

/// A row to be.
pub(super) struct NewRow {
    pub(super) ordinal: u32,
    pub(super) class: OperationClass,
    pub(super) kind: &'static str,
    pub(super) lane: String,
    pub(super) body: String,
    pub(super) task: Option<String>,
    pub(super) capability: Option<String>,
    pub(super) priority: Option<u8>,
    pub(super) mode: Option<WakeMode>,
    pub(super) flush_id: Option<i64>,
    /// What follows when it comes to nothing.
    pub(super) after_failure: Option<AfterFailure>,
}

pub(super) fn insert(
    session: &mut Session,
    origin: &Origin,
    new: &NewRow,
) -> Result<i64, StoreError> {
    session.outbox_grew = true;
    count(session, origin, new.kind)?;
    session
        .connection
        .prepare_cached(
            "INSERT INTO outbox (journal_id, envelope_seq, recipe, ordinal, class, kind, lane,
                 body, task, capability, priority, mode, flush_id, state, created_at, updated_at,
                 after_failure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'pending', ?14, ?14,
                 ?15)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                origin.journal_id,
                origin.envelope_seq,
                origin.recipe,
                new.ordinal,
                class_word(new.class),
                new.kind,
                new.lane,
                new.body,
                new.task,
                new.capability,
                new.priority,
                new.mode.map(mode_word),
                new.flush_id,
                origin.at.as_i64(),
                new.after_failure.as_ref().and_then(|after| serde_json::to_string(after).ok()),
            ])
        })
        .doing("add to the outbox")
}

/// Counts what is bounded by the hour, against each recipe that answers for it
/// and against all that is done.
fn count(session: &Session, origin: &Origin, kind: &str) -> Result<(), StoreError> {
    if !HOURLY.contains(&kind) {
        return Ok(());
    }
    let connection = &session.connection;
    let past = origin.at.minus(2 * HOUR).as_i64();
    let answerable = origin.answerable.iter().map(String::as_str);
    for recipe in answerable.filter(|name| *name != EVERYBODY).chain([EVERYBODY]) {
        connection
            .prepare_cached("DELETE FROM done WHERE recipe = ?1 AND kind = ?2 AND at < ?3")
            .and_then(|mut statement| statement.execute(params![recipe, kind, past]))
            .doing("forget what is long done")?;
        connection
            .prepare_cached("INSERT INTO done (recipe, kind, at) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![recipe, kind, origin.at.as_i64()]))
            .doing("count what is done")?;
    }
    Ok(())
}
