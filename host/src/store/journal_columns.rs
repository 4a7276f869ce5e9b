//! A journal row as its columns: the one list from which a row is inserted,
//! hashed and verified, so that no column can be stored outside of the hash.

use rusqlite::types::{ToSqlOutput, ValueRef};

use super::error::{Doing, StoreError};
use super::session::{ChainHead, Session};
use crate::clock::TimestampMs;
use crate::ids::{EnvelopeSeq, JournalId};
use crate::journal::hash_chain::row_hash;

/// Every column that the hash covers besides `id` and `kind`, in its order.
/// Fixed for version 1 of the chain: new columns need a new version.
pub(super) const COLUMNS: [&str; 26] = [
    "at",
    "envelope_seq",
    "envelope_id",
    "recipe",
    "revision",
    "trigger",
    "source",
    "from_node",
    "sender_key",
    "session_id",
    "tier",
    "mode",
    "eval_type",
    "action",
    "action_name",
    "reason",
    "confidence",
    "prompt_hash",
    "model",
    "counted",
    "wall_us",
    "decision_hash",
    "trace_digest",
    "payload_digest",
    "outbox_id",
    "detail",
];

/// Values in the order of [`COLUMNS`].
pub(super) type Values<'a> = [ValueRef<'a>; COLUMNS.len()];

/// The kinds of row.
pub(super) const DECISION: &str = "decision";
pub(super) const PERFORMED: &str = "performed";
pub(super) const REVIEW: &str = "review";

/// Appends a row to the chain; the caller's transaction makes it durable.
pub(super) fn append(
    session: &mut Session,
    kind: &'static str,
    values: &Values<'_>,
) -> Result<JournalId, StoreError> {
    let id = session.next_id();
    let hash = row_hash(&session.head.hash, id, kind, &canonical(values));
    {
        let mut statement =
            session.connection.prepare_cached(INSERT).doing("append to the journal")?;
        let mut index = 1;
        let mut bind = |value: ToSqlOutput<'_>| {
            let bound = statement.raw_bind_parameter(index, value);
            index += 1;
            bound
        };
        bind(ToSqlOutput::from(id)).doing("append to the journal")?;
        bind(ToSqlOutput::from(kind)).doing("append to the journal")?;
        bind(ToSqlOutput::Borrowed(ValueRef::Blob(&hash.0))).doing("append to the journal")?;
        for value in values {
            bind(ToSqlOutput::Borrowed(*value)).doing("append to the journal")?;
        }
        statement.raw_execute().doing("append to the journal")?;
    }
    session.head = ChainHead { id, hash };
    Ok(id)
}

/// A row that tells what became of a decision, what was said about one, or what
/// the operator did: the columns that such rows share.
pub(super) struct Note<'a> {
    pub(super) at: TimestampMs,
    pub(super) envelope_seq: Option<EnvelopeSeq>,
    pub(super) recipe: &'a str,
    pub(super) action: &'a str,
    pub(super) action_name: &'a str,
    pub(super) reason: &'a str,
    pub(super) outbox_id: Option<i64>,
    /// JSON.
    pub(super) detail: Option<&'a str>,
}

/// Appends a row that is no decision.
pub(super) fn append_note(
    session: &mut Session,
    kind: &'static str,
    note: &Note<'_>,
) -> Result<JournalId, StoreError> {
    let number = |value: Option<i64>| value.map_or(ValueRef::Null, ValueRef::Integer);
    let mut values: Values<'_> = [ValueRef::Null; COLUMNS.len()];
    for (name, value) in COLUMNS.iter().zip(values.iter_mut()) {
        *value = match *name {
            "at" => ValueRef::Integer(note.at.as_i64()),
            "envelope_seq" => number(note.envelope_seq),
            "recipe" => text(note.recipe),
            "action" => text(note.action),
            "action_name" => text(note.action_name),
            "reason" => text(note.reason),
            "counted" => ValueRef::Integer(0),
            "outbox_id" => number(note.outbox_id),
            "detail" => optional_text(note.detail),
            _ => ValueRef::Null,
        };
    }
    append(session, kind, &values)
}

/// One text for one set of values: each is preceded by its type and length.
pub(super) fn canonical(values: &Values<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    for value in values {
        let (tag, content): (u8, &[u8]) = match value {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => (1, &number.to_be_bytes()),
            ValueRef::Real(number) => (2, &number.to_bits().to_be_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        bytes.push(tag);
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}

const INSERT: &str = "INSERT INTO journal (id, kind, hash,
    at, envelope_seq, envelope_id, recipe, revision, trigger, source, from_node, sender_key,
    session_id, tier, mode, eval_type, action, action_name, reason, confidence, prompt_hash,
    model, counted, wall_us, decision_hash, trace_digest, payload_digest, outbox_id, detail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
    ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)";

pub(super) fn text(value: &str) -> ValueRef<'_> {
    ValueRef::Text(value.as_bytes())
}

pub(super) fn optional_text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_insertion_names_the_columns_in_the_order_of_the_hash() {
        let listed = INSERT.split_once("hash,\n").unwrap().1.split(')').next().unwrap();
        let names: Vec<&str> = listed.split(',').map(str::trim).collect();
        assert_eq!(names, COLUMNS);
    }

    #[test]
    fn moving_text_between_columns_changes_the_content() {
        let mut first: Values<'_> = [ValueRef::Null; COLUMNS.len()];
        let mut second = first;
        first[12] = text("ab");
        second[12] = text("a");
        second[13] = text("b");
        assert_ne!(canonical(&first), canonical(&second));
    }
}
