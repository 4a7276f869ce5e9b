//! Flushing a buffer: its waiting rows are stamped with a flush, and briefings
//! and one wake that names them are put into the outbox. The rows themselves stay
//! until all of these are done. What a message makes flush is one briefing, in its
//! decision's transaction. What is due by the clock is flushed in steps of one
//! briefing each, so that a huge buffer does not hold up events; the wake comes
//! with the last, and a flush that was begun is ended by the next look at the
//! clock, also after a restart. Which rows a briefing takes is in `flush_rows.rs`.

use rusqlite::params;
use serde_json::json;

use super::Store;
use super::error::{Doing, StoreError};
use super::flush_rows::{self, Take};
use super::journal_columns::{self, Note, PERFORMED};
use super::outbox_ends;
use super::outbox_rows::{self, NewRow, OutboxState};
use super::session::Session;
use crate::buffers::{Flush, FlushCause, FlushHead, FlushRules, briefing, flush_policy, wake_body};
use crate::clock::TimestampMs;
use crate::fault_points::{FaultHook, FaultPoint};
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

/// What became of one step.
enum Step {
    /// There is more to take.
    Taken(i64),
    /// All is taken, the wake is in the outbox.
    Whole(Flush),
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

impl Origin {
    fn of_clock(at: TimestampMs, dry_run: bool) -> Self {
        Self {
            journal_id: None,
            envelope_seq: None,
            recipe: String::new(),
            answerable: Vec::new(),
            at,
            dry_run,
        }
    }
}

impl Store {
    /// Flushes every buffer whose items have waited for long enough, ends what
    /// was begun, and takes away what has been delivered. Returns what was
    /// flushed. `faults` is told between two steps.
    ///
    /// # Errors
    /// The database cannot be written; what is not flushed waits on.
    pub async fn flush_due(
        &self,
        now: TimestampMs,
        rules: FlushRules,
        faults: &FaultHook,
    ) -> Result<Vec<Flush>, StoreError> {
        let dry_run = rules.dry_run;
        let mut flushes = Vec::new();
        for id in self.writer.run(1, begun).await? {
            flushes.push(self.go_on(id, now, dry_run, faults).await?);
        }
        for due in self.writer.run(1, move |session| due(session, now, &rules)).await? {
            flushes.extend(self.flush(due, now, dry_run, faults).await?);
        }
        while self
            .writer
            .run(STEP_WEIGHT, move |session| outbox_ends::empty_next(session, now))
            .await?
        {}
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
        faults: &FaultHook,
    ) -> Result<Option<Flush>, StoreError> {
        let name = buffer.clone();
        let upto = self.writer.run(1, move |session| last_waiting(session, &name)).await?;
        let Some(upto) = upto else { return Ok(None) };
        self.flush(Due { buffer, cause: FlushCause::Operator, upto }, now, dry_run, faults).await
    }

    async fn flush(
        &self,
        due: Due,
        now: TimestampMs,
        dry_run: bool,
        faults: &FaultHook,
    ) -> Result<Option<Flush>, StoreError> {
        let first =
            self.writer.run(STEP_WEIGHT, move |session| begin(session, &due, now, dry_run)).await?;
        match first {
            None => Ok(None),
            Some(Step::Whole(flush)) => Ok(Some(flush)),
            Some(Step::Taken(id)) => {
                faults(FaultPoint::FlushBegun);
                self.go_on(id, now, dry_run, faults).await.map(Some)
            }
        }
    }

    async fn go_on(
        &self,
        id: i64,
        now: TimestampMs,
        dry_run: bool,
        faults: &FaultHook,
    ) -> Result<Flush, StoreError> {
        loop {
            let step = self
                .writer
                .run(STEP_WEIGHT, move |session| take_more(session, id, now, dry_run))
                .await?;
            match step {
                Step::Whole(flush) => return Ok(flush),
                Step::Taken(_) => faults(FaultPoint::FlushBegun),
            }
        }
    }
}

/// Flushes one briefing, of the item that is the cause, of what has priority, and
/// of the oldest of the rest: a wake of a recipe's own is one wake.
pub(super) fn flush_once(
    session: &mut Session,
    buffer: &str,
    cause: &FlushCause,
    item: i64,
    origin: &Origin,
) -> Result<bool, StoreError> {
    let head = open(session, buffer, cause, origin.at, None)?;
    if flush_rows::stamp(session, &head, 0, Take::Urgent { item })? == 0 {
        return Ok(false);
    }
    add_briefing(session, origin, &head, 0)?;
    add_wake(session, origin, &head)?;
    Ok(true)
}

/// The first briefing of a flush that may have several; none where nothing waits.
fn begin(
    session: &mut Session,
    due: &Due,
    now: TimestampMs,
    dry_run: bool,
) -> Result<Option<Step>, StoreError> {
    if !flush_rows::waits(session, &due.buffer, due.upto)? {
        return Ok(None);
    }
    let head = open(session, &due.buffer, &due.cause, now, Some(due.upto))?;
    take_more(session, head.id, now, dry_run).map(Some)
}

/// The next briefing, and with the last one the wake.
fn take_more(
    session: &mut Session,
    id: i64,
    now: TimestampMs,
    dry_run: bool,
) -> Result<Step, StoreError> {
    let (head, upto) = flush_rows::read_head(&session.connection, id)?
        .ok_or_else(|| StoreError::malformed(format!("flush {id}")))?;
    let parts = flush_rows::parts(&session.connection, id)?;
    let Some(upto) = upto else { return Ok(Step::Whole(Flush { head, parts })) };
    let origin = Origin::of_clock(now, dry_run);
    let taken = flush_rows::stamp(session, &head, parts, Take::Oldest { upto })?;
    let parts = if taken == 0 {
        parts
    } else {
        add_briefing(session, &origin, &head, parts)?;
        parts + 1
    };
    if parts < briefing::MAX_OF_A_WAKE && flush_rows::waits(session, &head.buffer, upto)? {
        return Ok(Step::Taken(id));
    }
    session
        .connection
        .prepare_cached("UPDATE flushes SET upto = NULL WHERE id = ?1")
        .and_then(|mut statement| statement.execute([id]))
        .doing("end a flush")?;
    add_wake(session, &origin, &head)?;
    let flush = Flush { head, parts };
    if flush.head.cause == FlushCause::Operator.to_string() {
        note_flush(session, &flush, now)?;
    }
    Ok(Step::Whole(flush))
}

fn open(
    session: &Session,
    buffer: &str,
    cause: &FlushCause,
    at: TimestampMs,
    upto: Option<i64>,
) -> Result<FlushHead, StoreError> {
    let cause = cause.to_string();
    let id = session
        .connection
        .prepare_cached(
            "INSERT INTO flushes (buffer, cause, at, item_count, upto) VALUES (?1, ?2, ?3, 0, ?4)",
        )
        .and_then(|mut statement| statement.insert(params![buffer, cause, at.as_i64(), upto]))
        .doing("begin a flush")?;
    Ok(FlushHead { id, buffer: buffer.to_owned(), cause, at })
}

fn lane(head: &FlushHead) -> String {
    format!("buffer/{}", head.buffer)
}

/// Its ordinal says which of the flush it is: the lane keeps them in order, and
/// the wake behind them.
fn add_briefing(
    session: &mut Session,
    origin: &Origin,
    head: &FlushHead,
    part: u32,
) -> Result<(), StoreError> {
    let body = json!({"buffer": head.buffer, "cause": head.cause, "artifact": head.artifact(part)});
    let briefing = NewRow {
        ordinal: part,
        class: OperationClass::Keyed,
        kind: outbox_rows::BRIEFING,
        lane: lane(head),
        body: body.to_string(),
        task: None,
        capability: None,
        priority: None,
        mode: None,
        flush_id: Some(head.id),
        after_failure: None,
    };
    outbox_rows::insert(session, origin, &briefing).map(drop)
}

fn add_wake(session: &mut Session, origin: &Origin, head: &FlushHead) -> Result<(), StoreError> {
    let parts = flush_rows::parts(&session.connection, head.id)?;
    let stats = flush_rows::stats(session, head.id)?;
    let flush = Flush { head: head.clone(), parts };
    let task = wake_body::flush_task(head, stats.item_count);
    let wake = NewRow {
        ordinal: parts,
        class: OperationClass::Unkeyed,
        kind: outbox_rows::WAKE,
        lane: lane(head),
        body: wake_body::for_flush(&flush, &task, &stats, origin.dry_run).to_string(),
        task: Some(task),
        capability: Some(String::new()),
        priority: Some(WAKE_PRIORITY),
        mode: Some(WakeMode::Process),
        flush_id: Some(head.id),
        after_failure: None,
    };
    outbox_rows::insert(session, origin, &wake).map(drop)
}

/// Flushes that have no wake yet: their service ended in between.
fn begun(session: &mut Session) -> Result<Vec<i64>, StoreError> {
    session
        .connection
        .prepare_cached(BEGUN)
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .doing("look for flushes that were begun")
}

const BEGUN: &str =
    "SELECT id FROM flushes WHERE emptied_at IS NULL AND upto IS NOT NULL ORDER BY id";

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

/// That somebody asked for a flush is written down, as no decision and no clock
/// stands behind it.
fn note_flush(session: &mut Session, flush: &Flush, at: TimestampMs) -> Result<(), StoreError> {
    let head = &flush.head;
    let more = match flush.parts {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let reason =
        format!("{} flushed for the operator, briefing {}{more}", head.buffer, head.artifact(0));
    let detail = json!({"buffer": head.buffer, "flush_id": head.id, "cause": head.cause});
    let note = Note {
        at,
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

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 1] = [BEGUN];
