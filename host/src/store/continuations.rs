//! Answers of skills that recipes wait for. A place is made with the outbox row
//! that asks, filled in the transaction that ends that row, and used in the one
//! that stores the `on_result` event: a crash between any two of them is
//! repaired by looking again, and an answer is used once. What the event looks
//! like is in `envelope/result_event.rs`.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Store;
use super::accept::{self, EnvelopeRow};
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::Child;

/// How long an answer is waited for.
pub const CONTINUATION_AGE: Duration = Duration::from_secs(24 * 3600);

/// A place to be.
pub(super) struct NewContinuation {
    pub(super) envelope_seq: EnvelopeSeq,
    pub(super) root: EnvelopeSeq,
    pub(super) recipe: String,
    pub(super) revision: Digest,
    pub(super) continue_as: String,
    pub(super) skill: String,
    pub(super) at: TimestampMs,
}

/// What a skill answered, or why nothing came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillAnswer {
    /// The skill's own word, `ok` where it has none; `error`, `uncertain` and
    /// `expired` are the host's.
    pub status: String,
    /// JSON.
    pub output: String,
}

/// An answer that waits to become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    pub outbox_id: i64,
    pub id: String,
    /// The event whose run asked.
    pub envelope_seq: EnvelopeSeq,
    pub recipe: String,
    pub revision: Digest,
    pub continue_as: String,
    pub skill: String,
    pub answer: SkillAnswer,
}

impl Store {
    /// Turns an answer into its event, once. `None`: it was used before.
    ///
    /// # Errors
    /// The database cannot be written; nothing was changed.
    pub async fn use_continuation(
        &self,
        outbox_id: i64,
        event: Child,
        at: TimestampMs,
    ) -> Result<Option<EnvelopeSeq>, StoreError> {
        let row = EnvelopeRow::of_child(event);
        self.writer.run(1, move |session| use_one(session, outbox_id, &row, at)).await
    }
}

impl Reader {
    /// Answers that have come and were not used, and places that nobody filled
    /// in time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn due_continuations(
        &self,
        now: TimestampMs,
        limit: u32,
    ) -> Result<Vec<Continuation>, StoreError> {
        self.with(|connection| due(connection, now, limit))
    }
}

const DUE: &str = "SELECT outbox_id, id, envelope_seq, recipe, revision, continue_as, skill,
        coalesce(status, 'expired'), coalesce(output, 'null')
    FROM continuations
    WHERE used_at IS NULL AND (status IS NOT NULL OR expires_at <= ?1)
    ORDER BY outbox_id LIMIT ?2";

fn due(
    connection: &Connection,
    now: TimestampMs,
    limit: u32,
) -> Result<Vec<Continuation>, StoreError> {
    connection
        .prepare_cached(DUE)
        .and_then(|mut statement| {
            statement
                .query_map(params![now.as_i64(), limit], |row| {
                    Ok(Continuation {
                        outbox_id: row.get(0)?,
                        id: row.get(1)?,
                        envelope_seq: row.get(2)?,
                        recipe: row.get(3)?,
                        revision: Digest(row.get(4)?),
                        continue_as: row.get(5)?,
                        skill: row.get(6)?,
                        answer: SkillAnswer { status: row.get(7)?, output: row.get(8)? },
                    })
                })?
                .collect()
        })
        .doing("look for answers")
}

pub(super) fn insert(
    session: &Session,
    outbox_id: i64,
    new: &NewContinuation,
) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT INTO continuations (outbox_id, id, envelope_seq, root, recipe, revision,
                 continue_as, skill, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                outbox_id,
                uuid::Uuid::now_v7().to_string(),
                new.envelope_seq,
                new.root,
                new.recipe,
                new.revision.0,
                new.continue_as,
                new.skill,
                new.at.as_i64(),
                new.at.plus(CONTINUATION_AGE).as_i64(),
            ])
        })
        .doing("wait for an answer")
        .map(drop)
}

/// Keeps the answer of an outbox row that ended, if a recipe waits for it.
pub(super) fn answer(
    session: &Session,
    outbox_id: i64,
    answer: &SkillAnswer,
) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "UPDATE continuations SET status = ?2, output = ?3
             WHERE outbox_id = ?1 AND status IS NULL AND used_at IS NULL",
        )
        .and_then(|mut statement| {
            statement.execute(params![outbox_id, answer.status, answer.output])
        })
        .doing("keep an answer")
        .map(drop)
}

/// Answers that are waited for below a root event: each may become an event.
pub(super) fn open_below(connection: &Connection, root: EnvelopeSeq) -> Result<u32, StoreError> {
    connection
        .prepare_cached("SELECT count(*) FROM continuations WHERE root = ?1 AND used_at IS NULL")
        .and_then(|mut statement| statement.query_row([root], |row| row.get(0)))
        .doing("count awaited answers")
}

fn use_one(
    session: &Session,
    outbox_id: i64,
    row: &EnvelopeRow,
    at: TimestampMs,
) -> Result<Option<EnvelopeSeq>, StoreError> {
    let changed = session
        .connection
        .prepare_cached(
            "UPDATE continuations SET used_at = ?2 WHERE outbox_id = ?1 AND used_at IS NULL",
        )
        .and_then(|mut statement| statement.execute(params![outbox_id, at.as_i64()]))
        .doing("use an answer")?;
    if changed == 0 {
        return Ok(None);
    }
    let asked_by: Option<i64> = session
        .connection
        .prepare_cached("SELECT journal_id FROM outbox WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([outbox_id], |row| row.get(0)).optional())
        .doing("read an outbox row")?
        .flatten();
    accept::insert(session, row, false, asked_by).map(Some)
}
