//! What a plan's operations become in the database: local ones are done here,
//! in the decision's own transaction; the others become outbox rows.

use rusqlite::params;
use serde_json::json;

use super::continuations::{self, NewContinuation};
use super::decision_inputs;
use super::error::{Doing, StoreError};
use super::flush::{self, Origin};
use super::flush_rows;
use super::outbox_rows::{self, NewRow, WAKE};
use super::session::Session;
use crate::buffers::{flush_policy, wake_body};
use crate::clock::{TimestampMs, Window};
use crate::envelope::automatic;
use crate::ids::JournalId;
use crate::journal::{AfterFailure, Alert, DecisionRow, Delivery, LikeLines};
use crate::operation::{Operation, OperationClass, PlannedOperation, WakeMode};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// One change that a commit makes, computed before the transaction.
pub(super) enum Effect {
    Collect(Collected),
    SetContext(Memory),
    SetFlag(Memory),
    /// With the place where its answer is waited for, if it is.
    Enqueue(NewRow, Option<NewContinuation>),
}

/// A message for a buffer.
pub(super) struct Collected {
    buffer: String,
    note: String,
    msg_type: String,
    body: String,
    like: Option<LikeLines>,
    is_priority: bool,
    keyword: Option<String>,
    summon_threshold: u32,
    /// Wakes an hour, by recipe, beyond which the buffer waits for its timer.
    wake_bounds: Vec<(String, u32)>,
}

/// A value to remember, or to forget if there is none.
pub(super) struct Memory {
    namespace: String,
    /// Whose session it is; empty for flags, which are nobody's.
    sender_key: String,
    session: String,
    key: String,
    value: Option<String>,
    expires_at: Option<i64>,
}

/// The effects of those operations that are allowed and have one.
pub(super) fn of_plan(
    row: &DecisionRow,
    operations: &[PlannedOperation],
    delivery: &Delivery,
) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::new();
    for (ordinal, planned) in (0_u32..).zip(operations) {
        if planned.is_carried_out()
            && let Some(effect) = effect_of(row, ordinal, &planned.operation, delivery)?
        {
            effects.push(effect);
        }
    }
    Ok(effects)
}

fn effect_of(
    row: &DecisionRow,
    ordinal: u32,
    operation: &Operation,
    delivery: &Delivery,
) -> Result<Option<Effect>, StoreError> {
    let effect = match operation {
        // The whole effect of the first three is their place in the journal and
        // the log; what a trigger makes is in `children.rs`.
        Operation::Log { .. }
        | Operation::Drop { .. }
        | Operation::Answer { .. }
        | Operation::Trigger { .. } => return Ok(None),
        Operation::Compile { buffer, note, summon_threshold, summon_keywords } => {
            let summons = !delivery.never_summons;
            let words = summon_keywords.iter().filter(|_| summons).map(String::as_str);
            let body = &delivery.body_text;
            Effect::Collect(Collected {
                buffer: buffer.clone(),
                note: note.clone(),
                msg_type: delivery.msg_type.clone(),
                body: body.clone(),
                like: delivery.like.clone(),
                is_priority: flush_policy::find_word(flush_policy::PRIORITY_WORDS, body).is_some(),
                keyword: flush_policy::find_word(words, body).map(str::to_owned),
                summon_threshold: if summons { *summon_threshold } else { 0 },
                wake_bounds: delivery.wake_bounds.clone(),
            })
        }
        Operation::SetContext { session, key, value, expires_in_s } => Effect::SetContext(Memory {
            namespace: delivery.context_namespace.clone(),
            sender_key: row.sender_key.clone(),
            session: session.clone(),
            key: key.clone(),
            value: value.clone(),
            expires_at: expiry(row.at, *expires_in_s),
        }),
        Operation::SetFlag { key, value, expires_in_s } => Effect::SetFlag(Memory {
            namespace: delivery.flag_namespace.clone(),
            sender_key: String::new(),
            session: String::new(),
            key: key.clone(),
            value: value.clone(),
            expires_at: expiry(row.at, *expires_in_s),
        }),
        Operation::Wake { .. }
        | Operation::Reply { .. }
        | Operation::Mail { .. }
        | Operation::Skill { .. }
        | Operation::TripBreaker { .. }
        | Operation::Extension { .. } => {
            let new = queued(row, ordinal, operation, delivery)?;
            Effect::Enqueue(new, awaited(row, operation, delivery))
        }
    };
    Ok(Some(effect))
}

fn queued(
    row: &DecisionRow,
    ordinal: u32,
    operation: &Operation,
    delivery: &Delivery,
) -> Result<NewRow, StoreError> {
    let (lane, body) = match operation {
        Operation::Wake { mode, data, .. } => {
            let task = delivery.task.as_deref().unwrap_or(wake_body::DEFAULT_TASK);
            let (msg_type, text) = (&delivery.msg_type, &delivery.body_text);
            let body = wake_body::direct(row, *mode, task, msg_type, text, data, delivery.dry_run);
            (format!("agent/{}/{}", row.sender_key, row.session_id), body)
        }
        Operation::Reply { body } => (
            format!("node/{}/{}", row.from_node, row.session_id),
            json!({"to_node": row.from_node, "session_id": row.session_id,
                   "body": automatic::mark(json!({"type": "text", "content": body}))}),
        ),
        Operation::Mail { to_node, session, .. } => {
            (format!("node/{to_node}/{session}"), as_json(operation)?)
        }
        Operation::Skill { skill, .. } => (format!("skill/{skill}"), as_json(operation)?),
        Operation::TripBreaker { target, .. } => (format!("breaker/{target}"), as_json(operation)?),
        other => (format!("recipe/{}", row.recipe), as_json(other)?),
    };
    let mut new = NewRow {
        ordinal,
        class: operation.class(),
        kind: operation.kind(),
        lane,
        body: body.to_string(),
        task: None,
        capability: None,
        priority: None,
        mode: None,
        flush_id: None,
        after_failure: after_failure(operation, delivery),
    };
    if let Operation::Wake { mode, capability, priority, .. } = operation {
        new.task = Some(delivery.task.clone().unwrap_or(wake_body::DEFAULT_TASK.to_owned()));
        new.capability = Some(capability.clone());
        new.priority = Some(*priority);
        new.mode = Some(*mode);
    }
    Ok(new)
}

/// What the host itself wakes the agent for.
pub(super) fn alert(alert: &Alert, at: TimestampMs) -> NewRow {
    NewRow {
        ordinal: 0,
        class: OperationClass::Unkeyed,
        kind: WAKE,
        lane: wake_body::ALERT_SESSION.to_owned(),
        body: wake_body::for_alert(alert, at).to_string(),
        task: Some(wake_body::ALERT_TASK.to_owned()),
        capability: None,
        priority: None,
        mode: None,
        flush_id: None,
        after_failure: None,
    }
}

fn after_failure(operation: &Operation, delivery: &Delivery) -> Option<AfterFailure> {
    let buffer = match operation {
        Operation::Skill { skill, .. } => delivery.error_buffers.get(skill).cloned(),
        _ => None,
    };
    let wake = delivery.wake_on_failure;
    let wake_bounds = if wake { delivery.wake_bounds.clone() } else { Vec::new() };
    let after = AfterFailure { wake, wake_bounds, buffer };
    (!after.is_nothing()).then_some(after)
}

/// The place where an answer of a skill is waited for.
fn awaited(
    row: &DecisionRow,
    operation: &Operation,
    delivery: &Delivery,
) -> Option<NewContinuation> {
    let Operation::Skill { skill, continue_as: Some(continue_as), .. } = operation else {
        return None;
    };
    Some(NewContinuation {
        envelope_seq: row.envelope_seq,
        root: delivery.root,
        recipe: row.recipe.clone(),
        revision: row.revision,
        continue_as: continue_as.clone(),
        skill: skill.clone(),
        at: row.at,
    })
}

fn as_json(operation: &Operation) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(operation).map_err(|_| StoreError::malformed("an operation"))
}

fn expiry(now: TimestampMs, expires_in_s: Option<u64>) -> Option<i64> {
    expires_in_s.map(|seconds| now.plus(std::time::Duration::from_secs(seconds)).as_i64())
}

/// Carries effects out inside the caller's transaction, which appends the row
/// `journal_id` afterwards. Returns whether a buffer was flushed.
pub(super) fn apply(
    session: &mut Session,
    journal_id: JournalId,
    row: &DecisionRow,
    answerable: &[String],
    dry_run: bool,
    effects: &[Effect],
) -> Result<bool, StoreError> {
    let origin = Origin {
        journal_id: Some(journal_id),
        envelope_seq: Some(row.envelope_seq),
        recipe: row.recipe.clone(),
        answerable: answerable.to_vec(),
        at: row.at,
        dry_run,
    };
    let mut has_flushed = false;
    // What is asked for outright before what a buffer may add to it, so that a
    // flush sees the hour as it is.
    let (outright, others): (Vec<&Effect>, Vec<&Effect>) =
        effects.iter().partition(|effect| matches!(effect, Effect::Enqueue(..)));
    for effect in outright.into_iter().chain(others) {
        match effect {
            Effect::Collect(collected) => {
                has_flushed |= collect(session, journal_id, row, collected, &origin)?;
            }
            Effect::SetContext(memory) => set_context(session, row, memory)?,
            Effect::SetFlag(memory) => set_flag(session, row, memory)?,
            Effect::Enqueue(new, awaited) => {
                let id = outbox_rows::insert(session, &origin, new)?;
                if let Some(awaited) = awaited {
                    continuations::insert(session, id, awaited)?;
                }
            }
        }
    }
    Ok(has_flushed)
}

fn collect(
    session: &mut Session,
    journal_id: JournalId,
    row: &DecisionRow,
    collected: &Collected,
    origin: &Origin,
) -> Result<bool, StoreError> {
    let item = match add_to_like(session, row, collected)? {
        Some(item) => item,
        None => add_item(session, journal_id, row, collected)?,
    };
    let threshold = collected.summon_threshold;
    let gathered = if threshold > 0 {
        flush_rows::gathered(session, &collected.buffer, threshold)?
    } else {
        0
    };
    match flush_policy::after_compile(collected.keyword.as_deref(), threshold, gathered) {
        Some(_) if !may_wake(session, row.at, &collected.wake_bounds)? => Ok(false),
        Some(cause) => flush::flush_once(session, &collected.buffer, &cause, item, origin),
        None => Ok(false),
    }
}

/// Counts a line of a log with those of its kind that the same recipe has
/// collected and that wait still. Returns their item; none where it is the first.
fn add_to_like(
    session: &Session,
    row: &DecisionRow,
    collected: &Collected,
) -> Result<Option<i64>, StoreError> {
    let Some(LikeLines { file, template }) = &collected.like else { return Ok(None) };
    session
        .connection
        .prepare_cached(
            "UPDATE buffers SET lines = lines + 1, last_at = ?5, last_body = ?6,
                 priority = max(priority, ?7)
             WHERE buffer = ?1 AND template = ?2 AND file = ?3 AND recipe = ?4
                 AND flush_id IS NULL AND template IS NOT NULL
             RETURNING id",
        )
        .and_then(|mut statement| {
            let Collected { buffer, body, is_priority, .. } = collected;
            let at = row.at.as_i64();
            let counted = params![buffer, template, file, row.recipe, at, body, is_priority];
            let found: Vec<i64> =
                statement.query_map(counted, |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(found.last().copied())
        })
        .doing("count a line with its like")
}

fn add_item(
    session: &Session,
    journal_id: JournalId,
    row: &DecisionRow,
    collected: &Collected,
) -> Result<i64, StoreError> {
    let like = collected.like.as_ref();
    session
        .connection
        .prepare_cached(
            "INSERT INTO buffers (buffer, journal_id, envelope_seq, recipe, at, from_node,
                 sender_key, tier, msg_type, session_id, action, reason, note, priority, body,
                 template, file, last_at, last_body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                 ?16, ?17, ?18, ?19)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                collected.buffer,
                journal_id,
                row.envelope_seq,
                row.recipe,
                row.at.as_i64(),
                row.from_node,
                row.sender_key,
                row.tier.as_str(),
                collected.msg_type,
                row.session_id,
                row.action,
                row.reason,
                collected.note,
                collected.is_priority,
                collected.body,
                like.map(|like| like.template.as_str()),
                like.map(|like| like.file.as_str()),
                like.map(|_| row.at.as_i64()),
                like.map(|_| collected.body.as_str()),
            ])
        })
        .doing("add to a buffer")
}

/// Whether one more wake is within what the grants allow in an hour.
pub(super) fn may_wake(
    session: &Session,
    at: TimestampMs,
    bounds: &[(String, u32)],
) -> Result<bool, StoreError> {
    let window = Window::before(at, HOUR);
    for (recipe, bound) in bounds {
        let connection = &session.connection;
        if decision_inputs::operation_count(connection, recipe, WAKE, window, *bound)? >= *bound {
            return Ok(false);
        }
    }
    Ok(true)
}

fn set_context(session: &Session, row: &DecisionRow, memory: &Memory) -> Result<(), StoreError> {
    let connection = &session.connection;
    let result = match &memory.value {
        Some(value) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO context
                     (session_id, namespace, sender_key, key, value, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut statement| {
                let at = row.at.as_i64();
                let Memory { namespace, sender_key, session, key, expires_at, .. } = memory;
                statement
                    .execute(params![session, namespace, sender_key, key, value, at, expires_at])
            }),
        None => connection
            .prepare_cached(
                "DELETE FROM context
                 WHERE session_id = ?1 AND namespace = ?2 AND sender_key = ?3 AND key = ?4",
            )
            .and_then(|mut statement| {
                let Memory { namespace, sender_key, session, key, .. } = memory;
                statement.execute(params![session, namespace, sender_key, key])
            }),
    };
    result.doing("set context").map(drop)
}

fn set_flag(session: &Session, row: &DecisionRow, memory: &Memory) -> Result<(), StoreError> {
    let connection = &session.connection;
    let result = match &memory.value {
        Some(value) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO flags (namespace, key, value, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .and_then(|mut statement| {
                let at = row.at.as_i64();
                let Memory { namespace, key, expires_at, .. } = memory;
                statement.execute(params![namespace, key, value, at, expires_at])
            }),
        None => connection
            .prepare_cached("DELETE FROM flags WHERE namespace = ?1 AND key = ?2")
            .and_then(|mut statement| statement.execute(params![memory.namespace, memory.key])),
    };
    result.doing("set a flag").map(drop)
}

/// The words in which classes and modes are stored.
pub(super) fn class_word(class: OperationClass) -> &'static str {
    match class {
        OperationClass::Local => "local",
        OperationClass::Keyed => "keyed",
        OperationClass::Unkeyed => "unkeyed",
    }
}

pub(super) fn mode_word(mode: WakeMode) -> &'static str {
    match mode {
        WakeMode::Respond => "respond",
        WakeMode::Process => "process",
    }
}
