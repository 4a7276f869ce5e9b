//! Answers that the host itself gave to a question, because none came in time:
//! written down before they are given.

use rusqlite::types::ValueRef;

use super::Store;
use super::error::StoreError;
use super::journal_columns::{self, COLUMNS, PERFORMED, Values, text};
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::EnvelopeSeq;
use crate::pipeline::answer::Answer;

impl Store {
    /// Writes down what a question was answered without a recipe.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn answered_by_host(
        &self,
        seq: EnvelopeSeq,
        answer: Answer,
        at: TimestampMs,
    ) -> Result<(), StoreError> {
        self.writer.run(1, move |session| append(session, seq, &answer, at)).await
    }
}

fn append(
    session: &mut Session,
    seq: EnvelopeSeq,
    answer: &Answer,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let mut values: Values<'_> = [ValueRef::Null; COLUMNS.len()];
    for (name, value) in COLUMNS.iter().zip(values.iter_mut()) {
        *value = match *name {
            "at" => ValueRef::Integer(at.as_i64()),
            "envelope_seq" => ValueRef::Integer(seq),
            "recipe" => text(""),
            "action" => text("answer"),
            "action_name" => text(&answer.code),
            "reason" => text(&answer.reason),
            "counted" => ValueRef::Integer(0),
            _ => ValueRef::Null,
        };
    }
    journal_columns::append(session, PERFORMED, &values).map(drop)
}
