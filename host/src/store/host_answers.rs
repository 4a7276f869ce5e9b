//! Answers that the host itself gave to a question, because none came in time:
//! written down before they are given.

use super::Store;
use super::error::StoreError;
use super::journal_columns::{self, Note, PERFORMED};
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
    let note = Note {
        at,
        envelope_seq: Some(seq),
        recipe: "",
        action: "answer",
        action_name: &answer.code,
        reason: &answer.reason,
        outbox_id: None,
        detail: None,
    };
    journal_columns::append_note(session, PERFORMED, &note).map(drop)
}
