//! Accepting events and running recipes on them: the moving part between the
//! sources and the store. Decisions are the pipeline's, order is
//! `engine/lanes.rs`'s, writing is the store's; the engine only moves events
//! from one to the next and keeps every lane in order.

mod continuing;
pub mod lanes;
pub mod questions;
mod trips;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::breakers::Standing;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, TimestampMs};
use crate::config::Source;
use crate::envelope::json::Draft;
use crate::envelope::sender::{self, Tier, TrustList};
use crate::envelope::{Envelope, Field, HOST_TRIGGERS, descent, result_event, sender_field};
use crate::fault_points::{FaultHook, FaultPoint};
use crate::grants::Authority;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::{Alert, Child, Commit, CommitOutcome};
use crate::log_tail::Place;
use crate::operation::Operation;
use crate::pipeline::answer::{self, Answer};
use crate::pipeline::guard::{self, GuardRules, Stop};
use crate::pipeline::ports::{FactError, Ports};
use crate::pipeline::{self, RunInput, Switches};
use crate::recipes::TriggerSpec;
use crate::recipes::registry::{Registry, Revision};
use crate::recipes::trip_wire::{SenderOfRun, Trip, TripWire};
use crate::sender_limits::SenderLimits;
use crate::stage::StageLimits;
use crate::store::{
    Accepted, Incoming, Ordered, OutboxOrder, OutboxRow, PendingEvent, Reader, Review, Store,
    StoreError,
};
use lanes::Lanes;
use questions::Asker;

/// Runs that wait for a guest, a model or a commit at one time. More than the
/// processors, because most of them wait for the writer's next fsync; bounded,
/// because each holds an event and its trace in memory.
const MAX_RUNNING: usize = 256;

/// How often a run is decided anew because a neighbour was faster, before the
/// store's answer is taken as a failure.
const MAX_STALE: u32 = 8;

/// Envelopes that are read at once when a start picks up what was left.
const RESUME_PAGE: u32 = 500;

/// How a run waits for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for each event: a model that is busy for too long is
    /// passed over, and the recipe's fallback decides.
    Live,
    /// A file is worked off: runs queue up before they ask the model, so that
    /// no event is decided by fallback only because there are many.
    Batch,
}

/// Runs of a batch that may stand before the model: enough to keep it busy.
const BATCH_MODEL_TURNS: usize = 4;

/// Told of each commit when it is durable.
pub type Observer = Box<dyn Fn(&Commit) + Send + Sync>;

/// What the engine needs to know from the configuration. Swapped whole.
#[derive(Clone, Debug, Default)]
pub struct EngineRules {
    pub guard: GuardRules,
    pub trust: TrustList,
    /// Master switch: when false, nothing is accepted.
    pub enabled: bool,
    /// Sources whose `from_node` is believed.
    pub asserting_sources: Vec<String>,
    pub switches: Switches,
    pub limits: SenderLimits,
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("source {source_name:?} may not bring {trigger:?} events")]
    NotAllowed { source_name: String, trigger: String },
    #[error("{waiting} events of this sender wait already: try again later")]
    LaneFull { waiting: usize },
    #[error("thrall is switched off (enabled = false in thrall.toml)")]
    Disabled,
    #[error("the event cannot be stored")]
    Store(#[from] StoreError),
}

/// One accepted envelope on its way through the recipes.
struct Job {
    seq: EnvelopeSeq,
    envelope: Envelope,
    /// Recipes that matched when it was accepted, in order, still to run.
    runs: Vec<(String, Digest)>,
    /// A recipe before them has woken the agent or replied.
    answered: bool,
    /// Who waits for an answer.
    asker: Option<Asker>,
}

impl Job {
    fn new(seq: EnvelopeSeq, envelope: Envelope, runs: Vec<(String, Digest)>) -> Self {
        Self { seq, envelope, runs, answered: false, asker: None }
    }
}

/// When an event is tried again whose run could not be written down.
#[derive(Clone, Copy, Debug)]
enum Unwritten {
    /// As soon as the store can be written.
    Later,
    /// It would fail again for what it is.
    NextStart,
}

impl Unwritten {
    fn because_of(error: &StoreError) -> Self {
        if error.may_pass() { Self::Later } else { Self::NextStart }
    }
}

/// What an engine is made of.
pub struct EngineParts {
    pub store: Arc<Store>,
    pub registry: Arc<ArcSwap<Registry>>,
    pub rules: Arc<ArcSwap<EngineRules>>,
    pub ports: Ports,
    pub breakers: Arc<Breakers>,
    pub clock: Arc<dyn Clock>,
    /// Events that may wait in one lane before its source has to.
    pub max_per_lane: usize,
    pub pace: Pace,
    pub committed: Observer,
    /// Told of each revision that failed too often.
    pub tripped: mpsc::UnboundedSender<Trip>,
    pub faults: FaultHook,
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    registry: Arc<ArcSwap<Registry>>,
    rules: Arc<ArcSwap<EngineRules>>,
    ports: Ports,
    breakers: Arc<Breakers>,
    clock: Arc<dyn Clock>,
    lanes: Mutex<Lanes<Job>>,
    /// Rung when a job was queued or a lane became free.
    work: Notify,
    /// Rung when a lane became free: the engine may be idle now.
    idle: Notify,
    slots: Arc<Semaphore>,
    /// Places before the model for a batch that nobody waits for; see [`Pace`].
    model_turns: Option<Semaphore>,
    /// Called after each commit: log lines, the performer.
    committed: Observer,
    trip_wire: Mutex<TripWire>,
    tripped: mpsc::UnboundedSender<Trip>,
    faults: FaultHook,
}

impl Engine {
    pub fn new(parts: EngineParts) -> Self {
        let shared = Shared {
            store: parts.store,
            registry: parts.registry,
            rules: parts.rules,
            ports: parts.ports,
            breakers: parts.breakers,
            clock: parts.clock,
            lanes: Mutex::new(Lanes::new(parts.max_per_lane)),
            work: Notify::new(),
            idle: Notify::new(),
            slots: Arc::new(Semaphore::new(MAX_RUNNING)),
            model_turns: (parts.pace == Pace::Batch).then(|| Semaphore::new(BATCH_MODEL_TURNS)),
            committed: parts.committed,
            trip_wire: Mutex::default(),
            tripped: parts.tripped,
            faults: parts.faults,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes events in: stamps, matches, stores, queues. Returns when they are
    /// durable, not when they are decided.
    ///
    /// # Errors
    /// See [`SubmitError`]; either all events are taken or none.
    pub async fn submit(
        &self,
        source: &Source,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Accepted>, SubmitError> {
        self.submit_for(source, drafts, None, None).await
    }

    /// As [`Engine::submit`], for lines of a log: the place behind them is kept
    /// with them or not at all.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_lines(
        &self,
        source: &Source,
        lines: Vec<Draft>,
        path: &str,
        place: Place,
    ) -> Result<Vec<Accepted>, SubmitError> {
        self.submit_for(source, lines, None, Some((path, place))).await
    }

    /// As [`Engine::submit`]; `asker` is told the answer to the first event.
    async fn submit_for(
        &self,
        source: &Source,
        drafts: Vec<Draft>,
        mut asker: Option<Asker>,
        log: Option<(&str, Place)>,
    ) -> Result<Vec<Accepted>, SubmitError> {
        let shared = &self.shared;
        if !shared.rules.load().enabled {
            return Err(SubmitError::Disabled);
        }
        if let Some(draft) = drafts.iter().find(|draft| !may_bring(source, &draft.trigger)) {
            return Err(SubmitError::NotAllowed {
                source_name: source.name.clone(),
                trigger: draft.trigger.clone(),
            });
        }
        let now = shared.clock.now();
        let registry = shared.registry.load_full();
        let rules = shared.rules.load_full();
        let mut incoming: Vec<Incoming> = {
            let breakers = shared.breakers.standing();
            let stamped = |draft| stamp(&registry, &rules, &breakers, source, draft, now);
            drafts.into_iter().map(stamped).collect()
        };
        {
            let wanted = room_for(incoming.iter().map(|one| &one.envelope));
            let lanes = lock(&shared.lanes);
            if wanted.iter().any(|(lane, more)| !lanes.has_room(lane, *more)) {
                return Err(SubmitError::LaneFull { waiting: lanes.waiting() });
            }
        }
        if asker.is_some() {
            // The same question again is asked again.
            incoming.iter_mut().for_each(|one| one.dedupe_id = None);
        }
        let accepted = match log {
            None => shared.store.accept(incoming.clone()).await?,
            Some((path, place)) => {
                shared.store.accept_lines(incoming.clone(), path.to_owned(), place, now).await?
            }
        };
        (shared.faults)(FaultPoint::Accepted);
        {
            let mut lanes = lock(&shared.lanes);
            for (outcome, one) in accepted.iter().zip(incoming) {
                if let Accepted::New { seq, .. } = outcome
                    && !one.matched.is_empty()
                {
                    let asker = asker.take();
                    let job = Job { asker, ..Job::new(*seq, one.envelope, one.matched) };
                    lanes.push(&job.envelope.lane(), job);
                }
            }
        }
        if let Some(asker) = asker {
            asker.answer();
        }
        shared.work.notify_one();
        Ok(accepted)
    }

    /// Queues what an earlier run of the program accepted and did not finish.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn resume(&self) -> Result<usize, StoreError> {
        let mut resumed = 0;
        let mut after = 0;
        loop {
            let page = self.shared.store.reader().pending(after, RESUME_PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.stored.seq;
            let mut answered = Vec::new();
            for pending in &page {
                let outbox = self.shared.store.reader().outbox_of(pending.stored.seq)?;
                answered.push(outbox.iter().any(answers_sender));
            }
            let mut lanes = lock(&self.shared.lanes);
            for (PendingEvent { stored, missing, .. }, answered) in page.into_iter().zip(answered) {
                let job = Job { answered, ..Job::new(stored.seq, stored.envelope, missing) };
                lanes.push(&job.envelope.lane(), job);
                resumed += 1;
            }
        }
        self.shared.work.notify_one();
        Ok(resumed)
    }

    /// Runs queued jobs until `stop` resolves. Running jobs are finished.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        loop {
            while let Ok(slot) = Arc::clone(&self.shared.slots).try_acquire_owned() {
                let Some((lane, job)) = lock(&self.shared.lanes).take() else { break };
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    match shared.process(job).await {
                        None => lock(&shared.lanes).finish(&lane),
                        Some(job) => lock(&shared.lanes).put_back(&lane, job),
                    }
                    drop(slot);
                    shared.work.notify_one();
                    shared.idle.notify_waiters();
                });
            }
            tokio::select! {
                () = self.shared.work.notified() => {}
                () = &mut stop => break,
            }
        }
        // Every permit back means that every job in flight has ended.
        let all = u32::try_from(MAX_RUNNING).unwrap_or(u32::MAX);
        drop(self.shared.slots.acquire_many(all).await);
    }

    /// Resolves when nothing waits and nothing runs.
    pub async fn idle(&self) {
        loop {
            let notified = self.shared.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if lock(&self.shared.lanes).is_idle() {
                return;
            }
            notified.await;
        }
    }

    /// Looks after the store: what could not be written down is tried again when
    /// writing works. True when it does.
    pub async fn look_after_store(&self) -> bool {
        let works = self.shared.store.probe().await.is_ok() && self.trouble().is_none();
        if works && lock(&self.shared.lanes).release() {
            self.shared.work.notify_one();
        }
        works
    }

    /// What keeps the store from being written.
    pub fn trouble(&self) -> Option<String> {
        self.shared.store.trouble()
    }

    /// Counts an event that was refused before it became one. Losing the count
    /// is worth a warning, not an error: the event is refused either way.
    pub async fn count_refusal(&self, source: &str, code: &str) {
        if let Err(error) = self.shared.store.count(format!("refused.{source}.{code}"), 1).await {
            tracing::warn!(%error, source, code, "cannot count a refused event");
        }
    }

    /// What is written down.
    pub fn reader(&self) -> &Reader {
        self.shared.store.reader()
    }

    pub fn now(&self) -> TimestampMs {
        self.shared.clock.now()
    }

    /// Writes down what somebody says about a run; see [`Store::review`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn review(&self, review: Review) -> Result<bool, StoreError> {
        self.shared.store.review(review).await
    }

    /// Carries out the operator's word on a row of the outbox; see
    /// [`Store::order`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn order(&self, id: i64, order: OutboxOrder) -> Result<Ordered, StoreError> {
        self.shared.store.order(id, order, self.now()).await
    }

    /// The operator's master switch.
    pub fn is_enabled(&self) -> bool {
        self.shared.rules.load().enabled
    }

    /// Events that wait for a run.
    pub fn waiting(&self) -> usize {
        lock(&self.shared.lanes).waiting()
    }
}

/// Places that events need, by lane. What recipes trigger on them waits in a
/// lane of its own: who brings more of what fills it has to wait for it too.
fn room_for<'a>(events: impl Iterator<Item = &'a Envelope>) -> HashMap<String, usize> {
    let mut wanted: HashMap<String, usize> = HashMap::new();
    for envelope in events {
        *wanted.entry(envelope.lane()).or_default() += 1;
        wanted.entry(envelope.children_lane()).or_insert(1);
    }
    wanted
}

/// Exactly the words that are declared. Without any: those that a recipe can
/// wait for and that are not the host's; another spelling is another word.
fn may_bring(source: &Source, trigger: &str) -> bool {
    if source.triggers.is_empty() {
        TriggerSpec::KINDS.contains(&trigger) && !HOST_TRIGGERS.contains(&trigger)
    } else {
        source.triggers.iter().any(|allowed| allowed == trigger)
    }
}

/// Puts the host's stamps on a draft. Fields that only the host may set are
/// taken out, whoever sent them.
fn stamp(
    registry: &Registry,
    rules: &EngineRules,
    breakers: &Standing,
    source: &Source,
    draft: Draft,
    now: TimestampMs,
) -> Incoming {
    let id = draft.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut fields = draft.fields;
    fields.retain(|field| !field.name.to_ascii_lowercase().starts_with("host."));
    if !source.may_assert_sender {
        disown_sender(&source.name, &draft.trigger, &mut fields);
    }
    let envelope = Envelope {
        id,
        trigger: draft.trigger,
        source: source.name.clone(),
        parent: None,
        depth: 0,
        received_at: now,
        root: None,
        lineage: Vec::new(),
        fields,
    };
    let mut matched = matched(registry, &envelope);
    // What the guard stops gets a row of its own, under no recipe: mail and
    // questions always, the rest where a recipe wanted to see it.
    let is_told = envelope.trigger == "on_mail" || envelope.is_question() || !matched.is_empty();
    if is_told && guard::check(&rules.guard, breakers, &envelope, now).is_some() {
        matched = guarded();
    }
    Incoming { envelope, dedupe_id: draft.id, matched }
}

/// In the place of the recipes, for what was stopped when it was accepted.
fn guarded() -> Vec<(String, Digest)> {
    vec![(String::new(), Digest::ZERO)]
}

/// The recipes that want to see an event, in the order in which they run.
fn matched(registry: &Registry, envelope: &Envelope) -> Vec<(String, Digest)> {
    let revisions = registry.matching(envelope);
    revisions.iter().map(|revision| (revision.recipe.name.clone(), revision.digest)).collect()
}

/// A source that may not assert senders must not spend the rate limit or the
/// reputation of a node that it only names: such a sender gets an id of its
/// own, the same each time, that no node has.
fn disown_sender(source: &str, trigger: &str, fields: &mut [Field]) {
    let named = [sender_field(trigger), "from_node"];
    for field in fields.iter_mut().filter(|field| {
        named.contains(&field.name.as_str()) && sender::is_node_id(&field.value)
    }) {
        field.value = Digest::of_parts(&[b"unvouched", source.as_bytes(), field.value.as_bytes()])
            .to_string();
    }
}

/// The tier of an event's sender, as far as its source may assert one. What a
/// recipe triggered has the sender of its root, with the tier that holds now.
pub fn tier_of(rules: &EngineRules, envelope: &Envelope) -> Tier {
    // What a skill answered is nobody's word, whoever the skill was asked for.
    if envelope.trigger == result_event::TRIGGER {
        return Tier::Unknown;
    }
    if is_vouched_for(rules, envelope) {
        rules.trust.tier_of(envelope.sender().unwrap_or_default())
    } else {
        Tier::Unknown
    }
}

/// Whether the source behind an event may say who sent it.
fn is_vouched_for(rules: &EngineRules, envelope: &Envelope) -> bool {
    rules.asserting_sources.iter().any(|source| source == envelope.vouching_source())
}

/// Behind whom a run's failure stands. Whomever a source makes up as senders, it
/// stays one.
fn sender_of_run<'a>(
    rules: &EngineRules,
    envelope: &'a Envelope,
    sender_key: &'a str,
) -> SenderOfRun<'a> {
    if envelope.trigger == "on_tick" {
        SenderOfRun::HostMade
    } else if is_vouched_for(rules, envelope) {
        SenderOfRun::Node(sender_key)
    } else {
        SenderOfRun::Node(envelope.vouching_source())
    }
}

/// Bytes of an event from which on a guest may run out of fuel or memory
/// because of it: a failure says nothing about a recipe then.
const LARGE_EVENT: usize = 8 * 1024;

/// Whether an event's size explains that the guests of a run failed.
fn is_too_much(envelope: &Envelope, faults: &[(String, String)]) -> bool {
    let size: usize = envelope.fields.iter().map(|one| one.name.len() + one.value.len()).sum();
    size >= LARGE_EVENT
        && !faults.is_empty()
        && faults.iter().all(|(_, code)| matches!(code.as_str(), "out-of-fuel" | "out-of-memory"))
}

impl Shared {
    /// Runs what is left to run for one envelope, in order, one commit each.
    /// When the store cannot be written the job comes back, for later. In any
    /// case the envelope stays pending: nothing is lost, a later start picks it up.
    async fn process(&self, mut job: Job) -> Option<Job> {
        let mut asker = job.asker.take();
        match self.run_all(&mut job, &mut asker).await {
            Ok(()) => {
                if let Some(asker) = asker {
                    asker.answer();
                }
                None
            }
            // Nobody is told anything of what is not written down.
            Err(Unwritten::Later) => Some(job),
            Err(Unwritten::NextStart) => None,
        }
    }

    /// Takes away from the job what is written down.
    async fn run_all(&self, job: &mut Job, asker: &mut Option<Asker>) -> Result<(), Unwritten> {
        let rules = self.rules.load_full();
        let now = self.clock.now();
        let stop = {
            let breakers = self.breakers.standing();
            guard::check(&rules.guard, &breakers, &job.envelope, now)
        };
        if let Some(stop) = stop {
            let tier = tier_of(&rules, &job.envelope);
            let commit = pipeline::guard_commit(job.seq, &job.envelope, tier, &stop, now);
            self.write(commit).await?;
            if let (Stop::Breaker(stopped), Some(asker)) = (&stop, asker) {
                asker.said.push(Answer::block(&stopped.to_string()));
            }
            return Ok(());
        }
        // It was stopped when it was accepted and is not any more: it goes the
        // way that it would have gone.
        let is_let_go = job.runs == guarded();
        if is_let_go {
            job.runs = matched(&self.registry.load(), &job.envelope);
        }
        self.run_recipes(job, &rules, asker).await?;
        if is_let_go {
            // Not even one recipe, or the last of them had its row already.
            self.store.close(job.seq).await.map_err(|error| {
                tracing::error!(%error, seq = job.seq, "cannot close an event, it stays pending");
                Unwritten::because_of(&error)
            })?;
        }
        Ok(())
    }

    async fn run_recipes(
        &self,
        job: &mut Job,
        rules: &EngineRules,
        asker: &mut Option<Asker>,
    ) -> Result<(), Unwritten> {
        let mut answered = job.answered;
        while let Some((name, digest)) = job.runs.first().cloned() {
            let is_last = job.runs.len() == 1;
            let registry = self.registry.load_full();
            // A recipe that was edited while the program was down decides in
            // its present form; the row says which revision that was.
            let revision =
                registry.revision(&name, &digest).or_else(|| registry.live(&name).cloned());
            let stops = match revision {
                Some(revision) => {
                    self.run_one(job, rules, &revision, is_last, &mut answered, asker).await?
                }
                None => {
                    let stops = self.write(self.gone(job, rules, &name, digest, is_last)).await?;
                    if let Some(asker) = asker {
                        let why = format!("the revision of {name} that had to look at it is gone");
                        asker.said.push(Answer::block(&why));
                    }
                    stops
                }
            };
            if stops {
                return Ok(());
            }
            job.answered = answered;
            job.runs.remove(0);
        }
        Ok(())
    }

    /// Decides and commits until the facts stood still. True ends the list.
    async fn run_one(
        &self,
        job: &Job,
        rules: &EngineRules,
        revision: &Revision,
        is_last: bool,
        answered: &mut bool,
        asker: &mut Option<Asker>,
    ) -> Result<bool, Unwritten> {
        let _turn = match &self.model_turns {
            Some(turns) if revision.recipe.asks_model() => turns.acquire().await.ok(),
            _ => None,
        };
        let authority = authority_of(&self.registry.load(), revision, &job.envelope.lineage);
        for _ in 0..MAX_STALE {
            let now = self.clock.now();
            let input = RunInput {
                seq: job.seq,
                envelope: &job.envelope,
                revision,
                authority: &authority,
                tier: tier_of(rules, &job.envelope),
                now,
                answered: *answered,
                switches: rules.switches,
                limits: &rules.limits,
            };
            let run =
                tokio::time::timeout(StageLimits::RUN_TIME, pipeline::run(&self.ports, input))
                    .await;
            let mut commit = match run {
                Ok(Ok(commit)) => commit,
                Ok(Err(FactError { what, cause })) => {
                    tracing::error!(
                        what,
                        cause,
                        seq = job.seq,
                        "cannot decide, the event stays pending"
                    );
                    return Err(match self.store.probe().await {
                        Ok(()) => Unwritten::NextStart,
                        Err(_) => Unwritten::Later,
                    });
                }
                Err(_) => pipeline::timed_out(input),
            };
            // What only says what it would do does not end the list either.
            let stops = revision.recipe.stop && commit.row.counted && commit.row.mode.acts();
            commit.closes_envelope = is_last || stops;
            commit.children = self.children_of(job, &commit, now);
            (self.faults)(FaultPoint::Decided);
            match self.store.commit(commit.clone()).await {
                Ok(CommitOutcome::Stale) => {}
                Ok(CommitOutcome::Committed { id, action_name, children, knock, looped }) => {
                    (self.faults)(FaultPoint::Committed);
                    // Before anything else is decided.
                    trips::hold(&self.breakers, &commit, id);
                    if let (Some(beside), Some(id)) = (&commit.guarding.looped, looped) {
                        trips::hold(&self.breakers, beside, id);
                    }
                    *answered |= answers(&commit);
                    commit.row.action_name = action_name;
                    commit.guarding.alert = knock.map(|reason| Alert::knock(&commit.row, reason));
                    self.queue(children, std::mem::take(&mut commit.children));
                    (self.committed)(&commit);
                    self.watch_for_trips(rules, &job.envelope, &commit);
                    if let Some(asker) = asker {
                        asker.said.extend(answer::of_commit(&commit));
                    }
                    return Ok(stops);
                }
                Ok(CommitOutcome::AlreadyDecided(_)) => return Ok(stops),
                Err(error) => {
                    tracing::error!(%error, seq = job.seq, "cannot commit, the event stays pending");
                    return Err(Unwritten::because_of(&error));
                }
            }
        }
        tracing::error!(
            seq = job.seq,
            recipe = revision.recipe.name,
            "facts never stood still, the event stays pending"
        );
        Err(Unwritten::NextStart)
    }

    /// The events that a commit's triggers make.
    fn children_of(&self, job: &Job, commit: &Commit, now: TimestampMs) -> Vec<Child> {
        let action = &commit.trace.action;
        if !(commit.row.mode.acts() && action.executed) {
            return Vec::new();
        }
        let registry = self.registry.load();
        let child = |name: &str, fields: &[Field]| {
            let id = uuid::Uuid::now_v7().to_string();
            let recipe = &commit.row.recipe;
            let envelope = descent::child(&job.envelope, job.seq, recipe, id, name, fields, now);
            Child { matched: matched(&registry, &envelope), envelope }
        };
        let allowed = action.operations.iter().filter(|planned| planned.is_carried_out());
        allowed
            .filter_map(|planned| match &planned.operation {
                Operation::Trigger { trigger, fields } => Some(child(trigger, fields)),
                _ => None,
            })
            .collect()
    }

    /// Queues events that are stored already; those that nobody wants to see
    /// are done with that.
    fn queue(&self, seqs: Vec<EnvelopeSeq>, children: Vec<Child>) {
        if seqs.is_empty() {
            return;
        }
        {
            let mut lanes = lock(&self.lanes);
            for (seq, child) in seqs.into_iter().zip(children) {
                let Child { envelope, matched: runs } = child;
                if !runs.is_empty() {
                    let job = Job::new(seq, envelope, runs);
                    lanes.push(&job.envelope.lane(), job);
                }
            }
        }
        self.work.notify_one();
    }

    /// Counts failures of guests in a row. A run that called none says nothing
    /// about its recipe.
    fn watch_for_trips(&self, rules: &EngineRules, envelope: &Envelope, commit: &Commit) {
        let Commit { row, trace, .. } = commit;
        if trace.usage.stages.is_empty() || is_too_much(envelope, &trace.faults) {
            return;
        }
        let sender = sender_of_run(rules, envelope, &row.sender_key);
        let has_failed = !trace.faults.is_empty();
        let trip = lock(&self.trip_wire).record(&row.recipe, &row.revision, sender, has_failed);
        if let Some(trip) = trip {
            // Nobody listens in commands that only decide; the next start of a
            // service counts anew.
            let _ = self.tripped.send(trip);
        }
    }

    fn gone(
        &self,
        job: &Job,
        rules: &EngineRules,
        name: &str,
        digest: Digest,
        is_last: bool,
    ) -> Commit {
        let tier = tier_of(rules, &job.envelope);
        let mut commit =
            pipeline::revision_gone(job.seq, &job.envelope, tier, name, digest, self.clock.now());
        commit.closes_envelope = is_last;
        commit
    }

    /// Commits a row that rests on no facts; as [`Self::run_one`].
    async fn write(&self, commit: Commit) -> Result<bool, Unwritten> {
        match self.store.commit(commit.clone()).await {
            Ok(_) => {
                (self.committed)(&commit);
                Ok(commit.closes_envelope)
            }
            Err(error) => {
                tracing::error!(%error, seq = commit.row.envelope_seq, "cannot commit, the event stays pending");
                Err(Unwritten::because_of(&error))
            }
        }
    }
}

/// What a revision may do: by its grant, by the one that it had when it was live,
/// where that is another, and by those of the recipes on the way to its event.
pub fn authority_of(registry: &Registry, revision: &Revision, lineage: &[String]) -> Authority {
    let then = revision.granted_then.iter().cloned();
    Authority::new(Arc::clone(&revision.grant), then.chain(registry.grants_of(lineage)).collect())
}

/// Whether an outbox row answers its event: a wake or a reply of its own, not
/// the wake of a buffer that happened to flush.
fn answers_sender(row: &OutboxRow) -> bool {
    row.flush_id.is_none() && matches!(row.kind.as_str(), "wake" | "reply")
}

/// Whether a commit has woken the agent or replied.
fn answers(commit: &Commit) -> bool {
    let action = &commit.trace.action;
    action.executed
        && action
            .operations
            .iter()
            .any(|one| one.is_carried_out() && pipeline::answers_sender(&one.operation))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{SKILL_REQUEST, limits};

    #[test]
    fn what_a_recipe_triggered_is_trusted_as_far_as_its_root() {
        let node = "ab".repeat(32);
        let rules = EngineRules {
            trust: TrustList::new([(node.clone(), Tier::Team)]).unwrap(),
            // Not even a source of that name vouches for what the host made.
            asserting_sources: vec!["mailbox".to_owned(), descent::SOURCE.to_owned()],
            ..EngineRules::default()
        };
        let tier = |source: &str| {
            let root = Envelope {
                source: source.to_owned(),
                fields: vec![Field::new("from_node", &node)],
                ..Envelope::blank()
            };
            let mut event = root;
            for _ in 0..limits::MAX_TRIGGER_DEPTH {
                let id = String::new();
                event = descent::child(&event, 1, "r", id, "next", &[], TimestampMs(0));
            }
            tier_of(&rules, &event)
        };
        assert_eq!((tier("mailbox"), tier("bridge")), (Tier::Team, Tier::Unknown));
    }

    #[test]
    fn who_asks_for_a_skill_is_judged_as_its_caller() {
        let (team, blocked) = ("ab".repeat(32), "cd".repeat(32));
        let rules = EngineRules {
            trust: TrustList::new([(team.clone(), Tier::Team), (blocked.clone(), Tier::Blocked)])
                .unwrap(),
            asserting_sources: vec!["bridge".to_owned()],
            ..EngineRules::default()
        };
        let tier = |source: &str, caller: &str| {
            let event = Envelope {
                trigger: SKILL_REQUEST.to_owned(),
                source: source.to_owned(),
                fields: vec![Field::new("caller_node", caller), Field::new("from_node", &team)],
                ..Envelope::blank()
            };
            tier_of(&rules, &event)
        };
        assert_eq!((tier("bridge", &team), tier("bridge", &blocked)), (Tier::Team, Tier::Blocked));
        assert_eq!((tier("bridge", ""), tier("other", &team)), (Tier::Unknown, Tier::Unknown));
    }

    #[test]
    fn a_source_that_may_not_vouch_is_one_sender_whomever_it_names() {
        let rules = EngineRules {
            asserting_sources: vec!["mailbox".to_owned()],
            ..EngineRules::default()
        };
        let from = |source: &str| Envelope { source: source.to_owned(), ..Envelope::blank() };
        let (vouched, made_up) = (from("mailbox"), from("agent"));
        assert_eq!(sender_of_run(&rules, &vouched, "k1"), SenderOfRun::Node("k1"));
        for key in ["k1", "k2", "k3"] {
            assert_eq!(sender_of_run(&rules, &made_up, key), SenderOfRun::Node("agent"));
        }
        let tick = Envelope { trigger: "on_tick".to_owned(), ..from("thrall") };
        assert_eq!(sender_of_run(&rules, &tick, ""), SenderOfRun::HostMade);
    }

    #[test]
    fn what_a_large_event_uses_up_says_nothing_about_a_recipe() {
        let event = |bytes: usize| Envelope {
            fields: vec![Field::new("body_text", "a".repeat(bytes))],
            ..Envelope::blank()
        };
        let faults = |code: &str| vec![("evaluate".to_owned(), code.to_owned())];
        assert!(is_too_much(&event(60_000), &faults("out-of-fuel")));
        assert!(!is_too_much(&event(100), &faults("out-of-fuel")), "it fails on anything");
        assert!(!is_too_much(&event(60_000), &faults("trapped")));
        assert!(!is_too_much(&event(60_000), &[]), "a success counts");
    }

    #[test]
    fn nobody_speaks_for_a_caller_whom_he_only_names() {
        let node = "ab".repeat(32);
        let mut fields = vec![Field::new("caller_node", &node), Field::new("to_node", &node)];
        disown_sender("agent", SKILL_REQUEST, &mut fields);
        assert!(fields[0].value != node && sender::is_node_id(&fields[0].value));
        assert_eq!(fields[1].value, node);
    }

    #[test]
    fn sources_bring_what_they_declare_and_nobody_brings_what_the_host_makes() {
        let source = |triggers: &[&str]| Source {
            name: "bridge".to_owned(),
            triggers: triggers.iter().map(|one| (*one).to_owned()).collect(),
            may_assert_sender: false,
        };
        let operators = source(&[]);
        for trigger in ["on_mail", "on_event", "on_bus", "on_log"] {
            assert!(may_bring(&operators, trigger), "{trigger}");
        }
        for trigger in HOST_TRIGGERS.into_iter().chain(["on_bsu", ""]) {
            assert!(!may_bring(&operators, trigger), "{trigger}");
        }
        let bus = source(&["on_bus"]);
        assert!(may_bring(&bus, "on_bus") && !may_bring(&bus, "on_log"));
    }

    #[test]
    fn who_brings_what_triggers_more_than_is_worked_off_has_to_wait() {
        let mail = |from: char| Envelope {
            source: "mailbox".to_owned(),
            fields: vec![Field::new("from_node", from.to_string().repeat(64))],
            ..Envelope::blank()
        };
        let flood = mail('a');
        let mut lanes = Lanes::new(2);
        let has_room = |lanes: &Lanes<()>, event: &Envelope| {
            room_for([event].into_iter()).iter().all(|(lane, more)| lanes.has_room(lane, *more))
        };
        for _ in 0..2 {
            assert!(has_room(&lanes, &flood));
            let child = descent::child(&flood, 1, "r", String::new(), "next", &[], TimestampMs(0));
            lanes.push(&child.lane(), ());
        }
        assert!(!has_room(&lanes, &flood));
        assert!(has_room(&lanes, &mail('b')), "others do not wait for it");
    }
}
