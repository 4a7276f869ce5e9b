//! Runs that a person should look at, and what was said about them. A review is
//! a row of the journal, never a change of the row that it is about; where each
//! stands is kept beside. The operator's counts; the agent's is a proposal.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use super::Store;
use super::error::{Doing, StoreError};
use super::journal_columns::{self, Note, REVIEW};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::{Digest, JournalId, nearest};
use crate::journal::{DecisionRow, EvalType};
use crate::recipes::{Mode, action_words, canonical_action};

/// One run in the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReviewEntry {
    pub journal_id: JournalId,
    pub at: TimestampMs,
    pub recipe: String,
    pub mode: String,
    pub tier: String,
    pub from_node: String,
    pub action: String,
    pub action_name: String,
    pub reason: String,
    /// open, confirmed, corrected.
    pub state: String,
    /// Who spoke last: operator, agent, or nobody yet.
    pub role: Option<String>,
    pub correction: Option<String>,
    pub note: String,
}

/// What somebody says about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub journal_id: JournalId,
    /// The action that would have been right; `None` confirms the one taken.
    pub correction: Option<String>,
    pub note: String,
    pub is_operator: bool,
    pub at: TimestampMs,
}

/// What became of a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reviewed {
    Kept,
    /// There is no decision of a recipe of that number.
    NoSuchDecision,
    /// Nothing was kept: the recipe has no action of that name, which is told.
    NoSuchAction(String),
}

/// How the reviewed runs of a recipe came out; the operator's word only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReviewCounts {
    pub open: u32,
    pub confirmed: u32,
    pub corrected: u32,
}

/// Manual and supervised runs are looked at; what was skipped decided nothing.
pub(super) fn is_asked_for(row: &DecisionRow) -> bool {
    matches!(row.mode, Mode::Manual | Mode::Supervised)
        && row.eval_type != EvalType::Skip
        && !row.recipe.is_empty()
        && row.counted
}

pub(super) fn open(session: &Session, id: JournalId, row: &DecisionRow) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT INTO reviews (journal_id, recipe, revision, state, at)
             VALUES (?1, ?2, ?3, 'open', ?4)",
        )
        .and_then(|mut statement| {
            statement.execute(params![id, row.recipe, row.revision.0, row.at.as_i64()])
        })
        .doing("ask for a review")
        .map(drop)
}

impl Store {
    /// Writes a review down, unless it corrects to what the recipe could not have
    /// decided.
    ///
    /// # Errors
    /// The database cannot be written; nothing was changed.
    pub async fn review(&self, review: Review) -> Result<Reviewed, StoreError> {
        self.writer.run(1, move |session| write(session, &review)).await
    }
}

impl Reader {
    /// Runs of the inbox, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn reviews(
        &self,
        recipe: Option<&str>,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ReviewEntry>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT j.id, j.at, j.recipe, j.mode, j.tier, j.from_node, j.action,
                         j.action_name, j.reason, r.state, r.role, r.correction, r.note
                     FROM reviews r JOIN journal j ON j.id = r.journal_id
                     WHERE (?1 IS NULL OR r.recipe = ?1) AND (?2 IS NULL OR r.state = ?2)
                     ORDER BY r.journal_id DESC LIMIT ?3",
                )
                .and_then(|mut statement| {
                    statement.query_map(params![recipe, state, limit], entry)?.collect()
                })
                .doing("read the reviews")
        })
    }

    /// How the reviewed runs of a recipe came out, of one revision or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn review_counts(
        &self,
        recipe: &str,
        revision: Option<Digest>,
    ) -> Result<ReviewCounts, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*) FILTER (WHERE state = 'open'),
                         count(*) FILTER (WHERE state = 'confirmed'),
                         count(*) FILTER (WHERE state = 'corrected')
                     FROM reviews WHERE recipe = ?1 AND (?2 IS NULL OR revision = ?2)",
                )
                .and_then(|mut statement| {
                    statement.query_row(params![recipe, revision.map(|one| one.0)], |row| {
                        Ok(ReviewCounts {
                            open: row.get(0)?,
                            confirmed: row.get(1)?,
                            corrected: row.get(2)?,
                        })
                    })
                })
                .doing("count the reviews")
        })
    }
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<ReviewEntry> {
    Ok(ReviewEntry {
        journal_id: row.get(0)?,
        at: TimestampMs::from_i64(row.get(1)?),
        recipe: row.get(2)?,
        mode: row.get(3)?,
        tier: row.get(4)?,
        from_node: row.get(5)?,
        action: row.get(6)?,
        action_name: row.get(7)?,
        reason: row.get(8)?,
        state: row.get(9)?,
        role: row.get(10)?,
        correction: row.get(11)?,
        note: row.get(12)?,
    })
}

fn write(session: &mut Session, review: &Review) -> Result<Reviewed, StoreError> {
    let reviewed: Option<(i64, String, [u8; 32], String)> = session
        .connection
        .prepare_cached(
            "SELECT envelope_seq, recipe, revision, action FROM journal
             WHERE id = ?1 AND kind = 'decision' AND recipe <> ''",
        )
        .and_then(|mut statement| {
            statement
                .query_row([review.journal_id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()
        })
        .doing("read a decision")?;
    let Some((envelope_seq, recipe, revision, action)) = reviewed else {
        return Ok(Reviewed::NoSuchDecision);
    };
    let role = if review.is_operator { "operator" } else { "agent" };
    // The same action again is no correction, whichever word is used for it.
    let correction =
        review.correction.as_deref().map(canonical_action).filter(|right| *right != action);
    if let Some(right) = correction
        && let Some(why) = no_such_action(session, &recipe, &revision, right)?
    {
        return Ok(Reviewed::NoSuchAction(why));
    }
    let state = match (review.is_operator, correction) {
        (false, _) => "open",
        (true, None) => "confirmed",
        (true, Some(_)) => "corrected",
    };
    // What the operator said is not taken back by a proposal.
    let update = if review.is_operator {
        "ON CONFLICT (journal_id) DO UPDATE SET state = excluded.state, role = excluded.role,
             correction = excluded.correction, note = excluded.note, at = excluded.at"
    } else {
        "ON CONFLICT (journal_id) DO UPDATE SET role = excluded.role,
             correction = excluded.correction, note = excluded.note, at = excluded.at
         WHERE state = 'open'"
    };
    session
        .connection
        .prepare_cached(&format!(
            "INSERT INTO reviews (journal_id, recipe, revision, state, role, correction, note, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) {update}"
        ))
        .and_then(|mut statement| {
            statement.execute(params![
                review.journal_id,
                recipe,
                revision,
                state,
                role,
                correction,
                review.note,
                review.at.as_i64(),
            ])
        })
        .doing("keep a review")?;
    append(session, review, envelope_seq, &recipe, correction.unwrap_or(&action), role)?;
    Ok(Reviewed::Kept)
}

/// That the revision that decided has no such action. Of one whose text is kept no
/// longer nobody knows.
fn no_such_action(
    session: &Session,
    recipe: &str,
    revision: &[u8; 32],
    wanted: &str,
) -> Result<Option<String>, StoreError> {
    let text: Option<String> = session
        .connection
        .prepare_cached("SELECT canonical FROM recipes WHERE name = ?1 AND digest = ?2")
        .and_then(|mut statement| {
            statement.query_row(params![recipe, revision], |row| row.get(0)).optional()
        })
        .doing("read a recipe's revision")?;
    let words = text.as_deref().and_then(action_words);
    let Some(words) = words.filter(|words| words.iter().all(|word| word != wanted)) else {
        return Ok(None);
    };
    let meant = nearest(wanted, words.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Ok(Some(format!("{recipe} has no action {wanted:?}: one of {}{meant}", words.join(", "))))
}

fn append(
    session: &mut Session,
    review: &Review,
    envelope_seq: i64,
    recipe: &str,
    action: &str,
    role: &str,
) -> Result<(), StoreError> {
    let word = if review.correction.is_some() { "correct" } else { "confirm" };
    let detail = serde_json::json!({"journal_id": review.journal_id, "role": role}).to_string();
    let note = Note {
        at: review.at,
        envelope_seq: Some(envelope_seq),
        recipe,
        action,
        action_name: word,
        reason: &review.note,
        outbox_id: None,
        detail: Some(&detail),
    };
    journal_columns::append_note(session, REVIEW, &note).map(drop)
}
