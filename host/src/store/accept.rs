//! Accepting events: one row each, duplicates recognised. Committed before
//! anyone is told that the event was accepted.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::log_positions;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::envelope::{Envelope, Field};
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::journal::Child;
use crate::log_tail::Place;

/// How long the id of an event is remembered.
pub const DEDUPE_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// An event to accept, stamped and bounded by the caller.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub envelope: Envelope,
    /// The id under which the source may bring it again; `None` means that
    /// every arrival is an event of its own.
    pub dedupe_id: Option<String>,
    /// The recipes that will run, with their revisions, in order.
    pub matched: Vec<(String, Digest)>,
}

/// What became of an event, once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// `conflict`: its id was used before, for other content.
    New { seq: EnvelopeSeq, conflict: bool },
    /// `first_journal_id`: the first decision on it, if there is one yet.
    Duplicate { seq: EnvelopeSeq, first_journal_id: Option<JournalId> },
}

impl Accepted {
    /// The event's number, its first one for a duplicate.
    pub fn seq(&self) -> EnvelopeSeq {
        match self {
            Self::New { seq, .. } | Self::Duplicate { seq, .. } => *seq,
        }
    }
}

impl Store {
    /// Accepts events in order, all or none; answers when they are durable.
    ///
    /// # Errors
    /// The database cannot be written; nothing was accepted.
    pub async fn accept(&self, events: Vec<Incoming>) -> Result<Vec<Accepted>, StoreError> {
        let rows: Vec<EnvelopeRow> = events.into_iter().map(EnvelopeRow::prepare).collect();
        self.writer.run(rows.len(), move |session| accept_all(session, &rows)).await
    }

    /// Accepts lines of a log and keeps the place behind them, both or neither.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn accept_lines(
        &self,
        lines: Vec<Incoming>,
        path: String,
        place: Place,
        now: TimestampMs,
    ) -> Result<Vec<Accepted>, StoreError> {
        let rows: Vec<EnvelopeRow> = lines.into_iter().map(EnvelopeRow::prepare).collect();
        self.writer
            .run(rows.len() + 1, move |session| {
                log_positions::keep(session, &path, &place, now)?;
                accept_all(session, &rows)
            })
            .await
    }

    /// As [`Self::accept`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn accept_blocking(&self, events: Vec<Incoming>) -> Result<Vec<Accepted>, StoreError> {
        let rows: Vec<EnvelopeRow> = events.into_iter().map(EnvelopeRow::prepare).collect();
        self.writer.run_blocking(rows.len(), move |session| accept_all(session, &rows))
    }
}

/// An event with everything computed that the writer need not compute.
pub(super) struct EnvelopeRow {
    envelope: Envelope,
    dedupe: Option<DedupeKey>,
    matched: String,
    /// JSON; absent for what a source brought.
    lineage: Option<String>,
    is_pending: bool,
    payload: String,
    payload_digest: Digest,
}

struct DedupeKey {
    id: String,
    scope: [u8; 16],
    content: [u8; 16],
}

impl EnvelopeRow {
    fn prepare(incoming: Incoming) -> Self {
        let Incoming { envelope, dedupe_id, matched } = incoming;
        let payload = payload_json(&envelope.fields);
        let payload_digest = Digest::of(payload.as_bytes());
        let dedupe = dedupe_id.map(|id| DedupeKey {
            id,
            scope: half(&Digest::of_parts(&[
                envelope.source.as_bytes(),
                envelope.text("from_node").as_bytes(),
            ])),
            content: half(&Digest::of_parts(&[envelope.trigger.as_bytes(), &payload_digest.0])),
        });
        let lineage = envelope.root.is_some().then(|| to_json(&envelope.lineage));
        Self {
            dedupe,
            lineage,
            is_pending: !matched.is_empty(),
            matched: to_json(&matched),
            payload,
            payload_digest,
            envelope,
        }
    }

    /// The host makes each once and gives it an id of its own.
    pub(super) fn of_child(child: Child) -> Self {
        let Child { envelope, matched } = child;
        Self::prepare(Incoming { envelope, dedupe_id: None, matched })
    }
}

/// The fields as one JSON object, in their order.
pub(super) fn payload_json(fields: &[Field]) -> String {
    struct AsObject<'a>(&'a [Field]);
    impl serde::Serialize for AsObject<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|field| (&field.name, &field.value)))
        }
    }
    // Strings to strings: there is no failing case.
    serde_json::to_string(&AsObject(fields)).unwrap_or_default()
}

/// Of lists of strings, which cannot fail.
fn to_json<T: serde::Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}

fn half(digest: &Digest) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest.0) {
        *to = from;
    }
    half
}

fn accept_all(session: &mut Session, rows: &[EnvelopeRow]) -> Result<Vec<Accepted>, StoreError> {
    rows.iter().map(|row| accept_one(session, row)).collect()
}

fn accept_one(session: &Session, row: &EnvelopeRow) -> Result<Accepted, StoreError> {
    let mut conflict = false;
    if let Some(key) = &row.dedupe {
        match known(session, key, row.envelope.received_at)? {
            Known::No => {}
            Known::OtherContent => conflict = true,
            Known::Same(seq) => {
                let first_journal_id = first_decision(session, seq)?;
                return Ok(Accepted::Duplicate { seq, first_journal_id });
            }
        }
    }
    let seq = insert(session, row, conflict, None)?;
    if let Some(key) = &row.dedupe {
        session
            .connection
            .prepare_cached(
                "INSERT OR REPLACE INTO dedupe (id, scope, content, seq, at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .and_then(|mut statement| {
                let at = row.envelope.received_at.as_i64();
                statement.execute(params![key.id, key.scope, key.content, seq, at])
            })
            .doing("remember an event's id")?;
    }
    Ok(Accepted::New { seq, conflict })
}

enum Known {
    No,
    OtherContent,
    Same(EnvelopeSeq),
}

fn known(session: &Session, key: &DedupeKey, now: TimestampMs) -> Result<Known, StoreError> {
    let oldest = now.minus(DEDUPE_AGE).as_i64();
    let same = session
        .connection
        .prepare_cached(
            "SELECT seq FROM dedupe WHERE id = ?1 AND scope = ?2 AND content = ?3 AND at >= ?4",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![key.id, key.scope, key.content, oldest], |row| row.get(0))
                .optional()
        })
        .doing("look up an event's id")?;
    if let Some(seq) = same {
        return Ok(Known::Same(seq));
    }
    let is_used: bool = session
        .connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM dedupe WHERE id = ?1 AND scope = ?2 AND at >= ?3)",
        )
        .and_then(|mut statement| {
            statement.query_row(params![key.id, key.scope, oldest], |row| row.get(0))
        })
        .doing("look up an event's id")?;
    Ok(if is_used { Known::OtherContent } else { Known::No })
}

fn first_decision(session: &Session, seq: EnvelopeSeq) -> Result<Option<JournalId>, StoreError> {
    session
        .connection
        .prepare_cached("SELECT min(id) FROM journal WHERE envelope_seq = ?1 AND kind = 'decision'")
        .and_then(|mut statement| statement.query_row([seq], |row| row.get(0)))
        .doing("look up an event's first decision")
}

/// Writes an event with its fields. `triggered_by` is the journal row that
/// belongs to it, if a recipe made it.
pub(super) fn insert(
    session: &Session,
    row: &EnvelopeRow,
    conflict: bool,
    triggered_by: Option<JournalId>,
) -> Result<EnvelopeSeq, StoreError> {
    let envelope = &row.envelope;
    let id_given = row.dedupe.as_ref().is_some_and(|key| key.id == envelope.id);
    let seq = session
        .connection
        .prepare_cached(
            "INSERT INTO envelopes (id, trigger, source, parent, depth, received_at,
                 payload_digest, matched, state, id_conflict, id_given,
                 root, root_source, lineage, triggered_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                envelope.id,
                envelope.trigger,
                envelope.source,
                envelope.parent,
                envelope.depth,
                envelope.received_at.as_i64(),
                row.payload_digest.0,
                row.matched,
                if row.is_pending { "pending" } else { "done" },
                conflict,
                id_given,
                envelope.root.as_ref().map(|root| root.seq),
                envelope.root.as_ref().map(|root| root.source.as_str()),
                row.lineage,
                triggered_by,
            ])
        })
        .doing("store an event")?;
    session
        .connection
        .prepare_cached("INSERT INTO payloads (seq, body) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![seq, row.payload]))
        .doing("store an event's fields")?;
    Ok(seq)
}
