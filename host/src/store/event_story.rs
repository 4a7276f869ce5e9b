//! Events as they are stored: what is still to be decided after a start, and
//! the whole story of one event for `explain`.

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use super::children::{self, TriggeredEvent};
use super::error::{Doing, StoreError};
use super::journal_list::{self, JournalRecord, RECORD};
use super::outbox_rows::{self, OutboxRow};
use super::reader::Reader;
use crate::clock::TimestampMs;
use crate::envelope::{Envelope, Field, RootEvent};
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::journal::Trace;

/// Events that share one id, at most, in a story.
const MAX_STORIES: u32 = 20;

/// An accepted event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredEnvelope {
    pub seq: EnvelopeSeq,
    pub envelope: Envelope,
    pub is_pending: bool,
    pub id_conflict: bool,
    /// The recipes that it met, with their revisions, in order.
    pub matched: Vec<(String, Digest)>,
    /// The fields are gone; only their digest is left.
    pub has_expired: bool,
}

/// An event that some of its recipes have not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEvent {
    pub stored: StoredEnvelope,
    pub missing: Vec<(String, Digest)>,
    /// Those that have decided, with the names of what they did.
    pub decided: Vec<(String, String)>,
}

/// How a story is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoryKey {
    EnvelopeId(String),
    Seq(EnvelopeSeq),
    Journal(JournalId),
}

/// One event, from its arrival to what was performed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventStory {
    pub stored: StoredEnvelope,
    /// Decisions in order, each with its trace unless that has expired.
    pub runs: Vec<(JournalRecord, Option<Trace>)>,
    pub outbox: Vec<OutboxRow>,
    /// What became of them, in order.
    pub performed: Vec<JournalRecord>,
    /// Events that its recipes triggered.
    pub triggered: Vec<TriggeredEvent>,
}

impl Reader {
    /// Events that are not done, in order of acceptance, after a number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pending(&self, after: EnvelopeSeq, limit: u32) -> Result<Vec<PendingEvent>, StoreError> {
        self.snapshot(|connection| {
            let seqs: Vec<EnvelopeSeq> = connection
                .prepare_cached(
                    "SELECT seq FROM envelopes
                     WHERE state = 'pending' AND seq > ?1 ORDER BY seq LIMIT ?2",
                )
                .and_then(|mut statement| {
                    statement.query_map([after, i64::from(limit)], |row| row.get(0))?.collect()
                })
                .doing("look for undecided events")?;
            let mut events = Vec::with_capacity(seqs.len());
            for seq in seqs {
                if let Some(stored) = stored_envelope(connection, seq)? {
                    events.push(pending_event(connection, stored)?);
                }
            }
            Ok(events)
        })
    }

    /// An accepted event by its number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn envelope(&self, seq: EnvelopeSeq) -> Result<Option<StoredEnvelope>, StoreError> {
        self.snapshot(|connection| stored_envelope(connection, seq))
    }

    /// The stories of all events that a key means: one, or several where a
    /// source used one id for different contents.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn event_stories(&self, key: &StoryKey) -> Result<Vec<EventStory>, StoreError> {
        self.snapshot(|connection| {
            let mut stories = Vec::new();
            for seq in seqs_of(connection, key)? {
                if let Some(stored) = stored_envelope(connection, seq)? {
                    stories.push(story(connection, stored)?);
                }
            }
            Ok(stories)
        })
    }
}

fn pending_event(
    connection: &Connection,
    stored: StoredEnvelope,
) -> Result<PendingEvent, StoreError> {
    let decided: Vec<(String, String)> = connection
        .prepare_cached(
            "SELECT recipe, action_name FROM journal
             WHERE envelope_seq = ?1 AND kind = 'decision' ORDER BY id",
        )
        .and_then(|mut statement| {
            statement.query_map([stored.seq], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .doing("read an event's decisions")?;
    let is_missing = |name: &str| decided.iter().all(|(recipe, _)| recipe != name);
    let missing = stored.matched.iter().filter(|(name, _)| is_missing(name)).cloned().collect();
    Ok(PendingEvent { missing, decided, stored })
}

fn seqs_of(connection: &Connection, key: &StoryKey) -> Result<Vec<EnvelopeSeq>, StoreError> {
    match key {
        StoryKey::Seq(seq) => Ok(vec![*seq]),
        StoryKey::Journal(id) => connection
            .prepare_cached("SELECT envelope_seq FROM journal WHERE id = ?1")
            .and_then(|mut statement| {
                statement.query_row([id], |row| row.get::<_, Option<i64>>(0)).optional()
            })
            .map(|found| found.flatten().into_iter().collect())
            .doing("find an event"),
        StoryKey::EnvelopeId(id) => connection
            .prepare_cached(
                "SELECT seq FROM dedupe WHERE id = ?1
                 UNION SELECT seq FROM envelopes WHERE id = ?1 AND id_given = 0
                 ORDER BY 1 LIMIT ?2",
            )
            .and_then(|mut statement| {
                statement.query_map(rusqlite::params![id, MAX_STORIES], |row| row.get(0))?.collect()
            })
            .doing("find an event"),
    }
}

fn story(connection: &Connection, stored: StoredEnvelope) -> Result<EventStory, StoreError> {
    let records = |condition: &str| -> Result<Vec<JournalRecord>, StoreError> {
        connection
            .prepare_cached(&format!("SELECT {RECORD} FROM journal WHERE {condition} ORDER BY id"))
            .and_then(|mut statement| {
                statement.query_map([stored.seq], journal_list::record)?.collect()
            })
            .doing("read an event's story")
    };
    let mut runs = Vec::new();
    for record in records("envelope_seq = ?1 AND kind = 'decision'")? {
        let trace = journal_list::trace(connection, record.id)?;
        runs.push((record, trace));
    }
    let performed = records(
        "outbox_id IN (SELECT id FROM outbox WHERE envelope_seq = ?1) AND outbox_id IS NOT NULL",
    )?;
    let outbox = outbox_rows::of_envelope(connection, stored.seq)?;
    let root = stored.envelope.root.as_ref().map_or(stored.seq, |root| root.seq);
    let triggered = children::triggered_on(connection, root, stored.seq)?;
    Ok(EventStory { stored, runs, outbox, performed, triggered })
}

/// An event with its fields, or without them where they have expired.
pub(super) fn stored_envelope(
    connection: &Connection,
    seq: EnvelopeSeq,
) -> Result<Option<StoredEnvelope>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT e.id, e.trigger, e.source, e.parent, e.depth, e.received_at, e.state,
                 e.id_conflict, e.matched, p.body, e.root, e.root_source, e.lineage
             FROM envelopes e LEFT JOIN payloads p ON p.seq = e.seq
             WHERE e.seq = ?1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([seq], |row| {
                    let envelope = Envelope {
                        id: row.get(0)?,
                        trigger: row.get(1)?,
                        source: row.get(2)?,
                        parent: row.get(3)?,
                        depth: row.get(4)?,
                        received_at: TimestampMs::from_i64(row.get(5)?),
                        root: root(row.get(10)?, row.get(11)?),
                        lineage: Vec::new(),
                        fields: Vec::new(),
                    };
                    let state: String = row.get(6)?;
                    let texts =
                        Texts { matched: row.get(8)?, body: row.get(9)?, lineage: row.get(12)? };
                    Ok((envelope, state == "pending", row.get::<_, bool>(7)?, texts))
                })
                .optional()
        })
        .doing("read an event")?;
    let Some((mut envelope, is_pending, id_conflict, texts)) = found else {
        return Ok(None);
    };
    let matched = serde_json::from_str(&texts.matched)
        .map_err(|_| StoreError::malformed(format!("the recipes of event {seq}")))?;
    // One that cannot be read must not become an event that nothing bounds.
    if let Some(lineage) = texts.lineage {
        envelope.lineage = serde_json::from_str(&lineage)
            .map_err(|_| StoreError::malformed(format!("the lineage of event {seq}")))?;
    }
    let has_expired = texts.body.is_none();
    if let Some(body) = texts.body {
        envelope.fields = fields(&body)
            .ok_or_else(|| StoreError::malformed(format!("the fields of event {seq}")))?;
    }
    Ok(Some(StoredEnvelope { seq, envelope, is_pending, id_conflict, matched, has_expired }))
}

/// Columns that hold JSON.
struct Texts {
    matched: String,
    body: Option<String>,
    lineage: Option<String>,
}

fn root(seq: Option<EnvelopeSeq>, source: Option<String>) -> Option<RootEvent> {
    seq.map(|seq| RootEvent { seq, source: source.unwrap_or_default() })
}

/// The stored object's members, sorted by name as an envelope's fields are.
fn fields(body: &str) -> Option<Vec<Field>> {
    let members: std::collections::BTreeMap<String, String> = serde_json::from_str(body).ok()?;
    Some(members.into_iter().map(|(name, value)| Field { name, value }).collect())
}
