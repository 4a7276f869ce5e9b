//! Flushing a buffer: its waiting rows are stamped with a flush, and a
//! briefing and a wake are put into the outbox, all in one transaction. The
//! rows themselves stay until both are done. What is due by the clock is flushed
//! in steps of one briefing each, so that a huge buffer does not hold up events.

use rusqlite::{OptionalExtension as _, params};
use serde_json::json;

use super::Store;
use super::error::{Doing, StoreError};
use super::journal_columns::{self, Note, PERFORMED};
use super::outbox_rows::{self, NewRow, OutboxState};
use super::reader::Reader;
use super::session::Session;
use crate::buffers::wake_body::{self, FlushStats};
use crate::buffers::{
    BufferItem, FlushCause, FlushHead, FlushRules, GatheredLines, briefing, flush_policy,
};
use crate::clock::TimestampMs;
use crate::ids::{EnvelopeSeq, JournalId};
use crate::operation::{OperationClass, WakeMode};

/// Of a wake that no recipe asked for itself.
const WAKE_PRIORITY: u8 = 5;

/// Of one briefing, in events of the writer's batches: as much work as many.
const STEP_WEIGHT: usize = 128;

/// A buffer whose time has come.
#[derive(Clone, Debug)]
struct Due {
    buffer: String,
    cause: FlushCause,
    /// Its last item so far: what comes later has to wait for itself.
    upto: i64,
}

/// What led to outbox rows: a decision, or the clock.
pub(super) struct Origin {
    pub(super) journal_id: Option<JournalId>,
    pub(super) envelope_seq: Option<EnvelopeSeq>,
    pub(super) recipe: String,
    /// Recipes whose hour an operation counts against.
    pub(super) answerable: Vec<String>,
    pub(super) at: TimestampMs,
    /// See [`FlushRules::dry_run`].
    pub(super) dry_run: bool,
}

impl Store {
    /// Flushes every buffer whose items have waited for long enough. Returns
    /// what was flushed.
    ///
    /// # Errors
    /// The database cannot be written; what is not flushed waits on.
    pub async fn flush_due(
        &self,
        now: TimestampMs,
        rules: FlushRules,
    ) -> Result<Vec<FlushHead>, StoreError> {
        let dry_run = rules.dry_run;
        let mut flushes = Vec::new();
        for due in self.writer.run(1, move |session| due(session, now, &rules)).await? {
            flushes.extend(self.flush_steps(due, now, dry_run).await?);
        }
        Ok(flushes)
    }

    /// Flushes what waits in a buffer, whatever the clock says: the operator's
    /// word. Nothing is returned where nothing waits.
    ///
    /// # Errors
    /// As [`Self::flush_due`].
    pub async fn flush_buffer(
        &self,
        buffer: String,
        now: TimestampMs,
        dry_run: bool,
    ) -> Result<Vec<FlushHead>, StoreError> {
        let name = buffer.clone();
        let upto = self.writer.run(1, move |session| last_waiting(session, &name)).await?;
        let Some(upto) = upto else { return Ok(Vec::new()) };
        let due = Due { buffer, cause: FlushCause::Operator, upto };
        self.flush_steps(due, now, dry_run).await
    }

    async fn flush_steps(
        &self,
        due: Due,
        now: TimestampMs,
        dry_run: bool,
    ) -> Result<Vec<FlushHead>, StoreError> {
        let mut flushes = Vec::new();
        loop {
            let step = due.clone();
            let flushed = self
                .writer
                .run(STEP_WEIGHT, move |session| flush_step(session, &step, now, dry_run))
                .await?;
            let Some(head) = flushed else { return Ok(flushes) };
            flushes.push(head);
        }
    }

    /// As [`Self::flush_due`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::flush_due`].
    pub fn flush_due_blocking(
        &self,
        now: TimestampMs,
        rules: FlushRules,
    ) -> Result<Vec<FlushHead>, StoreError> {
        let dry_run = rules.dry_run;
        let mut flushes = Vec::new();
        for due in self.writer.run_blocking(1, move |session| due(session, now, &rules))? {
            loop {
                let step = due.clone();
                let flushed = self.writer.run_blocking(STEP_WEIGHT, move |session| {
                    flush_step(session, &step, now, dry_run)
                })?;
                let Some(head) = flushed else { break };
                flushes.push(head);
            }
        }
        Ok(flushes)
    }
}

impl Reader {
    /// A flush with its items, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn flush(&self, id: i64) -> Result<Option<(FlushHead, Vec<BufferItem>)>, StoreError> {
        self.snapshot(|connection| {
            let head = connection
                .prepare_cached("SELECT buffer, cause, at FROM flushes WHERE id = ?1")
                .and_then(|mut statement| {
                    statement
                        .query_row([id], |row| {
                            let at = TimestampMs::from_i64(row.get(2)?);
                            Ok(head(id, row.get(0)?, row.get(1)?, at))
                        })
                        .optional()
                })
                .doing("read a flush")?;
            let Some(head) = head else { return Ok(None) };
            let items = connection
                .prepare_cached(&format!(
                    "SELECT {ITEM} FROM buffers WHERE flush_id = ?1 ORDER BY id"
                ))
                .and_then(|mut statement| statement.query_map([id], item)?.collect())
                .doing("read a flush")?;
            Ok(Some((head, items)))
        })
    }
}

/// The columns of an item.
pub(super) const ITEM: &str = "at, recipe, from_node, sender_key, tier, msg_type, session_id,
    action, reason, note, priority, body, template, file, lines, last_at, last_body";

pub(super) fn item(row: &rusqlite::Row<'_>) -> rusqlite::Result<BufferItem> {
    Ok(BufferItem {
        at: TimestampMs::from_i64(row.get(0)?),
        recipe: row.get(1)?,
        from_node: row.get(2)?,
        sender_key: row.get(3)?,
        tier: row.get(4)?,
        msg_type: row.get(5)?,
        session_id: row.get(6)?,
        action: row.get(7)?,
        reason: row.get(8)?,
        note: row.get(9)?,
        is_priority: row.get(10)?,
        body: row.get(11)?,
        lines: match row.get(12)? {
            None => None,
            Some(template) => Some(GatheredLines {
                template,
                file: row.get(13)?,
                count: row.get(14)?,
                last_at: TimestampMs::from_i64(row.get(15)?),
                last: row.get(16)?,
            }),
        },
    })
}

fn head(id: i64, buffer: String, cause: String, at: TimestampMs) -> FlushHead {
    let artifact = briefing::file_name(at, &buffer, id);
    FlushHead { id, buffer, cause, at, artifact }
}

/// Items waiting in a buffer; counting stops at `cap`.
pub(super) fn gathered(session: &Session, buffer: &str, cap: u32) -> Result<u32, StoreError> {
    session
        .connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM buffers
                 WHERE buffer = ?1 AND flush_id IS NULL LIMIT ?2)",
        )
        .and_then(|mut statement| statement.query_row(params![buffer, cap], |row| row.get(0)))
        .doing("count a buffer")
}

/// Flushes one briefing, at most [`briefing::MAX_ITEMS`] of what waits: a wake of
/// a recipe's own is one wake.
pub(super) fn flush_once(
    session: &mut Session,
    buffer: &str,
    cause: &FlushCause,
    origin: &Origin,
) -> Result<bool, StoreError> {
    Ok(flush_next(session, buffer, cause, origin, i64::MAX)?.is_some())
}

/// The next briefing of what waits and is no later than `upto`.
fn flush_next(
    session: &mut Session,
    buffer: &str,
    cause: &FlushCause,
    origin: &Origin,
    upto: i64,
) -> Result<Option<FlushHead>, StoreError> {
    let Some(last) = last_of_next(session, buffer, upto)? else { return Ok(None) };
    let head = stamp(session, buffer, cause, origin.at, last)?;
    let stats = stats(session, head.id)?;
    enqueue(session, origin, &head, &stats)?;
    Ok(Some(head))
}

/// The last row that goes into the next briefing.
fn last_of_next(session: &Session, buffer: &str, upto: i64) -> Result<Option<i64>, StoreError> {
    session
        .connection
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM buffers
                 WHERE buffer = ?1 AND flush_id IS NULL AND id <= ?2 ORDER BY id LIMIT ?3)",
        )
        .and_then(|mut statement| {
            statement.query_row(params![buffer, upto, briefing::MAX_ITEMS], |row| row.get(0))
        })
        .doing("choose a flush")
}

fn stamp(
    session: &Session,
    buffer: &str,
    cause: &FlushCause,
    at: TimestampMs,
    last: i64,
) -> Result<FlushHead, StoreError> {
    let cause = cause.to_string();
    let id = session
        .connection
        .prepare_cached(
            "INSERT INTO flushes (buffer, cause, at, item_count)
             SELECT ?1, ?2, ?3, count(*) FROM buffers
             WHERE buffer = ?1 AND flush_id IS NULL AND id <= ?4",
        )
        .and_then(|mut statement| statement.insert(params![buffer, cause, at.as_i64(), last]))
        .doing("begin a flush")?;
    session
        .connection
        .prepare_cached(
            "UPDATE buffers SET flush_id = ?1
             WHERE buffer = ?2 AND flush_id IS NULL AND id <= ?3",
        )
        .and_then(|mut statement| statement.execute(params![id, buffer, last]))
        .doing("stamp a flush")?;
    Ok(head(id, buffer.to_owned(), cause, at))
}

fn stats(session: &Session, flush_id: i64) -> Result<FlushStats, StoreError> {
    let connection = &session.connection;
    let mut stats = connection
        .prepare_cached(
            "SELECT count(*), count(DISTINCT sender_key), coalesce(min(at), 0),
                 coalesce(max(coalesce(last_at, at)), 0)
             FROM buffers WHERE flush_id = ?1",
        )
        .and_then(|mut statement| {
            statement.query_row([flush_id], |row| {
                Ok(FlushStats {
                    item_count: row.get(0)?,
                    unique_senders: row.get(1)?,
                    oldest: TimestampMs::from_i64(row.get(2)?),
                    newest: TimestampMs::from_i64(row.get(3)?),
                    ..FlushStats::default()
                })
            })
        })
        .doing("summarise a flush")?;
    stats.senders = connection
        .prepare_cached(
            "SELECT DISTINCT sender_key FROM buffers WHERE flush_id = ?1 ORDER BY 1 LIMIT ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![flush_id, wake_body::MAX_SENDERS], |row| row.get(0))?
                .collect()
        })
        .doing("summarise a flush")?;
    stats.priority_items = connection
        .prepare_cached(
            "SELECT sender_key, body FROM buffers
             WHERE flush_id = ?1 AND priority = 1 ORDER BY id LIMIT ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![flush_id, wake_body::MAX_PRIORITY_ITEMS], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        })
        .doing("summarise a flush")?;
    Ok(stats)
}

/// First the briefing, then the wake: the lane keeps them in this order.
fn enqueue(
    session: &mut Session,
    origin: &Origin,
    head: &FlushHead,
    stats: &FlushStats,
) -> Result<(), StoreError> {
    let lane = format!("buffer/{}", head.buffer);
    let body = json!({"buffer": head.buffer, "cause": head.cause, "artifact": head.artifact});
    let briefing = NewRow {
        ordinal: 0,
        class: OperationClass::Keyed,
        kind: outbox_rows::BRIEFING,
        lane: lane.clone(),
        body: body.to_string(),
        task: None,
        capability: None,
        priority: None,
        mode: None,
        flush_id: Some(head.id),
        after_failure: None,
    };
    outbox_rows::insert(session, origin, &briefing)?;
    let task = wake_body::flush_task(head, stats.item_count);
    let wake = NewRow {
        ordinal: 1,
        class: OperationClass::Unkeyed,
        kind: outbox_rows::WAKE,
        lane,
        body: wake_body::for_flush(head, &task, stats, origin.dry_run).to_string(),
        task: Some(task),
        capability: Some(String::new()),
        priority: Some(WAKE_PRIORITY),
        mode: Some(WakeMode::Process),
        flush_id: Some(head.id),
        after_failure: None,
    };
    outbox_rows::insert(session, origin, &wake)?;
    Ok(())
}

/// The oldest item is the first one. A flush that is said to be later than now
/// was made while the clock was ahead and says nothing.
const WAITING: &str = "SELECT w.buffer, b.at,
         (SELECT max(f.at) FROM flushes f WHERE f.buffer = w.buffer AND f.at <= ?1), w.last
     FROM (SELECT buffer, min(id) AS first, max(id) AS last FROM buffers
         WHERE flush_id IS NULL GROUP BY buffer) w
     JOIN buffers b ON b.id = w.first";

fn due(
    session: &mut Session,
    now: TimestampMs,
    rules: &FlushRules,
) -> Result<Vec<Due>, StoreError> {
    let waiting: Vec<(String, i64, Option<i64>, i64)> = session
        .connection
        .prepare_cached(WAITING)
        .and_then(|mut statement| {
            statement
                .query_map([now.as_i64()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })
        .doing("look at the buffers")?;
    let due = waiting.into_iter().filter_map(|(buffer, oldest, last, upto)| {
        let interval = rules.interval_of(&buffer);
        let (oldest, last) = (TimestampMs::from_i64(oldest), last.map(TimestampMs::from_i64));
        let cause = flush_policy::by_timer(now, oldest, last, interval)?;
        Some(Due { buffer, cause, upto })
    });
    Ok(due.collect())
}

fn flush_step(
    session: &mut Session,
    due: &Due,
    now: TimestampMs,
    dry_run: bool,
) -> Result<Option<FlushHead>, StoreError> {
    let origin = Origin {
        journal_id: None,
        envelope_seq: None,
        recipe: String::new(),
        answerable: Vec::new(),
        at: now,
        dry_run,
    };
    let flushed = flush_next(session, &due.buffer, &due.cause, &origin, due.upto)?;
    if let (Some(head), FlushCause::Operator) = (&flushed, &due.cause) {
        note_flush(session, head)?;
    }
    Ok(flushed)
}

/// That somebody asked for a flush is written down, as no decision and no clock
/// stands behind it.
fn note_flush(session: &mut Session, head: &FlushHead) -> Result<(), StoreError> {
    let reason = format!("{} flushed for the operator, briefing {}", head.buffer, head.artifact);
    let detail = json!({"buffer": head.buffer, "flush_id": head.id, "cause": head.cause});
    let note = Note {
        at: head.at,
        envelope_seq: None,
        recipe: "",
        action: "flush",
        action_name: OutboxState::Done.as_str(),
        reason: &reason,
        outbox_id: None,
        detail: Some(&detail.to_string()),
    };
    journal_columns::append_note(session, PERFORMED, &note).map(drop)
}

fn last_waiting(session: &Session, buffer: &str) -> Result<Option<i64>, StoreError> {
    session
        .connection
        .prepare_cached("SELECT max(id) FROM buffers WHERE buffer = ?1 AND flush_id IS NULL")
        .and_then(|mut statement| statement.query_row([buffer], |row| row.get(0)))
        .doing("look at a buffer")
}
