//! The outbox table: what is left to perform, and what became of it. A row
//! that is finished gets a `performed` row in the journal, in the same
//! transaction. Performing itself is in `outbox.rs`, beside the store.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

use super::Store;
use super::effects::{class_word, mode_word};
use super::error::{Doing, StoreError};
use super::flush::Origin;
use super::journal_columns::{self, COLUMNS, PERFORMED, Values, text};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::operation::{OperationClass, WakeMode};

/// Kinds that the outbox itself knows; the others are an operation's.
pub const BRIEFING: &str = "briefing";
pub const WAKE: &str = "wake";

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
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
}

impl OutboxState {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Attempting,
        Self::Done,
        Self::Recorded,
        Self::Failed,
        Self::Held,
        Self::Uncertain,
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

/// What became of a row that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done {
        detail: String,
    },
    Recorded {
        detail: String,
    },
    Held {
        reason: String,
    },
    Uncertain {
        detail: String,
    },
    Failed {
        detail: String,
    },
    /// Nothing was sent; try again from then on. Leaves no journal row.
    Retry {
        detail: String,
        not_before: TimestampMs,
    },
}

impl Outcome {
    fn state(&self) -> OutboxState {
        match self {
            Self::Done { .. } => OutboxState::Done,
            Self::Recorded { .. } => OutboxState::Recorded,
            Self::Held { .. } => OutboxState::Held,
            Self::Uncertain { .. } => OutboxState::Uncertain,
            Self::Failed { .. } => OutboxState::Failed,
            Self::Retry { .. } => OutboxState::Pending,
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Done { detail }
            | Self::Recorded { detail }
            | Self::Held { reason: detail }
            | Self::Uncertain { detail }
            | Self::Failed { detail }
            | Self::Retry { detail, .. } => detail,
        }
    }
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    pub id: i64,
    pub at: TimestampMs,
    pub outcome: Outcome,
}

impl Store {
    /// Marks rows as being attempted; only when this is durable may the first
    /// byte of an unkeyed operation go out.
    ///
    /// # Errors
    /// A row is not pending, or the database cannot be written; no row was
    /// marked.
    pub async fn mark_attempting(&self, ids: Vec<i64>, at: TimestampMs) -> Result<(), StoreError> {
        self.writer.run(ids.len(), move |session| attempt_all(session, &ids, at)).await
    }

    /// As [`Self::mark_attempting`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::mark_attempting`].
    pub fn mark_attempting_blocking(
        &self,
        ids: Vec<i64>,
        at: TimestampMs,
    ) -> Result<(), StoreError> {
        self.writer.run_blocking(ids.len(), move |session| attempt_all(session, &ids, at))
    }

    /// Ends attempts: done, held, failed, ... each with its journal row. A
    /// buffer is emptied here, when its briefing and its wake are through.
    ///
    /// # Errors
    /// A row is neither pending nor attempting, or the database cannot be
    /// written; nothing was changed.
    pub async fn finish(&self, ends: Vec<Finish>) -> Result<(), StoreError> {
        self.writer.run(ends.len(), move |session| finish_all(session, &ends)).await
    }

    /// As [`Self::finish`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_blocking(&self, ends: Vec<Finish>) -> Result<(), StoreError> {
        self.writer.run_blocking(ends.len(), move |session| finish_all(session, &ends))
    }
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

const ROW: &str = "o.id, o.journal_id, o.envelope_seq, o.recipe, o.class, o.kind, o.lane, o.body,
    o.task, o.capability, o.priority, o.mode, o.flush_id, o.state, o.attempts, o.not_before,
    o.detail, o.created_at, o.updated_at";

/// Also keeps back the wake of a flush whose briefing came to nothing.
pub(super) const NEXT_PENDING: &str = "
    WHERE o.state = 'pending' AND o.not_before <= ?1
      AND NOT EXISTS (SELECT 1 FROM outbox e
          WHERE e.lane = o.lane AND e.id < o.id AND e.state IN ('pending', 'attempting')
            AND (e.state = 'attempting' OR e.not_before > ?1))
      AND NOT EXISTS (SELECT 1 FROM outbox b
          WHERE o.flush_id IS NOT NULL AND b.flush_id = o.flush_id AND b.id < o.id
            AND b.state IN ('failed', 'held', 'uncertain'))
    ORDER BY o.id LIMIT ?2";

fn read_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
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
        state: OutboxState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .unwrap_or(OutboxState::Uncertain),
        attempts: row.get(14)?,
        not_before: TimestampMs::from_i64(row.get(15)?),
        detail: row.get(16)?,
        created_at: TimestampMs::from_i64(row.get(17)?),
        updated_at: TimestampMs::from_i64(row.get(18)?),
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
}

pub(super) fn insert(
    session: &mut Session,
    origin: &Origin,
    new: &NewRow,
) -> Result<i64, StoreError> {
    session.outbox_grew = true;
    session
        .connection
        .prepare_cached(
            "INSERT INTO outbox (journal_id, envelope_seq, recipe, ordinal, class, kind, lane,
                 body, task, capability, priority, mode, flush_id, state, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'pending', ?14, ?14)",
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
            ])
        })
        .doing("add to the outbox")
}

fn attempt_all(session: &Session, ids: &[i64], at: TimestampMs) -> Result<(), StoreError> {
    for id in ids {
        let changed = session
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = 'attempting', attempts = attempts + 1, updated_at = ?2
                 WHERE id = ?1 AND state = 'pending'",
            )
            .and_then(|mut statement| statement.execute(params![id, at.as_i64()]))
            .doing("mark an outbox row")?;
        if changed == 0 {
            return Err(wrong_state(session, *id, "attempting"));
        }
    }
    Ok(())
}

fn finish_all(session: &mut Session, ends: &[Finish]) -> Result<(), StoreError> {
    ends.iter().try_for_each(|end| finish_one(session, end))
}

fn finish_one(session: &mut Session, end: &Finish) -> Result<(), StoreError> {
    let state = end.outcome.state();
    let found = session
        .connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o WHERE o.id = ?1 AND o.state IN ('pending', 'attempting')"
        ))
        .and_then(|mut statement| statement.query_row([end.id], read_row).optional())
        .doing("read an outbox row")?;
    let Some(row) = found else { return Err(wrong_state(session, end.id, state.as_str())) };
    let not_before = match end.outcome {
        Outcome::Retry { not_before, .. } => not_before,
        _ => row.not_before,
    };
    session
        .connection
        .prepare_cached(
            // An attempt that nobody announced counts when it ends.
            "UPDATE outbox SET attempts = attempts + (state = 'pending'),
                 state = ?2, detail = ?3, not_before = ?4, updated_at = ?5
             WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                end.id,
                state.as_str(),
                end.outcome.detail(),
                not_before.as_i64(),
                end.at.as_i64(),
            ])
        })
        .doing("mark an outbox row")?;
    if state == OutboxState::Pending {
        return Ok(());
    }
    append_performed(session, &row, state, end.outcome.detail(), end.at)?;
    match row.flush_id {
        Some(flush_id) => empty_if_through(session, flush_id, end.at),
        None => Ok(()),
    }
}

fn append_performed(
    session: &mut Session,
    row: &OutboxRow,
    state: OutboxState,
    detail: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let facts = json!({
        "lane": row.lane,
        "body_sha256": Digest::of(row.body.as_bytes()).to_string(),
        "attempts": row.attempts,
    })
    .to_string();
    let mut values: Values<'_> = [ValueRef::Null; COLUMNS.len()];
    for (name, value) in COLUMNS.iter().zip(values.iter_mut()) {
        *value = match *name {
            "at" => ValueRef::Integer(at.as_i64()),
            "envelope_seq" => row.envelope_seq.map_or(ValueRef::Null, ValueRef::Integer),
            "recipe" => text(&row.recipe),
            "action" => text(&row.kind),
            "action_name" => text(state.as_str()),
            "reason" => text(detail),
            "counted" => ValueRef::Integer(0),
            "outbox_id" => ValueRef::Integer(row.id),
            "detail" => text(&facts),
            _ => ValueRef::Null,
        };
    }
    journal_columns::append(session, PERFORMED, &values).map(drop)
}

/// A buffer's rows go only when the briefing is on disk and the wake was
/// accepted: until then a crash or a failure loses none of them.
fn empty_if_through(session: &Session, flush_id: i64, at: TimestampMs) -> Result<(), StoreError> {
    let open: bool = session
        .connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox
                 WHERE flush_id = ?1 AND state NOT IN ('done', 'recorded'))",
        )
        .and_then(|mut statement| statement.query_row([flush_id], |row| row.get(0)))
        .doing("look at a flush")?;
    if open {
        return Ok(());
    }
    session
        .connection
        .prepare_cached("DELETE FROM buffers WHERE flush_id = ?1")
        .and_then(|mut statement| statement.execute([flush_id]))
        .doing("empty a buffer")?;
    session
        .connection
        .prepare_cached("UPDATE flushes SET emptied_at = ?2 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![flush_id, at.as_i64()]))
        .doing("close a flush")?;
    Ok(())
}

/// After a start nothing is being attempted any more. What can be repeated is
/// pending again; what cannot is uncertain, and says so in the journal.
pub(super) fn recover(session: &mut Session, now: TimestampMs) -> Result<(), StoreError> {
    let attempting: Vec<OutboxRow> = session
        .connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o WHERE o.state = 'attempting' ORDER BY o.id"
        ))
        .and_then(|mut statement| statement.query_map([], read_row)?.collect())
        .doing("read the outbox")?;
    for row in attempting {
        let outcome = match row.class {
            OperationClass::Unkeyed => Outcome::Uncertain {
                detail: "the service ended during the attempt; it may have arrived".to_owned(),
            },
            OperationClass::Local | OperationClass::Keyed => Outcome::Retry {
                detail: "the service ended during the attempt".to_owned(),
                not_before: now,
            },
        };
        finish_one(session, &Finish { id: row.id, at: now, outcome })?;
    }
    Ok(())
}

fn wrong_state(session: &Session, id: i64, wanted: &'static str) -> StoreError {
    let state = session
        .connection
        .query_row("SELECT state FROM outbox WHERE id = ?1", [id], |row| row.get(0))
        .unwrap_or_else(|_| "not there".to_owned());
    StoreError::WrongState { id, state, wanted }
}
