//! What the operator does with rows that wait or came to nothing, and what
//! happens to held ones when a node is there. Each change leaves a journal row
//! that says who made it; no row is ever deleted. How rows end by themselves is
//! in `outbox_ends.rs`.

use rusqlite::{OptionalExtension as _, params};
use serde_json::json;

use super::Store;
use super::continuations::{self, SkillAnswer};
use super::error::{Doing, StoreError};
use super::failed_steps;
use super::outbox_ends::{append_performed, empty_if_through};
use super::outbox_rows::{BRIEFING, NO_NODE, OutboxRow, OutboxState, ROW, WAKE, read_row};
use super::session::Session;
use crate::clock::TimestampMs;

/// Held rows that are released in one transaction.
const AT_ONCE: u32 = 256;

/// What the operator wants of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxOrder {
    /// It is pending again, and tried as soon as its lane allows it.
    Retry,
    /// It is given up.
    Drop,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    Done(OutboxState),
    NoSuchRow,
    /// The row stands where it stood.
    Refused(OutboxState),
}

impl OutboxOrder {
    pub const WORDS: [&'static str; 2] = ["retry", "drop"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drop => "drop",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Retry, Self::Drop].into_iter().find(|order| order.as_str() == word)
    }

    /// The state of a row in `state` after it, if it can be carried out.
    fn leads_to(self, state: OutboxState) -> Option<OutboxState> {
        use OutboxState::{Dropped, Failed, Held, Pending, Uncertain};
        match (self, state) {
            (Self::Retry, Held | Uncertain | Failed) => Some(Pending),
            (Self::Drop, Pending | Held | Uncertain | Failed) => Some(Dropped),
            _ => None,
        }
    }

    /// That there is no such row.
    pub fn no_such(id: i64) -> String {
        format!("there is no outbox row {id}: see `thrall outbox list`")
    }

    /// Why a row in `state` is left as it is.
    pub fn refusal(self, id: i64, state: OutboxState) -> String {
        let why = match (self, state) {
            (_, OutboxState::Done | OutboxState::Recorded) => "it has happened",
            (_, OutboxState::Attempting) => "see how this attempt ends",
            (_, OutboxState::Dropped) => "it stays so",
            (Self::Retry, _) => "it is tried by itself",
            (Self::Drop, _) => "it cannot be given up",
        };
        format!("outbox row {id} is {}: {why}", state.as_str())
    }
}

impl Store {
    /// Carries out the operator's word on a row.
    ///
    /// # Errors
    /// The database cannot be written; nothing was changed.
    pub async fn order(
        &self,
        id: i64,
        order: OutboxOrder,
        at: TimestampMs,
    ) -> Result<Ordered, StoreError> {
        self.writer.run(1, move |session| carry_out(session, id, order, at)).await
    }

    /// Makes pending again what is held because there was no node. Returns how
    /// many rows.
    ///
    /// # Errors
    /// The database cannot be read or written; what is not released stays held.
    pub async fn release_held(&self, at: TimestampMs) -> Result<usize, StoreError> {
        let mut released = 0;
        loop {
            let rows =
                self.writer.run(AT_ONCE as usize, move |session| release_some(session, at)).await?;
            if rows == 0 {
                return Ok(released);
            }
            released += rows;
        }
    }
}

fn carry_out(
    session: &mut Session,
    id: i64,
    order: OutboxOrder,
    at: TimestampMs,
) -> Result<Ordered, StoreError> {
    let found = session
        .connection
        .prepare_cached(&format!("SELECT {ROW} FROM outbox o WHERE o.id = ?1"))
        .and_then(|mut statement| statement.query_row([id], read_row).optional())
        .doing("read an outbox row")?;
    let Some(row) = found else { return Ok(Ordered::NoSuchRow) };
    let Some(state) = order.leads_to(row.state) else { return Ok(Ordered::Refused(row.state)) };
    match order {
        OutboxOrder::Retry => {
            let why = format!("tried again for the operator{}", after(&row));
            put_back(session, &row, &why, at)?;
        }
        OutboxOrder::Drop => give_up(session, &row, at)?,
    }
    Ok(Ordered::Done(state))
}

/// `; it was failed: no such skill`.
fn after(row: &OutboxRow) -> String {
    let state = row.state.as_str();
    if row.detail.is_empty() {
        format!("; it was {state}")
    } else {
        format!("; it was {state}: {}", row.detail)
    }
}

/// What went wrong before stays readable in the row until it is tried.
fn put_back(
    session: &mut Session,
    row: &OutboxRow,
    why: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "UPDATE outbox SET state = 'pending', not_before = 0, updated_at = ?2 WHERE id = ?1",
        )
        .and_then(|mut statement| statement.execute(params![row.id, at.as_i64()]))
        .doing("put an outbox row back")?;
    session.outbox_grew = true;
    append_performed(session, row, OutboxState::Pending, why, at)
}

fn give_up(session: &mut Session, row: &OutboxRow, at: TimestampMs) -> Result<(), StoreError> {
    let why = format!("given up by the operator{}", after(row));
    session
        .connection
        .prepare_cached(
            "UPDATE outbox SET state = 'dropped', detail = ?2, updated_at = ?3 WHERE id = ?1",
        )
        .and_then(|mut statement| statement.execute(params![row.id, why, at.as_i64()]))
        .doing("give an outbox row up")?;
    append_performed(session, row, OutboxState::Dropped, &why, at)?;
    let told =
        SkillAnswer { status: "error".to_owned(), output: json!({"error": why}).to_string() };
    continuations::answer(session, row.id, &told)?;
    // Somebody has to make an event of that answer.
    session.outbox_grew = true;
    match row.flush_id {
        Some(flush_id) => {
            if let Some(wake) = wake_to_nothing(session, flush_id)? {
                give_up(session, &wake, at)?;
            }
            empty_if_through(session, flush_id, at)
        }
        // After one that came to nothing by itself that was done then, and what is
        // pending now is the wake that tells of it.
        None if matches!(row.state, OutboxState::Pending | OutboxState::Held) => {
            failed_steps::stop_the_rest(session, row, at)
        }
        None => Ok(()),
    }
}

/// The wake of a flush of which no briefing is left: it would lead nowhere.
fn wake_to_nothing(session: &Session, flush_id: i64) -> Result<Option<OutboxRow>, StoreError> {
    session
        .connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o WHERE o.flush_id = ?1 AND o.kind = ?2
                 AND o.state IN ('pending', 'held', 'failed', 'uncertain')
                 AND NOT EXISTS (SELECT 1 FROM outbox b
                     WHERE b.flush_id = ?1 AND b.kind = ?3 AND b.state <> 'dropped')"
        ))
        .and_then(|mut statement| {
            statement.query_row(params![flush_id, WAKE, BRIEFING], read_row).optional()
        })
        .doing("read a flush")
}

fn release_some(session: &mut Session, at: TimestampMs) -> Result<usize, StoreError> {
    let rows: Vec<OutboxRow> = session
        .connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o WHERE o.state = 'held' AND o.detail = ?1
             ORDER BY o.id LIMIT ?2"
        ))
        .and_then(|mut statement| {
            statement.query_map(params![NO_NODE, AT_ONCE], read_row)?.collect()
        })
        .doing("read the outbox")?;
    for row in &rows {
        put_back(session, row, "a node is connected now", at)?;
    }
    Ok(rows.len())
}
