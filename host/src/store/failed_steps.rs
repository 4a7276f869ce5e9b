//! What follows when a step of a plan comes to nothing, in the transaction that
//! says so: the later steps of the plan are not performed, what went wrong is
//! collected, and the agent is woken if the recipe says so.

use rusqlite::params;
use serde_json::json;

use super::continuations::{self, SkillAnswer};
use super::effects::may_wake;
use super::error::{Doing, StoreError};
use super::flush::Origin;
use super::outbox_ends::append_performed;
use super::outbox_rows::{self, NewRow, OutboxRow, OutboxState, ROW, WAKE, read_row};
use super::session::Session;
use crate::buffers::wake_body;
use crate::clock::TimestampMs;
use crate::journal::AfterFailure;
use crate::operation::{OperationClass, WakeMode};

/// Above what is only collected: somebody relied on the step.
const WAKE_PRIORITY: u8 = 6;
/// As much of a skill's input as a person needs to recognise it, in characters.
const MAX_SHOWN_INPUT: usize = 200;

/// Carries out what follows on a row that failed or is uncertain.
pub(super) fn after(
    session: &mut Session,
    row: &OutboxRow,
    why: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    if row.flush_id.is_some() {
        return Ok(());
    }
    stop_the_rest(session, row, at)?;
    let Some(wanted) = wanted(session, row.id)? else { return Ok(()) };
    if let Some(buffer) = &wanted.buffer {
        collect(session, row, buffer, why, at)?;
    }
    if wanted.wake && may_wake(session, at, &wanted.wake_bounds)? {
        wake(session, row, &wanted, why, at)?;
    }
    Ok(())
}

fn wanted(session: &Session, id: i64) -> Result<Option<AfterFailure>, StoreError> {
    let text: Option<String> = session
        .connection
        .prepare_cached("SELECT after_failure FROM outbox WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)))
        .doing("read an outbox row")?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Later steps count on the earlier ones.
pub(super) fn stop_the_rest(
    session: &mut Session,
    failed: &OutboxRow,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let rest: Vec<OutboxRow> = session
        .connection
        .prepare_cached(&format!(
            "SELECT {ROW} FROM outbox o
             WHERE o.journal_id = ?1 AND o.flush_id IS NULL AND o.state = 'pending'
               AND o.ordinal > (SELECT ordinal FROM outbox WHERE id = ?2)
             ORDER BY o.id"
        ))
        .and_then(|mut statement| {
            statement.query_map(params![failed.journal_id, failed.id], read_row)?.collect()
        })
        .doing("read the later steps of a plan")?;
    let why = format!("not performed: the {} before it came to nothing", failed.kind);
    for row in rest {
        session
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = 'failed', detail = ?2, updated_at = ?3 WHERE id = ?1",
            )
            .and_then(|mut statement| statement.execute(params![row.id, why, at.as_i64()]))
            .doing("end a later step")?;
        append_performed(session, &row, OutboxState::Failed, &why, at)?;
        let told =
            SkillAnswer { status: "error".to_owned(), output: json!({"error": why}).to_string() };
        continuations::answer(session, row.id, &told)?;
    }
    Ok(())
}

/// An entry as the earlier thrall had it: skill, beginning of the input, error.
fn collect(
    session: &Session,
    row: &OutboxRow,
    buffer: &str,
    why: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let asked: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
    let input = asked.get("input_json").and_then(serde_json::Value::as_str).unwrap_or_default();
    let shown: String = input.chars().take(MAX_SHOWN_INPUT).collect();
    let body = json!({
        "skill": asked.get("skill"), "input": shown, "error": why, "timestamp": at.0 / 1000,
    });
    session
        .connection
        .prepare_cached(
            "INSERT INTO buffers (buffer, journal_id, envelope_seq, recipe, at, from_node,
                 sender_key, tier, msg_type, session_id, action, reason, note, priority, body)
             SELECT ?2, j.id, j.envelope_seq, j.recipe, ?3, j.from_node, j.sender_key, j.tier,
                 'error', j.session_id, j.action, ?4, '', 0, ?5
             FROM journal j WHERE j.id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                row.journal_id,
                buffer,
                at.as_i64(),
                format!("{} failed: {why}", row.kind),
                body.to_string(),
            ])
        })
        .doing("collect a failure")
        .map(drop)
}

fn wake(
    session: &mut Session,
    row: &OutboxRow,
    wanted: &AfterFailure,
    why: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    let origin = Origin {
        journal_id: row.journal_id,
        envelope_seq: row.envelope_seq,
        recipe: row.recipe.clone(),
        answerable: wanted.wake_bounds.iter().map(|(recipe, _)| recipe.clone()).collect(),
        at,
        dry_run: false,
    };
    let what = format!("the {}", row.kind);
    let new = NewRow {
        // After every step of the plan: it holds none of them back.
        ordinal: u32::MAX,
        class: OperationClass::Unkeyed,
        kind: WAKE,
        lane: format!("agent/failure/{}", row.recipe),
        body: wake_body::for_failure(&row.recipe, &what, why, "").to_string(),
        task: Some(wake_body::failure_task(&row.recipe, &what)),
        capability: Some(String::new()),
        priority: Some(WAKE_PRIORITY),
        mode: Some(WakeMode::Process),
        flush_id: None,
        after_failure: None,
    };
    outbox_rows::insert(session, &origin, &new).map(drop)
}
