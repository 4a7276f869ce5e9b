//! How outbox rows come to an end: attempts are marked, ended and journaled,
//! and a buffer is emptied when its briefing and its wake are through. What
//! rows are is in `outbox_rows.rs`; performing them in `outbox.rs`, beside the
//! store.

use rusqlite::{OptionalExtension as _, params};
use serde_json::json;

use super::Store;
use super::continuations::{self, SkillAnswer};
use super::error::{Doing, StoreError};
use super::failed_steps;
use super::journal_columns::{self, Note, PERFORMED};
use super::outbox_rows::{OutboxRow, OutboxState, ROW, read_row};
use super::sender_limits;
use super::session::Session;
use crate::buffers::briefing;
use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::operation::OperationClass;

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
    /// What a skill answered.
    pub answer: Option<SkillAnswer>,
}

impl Finish {
    pub fn new(id: i64, at: TimestampMs, outcome: Outcome) -> Self {
        Self { id, at, outcome, answer: None }
    }

    /// What a recipe that waits for an answer is told: the skill's own, or that
    /// none will come.
    fn told(&self) -> Option<SkillAnswer> {
        let nothing = |status: &str, detail: &str| SkillAnswer {
            status: status.to_owned(),
            output: json!({"error": detail}).to_string(),
        };
        match &self.outcome {
            Outcome::Done { .. } | Outcome::Recorded { .. } => self.answer.clone(),
            Outcome::Failed { detail } => {
                Some(self.answer.clone().unwrap_or_else(|| nothing("error", detail)))
            }
            Outcome::Uncertain { detail } => Some(nothing("uncertain", detail)),
            Outcome::Held { .. } | Outcome::Retry { .. } => None,
        }
    }
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

    /// Lets go what was held: it is due at once.
    ///
    /// # Errors
    /// The database cannot be written; nothing was changed.
    pub fn release_blocking(&self, ids: Vec<i64>, at: TimestampMs) -> Result<(), StoreError> {
        self.writer.run_blocking(ids.len(), move |session| release_all(session, &ids, at))
    }

    /// As [`Self::finish`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_blocking(&self, ends: Vec<Finish>) -> Result<(), StoreError> {
        self.writer.run_blocking(ends.len(), move |session| finish_all(session, &ends))
    }
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

fn release_all(session: &mut Session, ids: &[i64], at: TimestampMs) -> Result<(), StoreError> {
    for id in ids {
        session
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = 'pending', not_before = ?2, updated_at = ?2
                 WHERE id = ?1 AND state = 'held'",
            )
            .and_then(|mut statement| statement.execute(params![id, at.as_i64()]))
            .doing("let an outbox row go")?;
    }
    session.outbox_grew = true;
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
    if matches!(state, OutboxState::Done | OutboxState::Uncertain) {
        sender_limits::note_sent(session, &row, end.at)?;
    }
    if let Some(answer) = end.told() {
        continuations::answer(session, row.id, &answer)?;
    }
    if matches!(state, OutboxState::Failed | OutboxState::Uncertain) {
        failed_steps::after(session, &row, end.outcome.detail(), end.at)?;
    }
    match row.flush_id {
        Some(flush_id) => empty_if_through(session, flush_id, end.at),
        None => Ok(()),
    }
}

pub(super) fn append_performed(
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
    let note = Note {
        at,
        envelope_seq: row.envelope_seq,
        recipe: &row.recipe,
        action: &row.kind,
        action_name: state.as_str(),
        reason: detail,
        outbox_id: Some(row.id),
        detail: Some(&facts),
    };
    journal_columns::append_note(session, PERFORMED, &note).map(drop)
}

/// A buffer's rows go only when every briefing is on disk and the wake was
/// accepted: until then a crash or a failure loses none of them. What the operator
/// gave up is waited for no longer.
pub(super) fn empty_if_through(
    session: &Session,
    flush_id: i64,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let open: bool = session
        .connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM flushes WHERE id = ?1 AND upto IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM outbox
                     WHERE flush_id = ?1 AND state NOT IN ('done', 'recorded', 'dropped'))",
        )
        .and_then(|mut statement| statement.query_row([flush_id], |row| row.get(0)))
        .doing("look at a flush")?;
    if open { Ok(()) } else { empty_some(session, flush_id, at) }
}

/// So many rows at once, so that those of a huge flush do not hold up events:
/// [`empty_next`] takes the rest.
fn empty_some(session: &Session, flush_id: i64, at: TimestampMs) -> Result<(), StoreError> {
    let gone = session
        .connection
        .prepare_cached(EMPTY)
        .and_then(|mut statement| statement.execute(params![flush_id, briefing::MAX_ITEMS]))
        .doing("empty a buffer")?;
    if gone >= briefing::MAX_ITEMS as usize {
        return Ok(());
    }
    session
        .connection
        .prepare_cached("UPDATE flushes SET emptied_at = ?2 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![flush_id, at.as_i64()]))
        .doing("close a flush")?;
    Ok(())
}

/// Goes on with a flush that is through and not emptied yet. False: there is none.
pub(super) fn empty_next(session: &mut Session, at: TimestampMs) -> Result<bool, StoreError> {
    let through: Option<i64> = session
        .connection
        .prepare_cached(THROUGH)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .doing("look for flushes that are through")?;
    match through {
        Some(flush_id) => empty_some(session, flush_id, at).map(|()| true),
        None => Ok(false),
    }
}

const EMPTY: &str = "DELETE FROM buffers WHERE id IN
    (SELECT id FROM buffers WHERE flush_id = ?1 LIMIT ?2)";
const THROUGH: &str = "SELECT f.id FROM flushes f
    WHERE f.emptied_at IS NULL AND f.upto IS NULL AND NOT EXISTS (SELECT 1 FROM outbox o
        WHERE o.flush_id = f.id AND o.state NOT IN ('done', 'recorded', 'dropped'))
    LIMIT 1";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [EMPTY, THROUGH];

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
        finish_one(session, &Finish::new(row.id, now, outcome))?;
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
