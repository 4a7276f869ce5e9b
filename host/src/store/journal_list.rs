//! The journal as people read it: lists, single rows with their story, and
//! what came since.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use super::error::{Doing, StoreError};
use super::event_story::{self, StoredEnvelope};
use super::journal_columns::{DECISION, REVIEW};
use super::reader::{Reader, unsigned};
use crate::clock::TimestampMs;
use crate::envelope::sender::MIN_PREFIX_LEN;
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::journal::{DecisionRow, EvalType, Trace};
use crate::stage::HostCallRecord;

/// A journal row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalRecord {
    pub id: JournalId,
    pub hash: Digest,
    #[serde(flatten)]
    pub entry: JournalEntry,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JournalEntry {
    Decision {
        envelope_id: String,
        #[serde(flatten)]
        row: Box<DecisionRow>,
    },
    Performed(PerformedRow),
    /// What somebody said about a decision: `operation` is the action that was
    /// right, `state` is confirm or correct.
    Review(PerformedRow),
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PerformedRow {
    pub at: TimestampMs,
    /// `None` where the host itself answered.
    pub outbox_id: Option<i64>,
    pub envelope_seq: Option<EnvelopeSeq>,
    pub recipe: String,
    /// `briefing`, `wake`, `reply`, ...
    pub operation: String,
    /// In the words of [`super::OutboxState`].
    pub state: String,
    pub detail: String,
}

/// A row with all that is known about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalStory {
    pub record: JournalRecord,
    /// `None` for a performed row, or where it has expired.
    pub trace: Option<Trace>,
    pub envelope: Option<StoredEnvelope>,
}

/// Which decisions to list; an absent condition is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    pub recipe: Option<String>,
    /// The verdict's action, or the name of what was done.
    pub action: Option<String>,
    /// A full id, or its first 16 characters.
    pub from_node: Option<String>,
    pub session: Option<String>,
    pub eval_type: Option<EvalType>,
    pub since: Option<TimestampMs>,
    pub until: Option<TimestampMs>,
    /// Only rows with a smaller id: the next page.
    pub before_id: Option<JournalId>,
    /// Also what became of breakers; only where no other condition than the
    /// action is set.
    pub with_breakers: bool,
    pub limit: u32,
}

impl JournalFilter {
    /// Rows of one recipe, sender, session or type are decisions, and found by
    /// their indexes.
    fn kinds(&self) -> &'static str {
        let is_narrow = self.recipe.is_some()
            || self.from_node.is_some()
            || self.session.is_some()
            || self.eval_type.is_some();
        if self.with_breakers && !is_narrow {
            "(kind = 'decision' OR kind = 'performed' AND action = 'breaker')"
        } else {
            "kind = 'decision'"
        }
    }
}

impl Reader {
    /// Decisions, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_list(&self, filter: &JournalFilter) -> Result<Vec<JournalRecord>, StoreError> {
        let (since, until) =
            (filter.since.map(TimestampMs::as_i64), filter.until.map(TimestampMs::as_i64));
        let eval_type = filter.eval_type.map(EvalType::as_str);
        let sender = filter.from_node.as_deref().map(str::to_ascii_lowercase);
        let by_key = sender.as_ref().is_some_and(|id| id.len() == MIN_PREFIX_LEN);
        let mut list = Conditions::default();
        list.add("recipe = :recipe", ":recipe", &filter.recipe);
        list.add("(action = :action OR action_name = :action)", ":action", &filter.action);
        list.add(
            if by_key { "sender_key = :sender" } else { "lower(from_node) = :sender" },
            ":sender",
            &sender,
        );
        list.add("session_id = :session", ":session", &filter.session);
        list.add("eval_type = :eval", ":eval", &eval_type);
        list.add("at >= :since", ":since", &since);
        list.add("at < :until", ":until", &until);
        list.add("id < :before", ":before", &filter.before_id);
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {RECORD} FROM journal WHERE {}{}
                     ORDER BY id DESC LIMIT {}",
                    filter.kinds(),
                    list.sql,
                    filter.limit
                ))
                .and_then(|mut statement| {
                    statement.query_map(list.params.as_slice(), record)?.collect()
                })
                .doing("list the journal")
        })
    }

    /// One row with its trace and its envelope.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_show(&self, id: JournalId) -> Result<Option<JournalStory>, StoreError> {
        self.snapshot(|connection| {
            let found = connection
                .prepare_cached(&format!("SELECT {RECORD} FROM journal WHERE id = ?1"))
                .and_then(|mut statement| statement.query_row([id], record).optional())
                .doing("read a journal row")?;
            let Some(record) = found else { return Ok(None) };
            let seq = match &record.entry {
                JournalEntry::Decision { row, .. } => Some(row.envelope_seq),
                JournalEntry::Performed(row) | JournalEntry::Review(row) => row.envelope_seq,
            };
            let envelope = match seq {
                Some(seq) => event_story::stored_envelope(connection, seq)?,
                None => None,
            };
            Ok(Some(JournalStory { trace: trace(connection, id)?, record, envelope }))
        })
    }

    /// Rows of every kind after an id, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn tail(&self, after: JournalId, limit: u32) -> Result<Vec<JournalRecord>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {RECORD} FROM journal WHERE id > ?1 ORDER BY id LIMIT ?2"
                ))
                .and_then(|mut statement| {
                    statement.query_map([after, i64::from(limit)], record)?.collect()
                })
                .doing("follow the journal")
        })
    }

    /// The id of the newest row, 0 in an empty journal.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_journal_id(&self) -> Result<JournalId, StoreError> {
        self.with(|connection| {
            connection
                .query_row("SELECT coalesce(max(id), 0) FROM journal", [], |row| row.get(0))
                .doing("read the journal's head")
        })
    }
}

/// Only the conditions that are there, so that an index can serve them.
#[derive(Default)]
struct Conditions<'a> {
    sql: String,
    params: Vec<(&'static str, &'a dyn ToSql)>,
}

impl<'a> Conditions<'a> {
    fn add<T: ToSql>(&mut self, condition: &str, name: &'static str, value: &'a Option<T>) {
        if value.is_some() {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.params.push((name, value));
        }
    }
}

pub(super) const RECORD: &str = "id, kind, hash, at, envelope_seq, envelope_id, recipe, revision,
    trigger, source, from_node, sender_key, session_id, tier, mode, eval_type, action,
    action_name, reason, confidence, prompt_hash, model, counted, wall_us, decision_hash,
    outbox_id";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<JournalRecord> {
    let kind: String = row.get(1)?;
    let entry = if kind == DECISION {
        JournalEntry::Decision { envelope_id: row.get(5)?, row: Box::new(decision(row)?) }
    } else {
        let other = PerformedRow {
            at: TimestampMs::from_i64(row.get(3)?),
            outbox_id: row.get(25)?,
            envelope_seq: row.get(4)?,
            recipe: row.get(6)?,
            operation: row.get(16)?,
            state: row.get(17)?,
            detail: row.get(18)?,
        };
        if kind == REVIEW { JournalEntry::Review(other) } else { JournalEntry::Performed(other) }
    };
    Ok(JournalRecord { id: row.get(0)?, hash: Digest(row.get(2)?), entry })
}

fn decision(row: &Row<'_>) -> rusqlite::Result<DecisionRow> {
    let confidence: Option<f64> = row.get(19)?;
    Ok(DecisionRow {
        at: TimestampMs::from_i64(row.get(3)?),
        envelope_seq: row.get(4)?,
        recipe: row.get(6)?,
        revision: Digest(row.get(7)?),
        trigger: row.get(8)?,
        source: row.get(9)?,
        from_node: row.get(10)?,
        sender_key: row.get(11)?,
        session_id: row.get(12)?,
        tier: word(row, 13)?,
        mode: word(row, 14)?,
        eval_type: word(row, 15)?,
        action: row.get(16)?,
        action_name: row.get(17)?,
        reason: row.get(18)?,
        // Written from an f32: the conversion loses nothing.
        confidence: confidence.map(|wide| wide as f32),
        prompt_hash: row.get(20)?,
        model: row.get(21)?,
        counted: row.get(22)?,
        wall_us: unsigned(row, 23)?,
        decision_hash: Digest(row.get(24)?),
    })
}

/// A closed enum from the word it is stored as.
fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let words: value::StringDeserializer<value::Error> = text.into_deserializer();
    T::deserialize(words).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// The story behind a decision; `None` where there is none or it has expired.
pub(super) fn trace(connection: &Connection, id: JournalId) -> Result<Option<Trace>, StoreError> {
    let body: Option<String> = connection
        .prepare_cached("SELECT body FROM traces WHERE journal_id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
        .doing("read a trace")?;
    let Some(body) = body else { return Ok(None) };
    let mut trace: Trace = serde_json::from_str(&body)
        .map_err(|_| StoreError::malformed(format!("the trace of journal row {id}")))?;
    trace.host_calls = host_calls(connection, id)?;
    Ok(Some(trace))
}

fn host_calls(connection: &Connection, id: JournalId) -> Result<Vec<HostCallRecord>, StoreError> {
    let rows: Vec<(String, String, Option<String>, String, u64)> = connection
        .prepare_cached(
            "SELECT stage, request, answered_as, answer, wall_us FROM host_calls
             WHERE journal_id = ?1 ORDER BY ordinal",
        )
        .and_then(|mut statement| {
            statement
                .query_map([id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, unsigned(row, 4)?))
                })?
                .collect()
        })
        .doing("read host calls")?;
    let unreadable = |_| StoreError::malformed(format!("a host call of journal row {id}"));
    rows.into_iter()
        .map(|(stage, request, answered_as, answer, wall_us)| {
            Ok(HostCallRecord {
                stage,
                request: serde_json::from_str(&request).map_err(unreadable)?,
                answered_as: answered_as
                    .map(|text| serde_json::from_str(&text).map_err(unreadable))
                    .transpose()?,
                answer: serde_json::from_str(&answer).map_err(unreadable)?,
                wall_us,
            })
        })
        .collect()
}
