//! One run of a recipe, written whole or not at all: its journal row, its
//! story, what it changed and what it left to perform. What can be computed
//! beforehand is computed by the caller, not on the writer's thread.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::accept::EnvelopeRow;
use super::children;
use super::effects::{self, Effect};
use super::error::{Doing, StoreError};
use super::journal_columns::{self, DECISION, optional_text, text};
use super::reviews;
use super::sender_limits;
use super::session::Session;
use crate::ids::{Digest, EnvelopeSeq, JournalId};
use crate::journal::{
    Answering, Assumption, CacheEntry, Commit, CommitOutcome, DecisionRow, Guarding,
};
use crate::operation::PlannedOperation;
use crate::stage::HostCallRecord;

impl Store {
    /// Writes a run; answers when it is durable.
    ///
    /// Operations have an effect only if the mode acts, the trace says that
    /// the action was executed, and the operation was not denied; all of them
    /// stand in the journal. A run that made a buffer flush is journaled as
    /// `NAME+summon`. Events that it triggers are written with it.
    ///
    /// # Errors
    /// The database cannot be written, the envelope was never accepted, or the
    /// triggered events are not those of the plan; nothing was written and nothing will be performed.
    pub async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let prepared = Prepared::new(commit)?;
        self.writer.run(prepared.weight(), move |session| write(session, &prepared)).await
    }

    /// As [`Self::commit`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_blocking(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let prepared = Prepared::new(commit)?;
        self.writer.run_blocking(prepared.weight(), move |session| write(session, &prepared))
    }
}

impl Store {
    /// Marks an event as done for which no further row is expected.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn close(&self, seq: EnvelopeSeq) -> Result<(), StoreError> {
        self.writer.run(1, move |session| mark_done(session, seq)).await
    }
}

fn mark_done(session: &Session, seq: EnvelopeSeq) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached("UPDATE envelopes SET state = 'done' WHERE seq = ?1")
        .and_then(|mut statement| statement.execute([seq]))
        .doing("mark an event as done")
        .map(drop)
}

struct Prepared {
    row: DecisionRow,
    trace: String,
    trace_digest: Digest,
    host_calls: Vec<HostCallRow>,
    effects: Vec<Effect>,
    /// Recipes whose hour the operations count against.
    answerable: Vec<String>,
    dry_run: bool,
    /// A person should look at the run.
    asks_review: bool,
    children: Vec<EnvelopeRow>,
    cooldown: Option<(String, i64)>,
    cache: Option<CacheEntry>,
    assumptions: Vec<Assumption>,
    closes_envelope: bool,
    answers: Vec<Answering>,
    /// The event at the beginning of the chain.
    root: EnvelopeSeq,
    looped: Option<Box<Prepared>>,
    knock_threshold: Option<u32>,
}

/// A host call as it is stored; its request and answer are JSON.
pub(super) struct HostCallRow {
    pub(super) stage: String,
    pub(super) interface: String,
    pub(super) function: String,
    pub(super) request: String,
    pub(super) answered_as: Option<String>,
    pub(super) answer: String,
    pub(super) wall_us: i64,
}

impl Prepared {
    fn new(commit: Commit) -> Result<Self, StoreError> {
        let Commit {
            row,
            mut trace,
            delivery,
            cooldown,
            cache,
            assumptions,
            children,
            guarding,
            closes_envelope,
        } = commit;
        let Guarding { answers, looped, knock_threshold, alert } = guarding;
        let looped = looped.map(|beside| Self::new(*beside)).transpose()?.map(Box::new);
        let answerable = delivery.wake_bounds.iter().map(|(recipe, _)| recipe.clone()).collect();
        let dry_run = delivery.dry_run;
        let asks_review = reviews::is_asked_for(&row);
        let is_performed = row.mode.acts() && trace.action.executed;
        let performed: &[PlannedOperation] =
            if is_performed { &trace.action.operations } else { &[] };
        let mut effects = effects::of_plan(&row, performed, &delivery)?;
        effects.extend(alert.map(|alert| Effect::Enqueue(effects::alert(&alert, row.at), None)));
        let children = children::of_plan(performed, children)?;
        let host_calls = std::mem::take(&mut trace.host_calls)
            .into_iter()
            .map(HostCallRow::new)
            .collect::<Result<Vec<_>, _>>()?;
        let trace = to_json(&trace, "a trace")?;
        let trace_digest = trace_digest(&trace, &host_calls);
        let cooldown = cooldown.map(|(key, at)| (key, at.as_i64()));
        Ok(Self {
            row,
            trace,
            trace_digest,
            host_calls,
            effects,
            answerable,
            dry_run,
            asks_review,
            children,
            cooldown,
            cache,
            assumptions,
            closes_envelope,
            answers,
            root: delivery.root,
            looped,
            knock_threshold,
        })
    }

    /// In events, for the writer's batches.
    fn weight(&self) -> usize {
        1 + self.children.len()
    }
}

impl HostCallRow {
    fn new(call: HostCallRecord) -> Result<Self, StoreError> {
        let (interface, function) = call.request.name();
        Ok(Self {
            interface: interface.to_owned(),
            function: function.to_owned(),
            request: to_json(&call.request, "a host call")?,
            answered_as: call
                .answered_as
                .map(|request| to_json(&request, "a host call"))
                .transpose()?,
            answer: to_json(&call.answer, "a host call's answer")?,
            stage: call.stage,
            wall_us: i64::try_from(call.wall_us).unwrap_or(i64::MAX),
        })
    }
}

pub(super) fn to_json<T: serde::Serialize>(
    value: &T,
    what: &'static str,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::malformed(what))
}

/// Covers the stored texts themselves, so that verifying reads no JSON.
pub(super) fn trace_digest(trace: &str, host_calls: &[HostCallRow]) -> Digest {
    let numbers: Vec<[u8; 8]> = host_calls.iter().map(|call| call.wall_us.to_be_bytes()).collect();
    let mut parts: Vec<&[u8]> = vec![trace.as_bytes()];
    for (call, wall_us) in host_calls.iter().zip(&numbers) {
        for part in [&call.stage, &call.interface, &call.function, &call.request, &call.answer] {
            parts.push(part.as_bytes());
        }
        // A part more only where there is one: what is older has the digest that it had.
        parts.extend(call.answered_as.as_ref().map(String::as_bytes));
        parts.push(wall_us);
    }
    Digest::of_parts(&parts)
}

fn write(session: &mut Session, run: &Prepared) -> Result<CommitOutcome, StoreError> {
    let row = &run.row;
    let envelope = EnvelopeState::read(session, row.envelope_seq)?;
    if let Some(id) = decided(session, row.envelope_seq, &row.recipe)? {
        return Ok(CommitOutcome::AlreadyDecided(id));
    }
    for assumption in &run.assumptions {
        if !holds(session, assumption)? {
            return Ok(CommitOutcome::Stale);
        }
    }
    // Effects first: only they know whether a buffer is flushed, which the
    // row's action name tells.
    let has_flushed = effects::apply(
        session,
        session.next_id(),
        row,
        &run.answerable,
        run.dry_run,
        &run.effects,
    )?;
    let action_name = action_name(row, has_flushed);
    let id = append_decision(session, run, &action_name, &envelope)?;
    insert_story(session, id, run)?;
    if run.asks_review {
        reviews::open(session, id, row)?;
    }
    let children = children::insert_all(session, id, &run.children)?;
    sender_limits::count_answers(session, row, run.root, &run.answers)?;
    let looped = match &run.looped {
        Some(beside) => write_beside(session, beside, &envelope)?,
        None => None,
    };
    let knock = match run.knock_threshold {
        Some(threshold) => sender_limits::knock(session, row, threshold)?,
        None => None,
    };
    if let Some((key, at)) = &run.cooldown {
        session
            .connection
            .prepare_cached(
                "INSERT OR REPLACE INTO cooldowns (recipe, key, last) VALUES (?1, ?2, ?3)",
            )
            .and_then(|mut statement| statement.execute(params![row.recipe, key, at]))
            .doing("set a cooldown")?;
    }
    if let Some(entry) = &run.cache {
        insert_cached(session, entry)?;
    }
    if envelope.is_pending && run.closes_envelope {
        mark_done(session, row.envelope_seq)?;
    }
    Ok(CommitOutcome::Committed { id, action_name, children, knock, looped })
}

/// The row that stops a sender, once for an event.
fn write_beside(
    session: &mut Session,
    run: &Prepared,
    envelope: &EnvelopeState,
) -> Result<Option<JournalId>, StoreError> {
    let row = &run.row;
    if decided(session, row.envelope_seq, &row.recipe)?.is_some() {
        return Ok(None);
    }
    effects::apply(session, session.next_id(), row, &[], run.dry_run, &run.effects)?;
    let id = append_decision(session, run, &row.action_name, envelope)?;
    insert_story(session, id, run)?;
    sender_limits::told(session, sender_limits::LOOP, &row.sender_key, row.at)?;
    Ok(Some(id))
}

struct EnvelopeState {
    id: String,
    payload_digest: [u8; 32],
    is_pending: bool,
}

impl EnvelopeState {
    fn read(session: &Session, seq: EnvelopeSeq) -> Result<Self, StoreError> {
        session
            .connection
            .prepare_cached(
                "SELECT id, payload_digest, state = 'pending'
                 FROM envelopes WHERE seq = ?1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row([seq], |row| {
                        Ok(Self {
                            id: row.get(0)?,
                            payload_digest: row.get(1)?,
                            is_pending: row.get(2)?,
                        })
                    })
                    .optional()
            })
            .doing("read an event")?
            .ok_or(StoreError::NoSuchEnvelope(seq))
    }
}

fn decided(
    session: &Session,
    seq: EnvelopeSeq,
    recipe: &str,
) -> Result<Option<JournalId>, StoreError> {
    session
        .connection
        .prepare_cached(
            "SELECT id FROM journal
             WHERE envelope_seq = ?1 AND recipe = ?2 AND kind = 'decision'",
        )
        .and_then(|mut statement| {
            statement.query_row(params![seq, recipe], |row| row.get(0)).optional()
        })
        .doing("look for an earlier decision")
}

fn holds(session: &Session, assumption: &Assumption) -> Result<bool, StoreError> {
    let connection = &session.connection;
    match assumption {
        Assumption::RateBelow { recipe, sender_key, window, below } => {
            let count = super::decision_inputs::rate_count(
                connection, recipe, sender_key, *window, *below,
            )?;
            Ok(count < *below)
        }
        Assumption::OperationsBelow { recipe, kind, window, below } => {
            let count =
                super::decision_inputs::operation_count(connection, recipe, kind, *window, *below)?;
            Ok(count < *below)
        }
        Assumption::AnswersBelow { sender_key, session: counted, root, window, below } => {
            let counted = counted.as_deref();
            Ok(sender_limits::answers(connection, sender_key, counted, *root, *window)? < *below)
        }
        Assumption::LetThroughBelow { sender_key, window, below } => {
            Ok(sender_limits::let_through(connection, sender_key, *window)? < *below)
        }
        Assumption::CooldownUnchanged { recipe, key, last } => {
            Ok(super::decision_inputs::cooldown_last(connection, recipe, key)? == *last)
        }
        Assumption::DescendantsBelow { root, below } => {
            Ok(children::descendants(connection, *root)? < *below)
        }
    }
}

/// What scripts read: a run that made a buffer flush woke the agent as well, and
/// says so.
fn action_name(row: &DecisionRow, has_flushed: bool) -> String {
    let name = &row.action_name;
    if has_flushed { format!("{name}+summon") } else { name.clone() }
}

fn append_decision(
    session: &mut Session,
    run: &Prepared,
    action_name: &str,
    envelope: &EnvelopeState,
) -> Result<JournalId, StoreError> {
    let row = &run.row;
    let values = [
        ValueRef::Integer(row.at.as_i64()),
        ValueRef::Integer(row.envelope_seq),
        text(&envelope.id),
        text(&row.recipe),
        ValueRef::Blob(&row.revision.0),
        text(&row.trigger),
        text(&row.source),
        text(&row.from_node),
        text(&row.sender_key),
        text(&row.session_id),
        text(row.tier.as_str()),
        text(row.mode.as_str()),
        text(row.eval_type.as_str()),
        text(&row.action),
        text(action_name),
        text(&row.reason),
        confidence(row.confidence),
        optional_text(row.prompt_hash.as_deref()),
        optional_text(row.model.as_deref()),
        ValueRef::Integer(i64::from(row.counted)),
        ValueRef::Integer(i64::try_from(row.wall_us).unwrap_or(i64::MAX)),
        ValueRef::Blob(&row.decision_hash.0),
        ValueRef::Blob(&run.trace_digest.0),
        ValueRef::Blob(&envelope.payload_digest),
        ValueRef::Null,
        ValueRef::Null,
    ];
    journal_columns::append(session, DECISION, &values)
}

/// SQLite stores a NaN as NULL; the hash must see what is stored.
fn confidence(value: Option<f32>) -> ValueRef<'static> {
    value
        .filter(|value| !value.is_nan())
        .map_or(ValueRef::Null, |value| ValueRef::Real(f64::from(value)))
}

fn insert_story(session: &Session, id: JournalId, run: &Prepared) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached("INSERT INTO traces (journal_id, body) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![id, run.trace]))
        .doing("store a trace")?;
    for (ordinal, call) in (0_i64..).zip(&run.host_calls) {
        session
            .connection
            .prepare_cached(
                "INSERT INTO host_calls (journal_id, ordinal, stage, interface, function,
                     request, answered_as, answer, wall_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    id,
                    ordinal,
                    call.stage,
                    call.interface,
                    call.function,
                    call.request,
                    call.answered_as,
                    call.answer,
                    call.wall_us
                ])
            })
            .doing("store a host call")?;
    }
    Ok(())
}

fn insert_cached(session: &Session, entry: &CacheEntry) -> Result<(), StoreError> {
    let value = to_json(&entry.value, "a cached verdict")?;
    session
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO verdict_cache (key, value, expires_at) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut statement| {
            statement.execute(params![entry.key.0, value, entry.expires_at.as_i64()])
        })
        .doing("keep a verdict")?;
    Ok(())
}
