//! Running recipes on events: the moving part between the sources and the
//! store. Events come in through `engine/accepting.rs` and wait as
//! `engine/waiting.rs` has them. Decisions are the pipeline's, order is
//! `engine/lanes.rs`'s, writing is the store's; the engine only moves events
//! from one to the next and keeps every lane in order.

mod accepting;
mod continuing;
mod guest_failures;
pub mod lanes;
pub mod questions;
pub mod room;
pub mod seats;
mod trips;
mod waiting;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::capabilities::busy_model;
use crate::capabilities::model_turns::{self, ModelTurns};
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, TimestampMs};
use crate::envelope::sender::{Tier, TrustList};
use crate::envelope::{Envelope, Field, descent, result_event};
use crate::fault_points::{FaultHook, FaultPoint};
use crate::grants::Authority;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::{Alert, Child, Commit, CommitOutcome};
use crate::operation::Operation;
use crate::pipeline::answer::{self, Answer};
use crate::pipeline::guard::{self, GuardRules, Stop};
use crate::pipeline::ports::{FactError, Ports};
use crate::pipeline::{self, RunInput, Switches};
use crate::recipes::registry::{Registry, Revision};
use crate::recipes::trip_wire::{Trip, TripWire};
use crate::sender_limits::SenderLimits;
use crate::stage::StageLimits;
use crate::store::{
    Ordered, OutboxOrder, OutboxRow, PendingEvent, Reader, Review, Reviewed, Store, StoreError,
};
use lanes::{Lanes, Ticket};
use questions::Asker;
use room::Bounds;
use seats::{Rank, Seating};
use waiting::Waiting;

pub use accepting::{SubmitError, not_allowed};

/// Places where a service runs recipes.
const LIVE_SEATING: Seating =
    Seating { usual: 192, reserved: 32, usual_model: 64, reserved_model: 2, patience: None };

/// Mail that stands before the model: enough to keep it busy. What stands there
/// does not wait long, so that a question to the model does not either.
const MODEL_TURNS: usize = 8;

/// Runs of a batch that may stand before the model: enough to keep it busy, and
/// so few that it comes to each within its own patience.
const BATCH_MODEL_TURNS: usize = 4;

/// How often a run is decided anew because a neighbour was faster, before the
/// store's answer is taken as a failure.
const MAX_STALE: u32 = 8;

/// Envelopes that are read at once when a start picks up what was left.
const RESUME_PAGE: u32 = 500;

/// How a run waits for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for each event: a model that is busy for so long is
    /// passed over, and the recipe's fallback decides.
    Live,
    /// A file is worked off: runs queue up before they ask the model, so that
    /// no event is decided by fallback only because there are many.
    Batch,
}

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
    /// It has waited for the model for long enough.
    without_model: bool,
    /// Since when it stood in line.
    since: Instant,
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
    /// Events that may wait before their source has to.
    pub bounds: Bounds,
    pub pace: Pace,
    /// How long a live event waits for the model at most.
    pub patience: Duration,
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
    /// For events that waited for the model for long enough.
    ports_without_model: Ports,
    /// Before the model, for what sources bring.
    turns: Arc<ModelTurns>,
    /// After so long in line one goes on without the model.
    patience: Option<Duration>,
    clock: Arc<dyn Clock>,
    lanes: Mutex<Lanes<Waiting>>,
    /// Rung when a job was queued or a lane became free.
    work: Notify,
    /// Rung when a lane became free: the engine may be idle now.
    idle: Notify,
    /// Nothing is taken in and nothing begun any more.
    closing: AtomicBool,
    /// Called after each commit: log lines, the performer.
    committed: Observer,
    trip_wire: Mutex<TripWire>,
    tripped: mpsc::UnboundedSender<Trip>,
    faults: FaultHook,
}

impl Engine {
    pub fn new(parts: EngineParts) -> Self {
        let (patience, turns) = match parts.pace {
            Pace::Live => (Some(parts.patience), MODEL_TURNS),
            Pace::Batch => (None, BATCH_MODEL_TURNS),
        };
        let seating = Seating { patience, ..LIVE_SEATING };
        let shared = Shared {
            store: parts.store,
            registry: parts.registry,
            rules: parts.rules,
            ports_without_model: busy_model::busy(&parts.ports, parts.patience),
            ports: parts.ports,
            turns: ModelTurns::new(turns),
            patience,
            breakers: parts.breakers,
            clock: parts.clock,
            lanes: Mutex::new(Lanes::new(parts.bounds, seating)),
            work: Notify::new(),
            idle: Notify::new(),
            closing: AtomicBool::new(false),
            committed: parts.committed,
            trip_wire: Mutex::default(),
            tripped: parts.tripped,
            faults: parts.faults,
        };
        Self { shared: Arc::new(shared) }
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
            let registry = self.shared.registry.load();
            let mut lanes = lock(&self.shared.lanes);
            for (PendingEvent { stored, missing, .. }, answered) in page.into_iter().zip(answered) {
                let waiting = Waiting { answered, ..Waiting::new(stored.seq, missing) };
                self.shared.enqueue(&mut lanes, &registry, waiting, stored.envelope);
                resumed += 1;
            }
        }
        self.shared.work.notify_one();
        Ok(resumed)
    }

    /// Runs what waits until `stop` resolves. What runs then is finished within
    /// `grace`, or given up undecided: it stays pending for the next start.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send, grace: Duration) {
        tokio::pin!(stop);
        let mut runs = JoinSet::new();
        loop {
            let taken = lock(&self.shared.lanes).take(Instant::now());
            if let Some((ticket, waiting)) = taken {
                runs.spawn(Arc::clone(&self.shared).run_waiting(ticket, waiting));
                // Under a flood there is always more to begin.
                tokio::select! {
                    biased;
                    () = &mut stop => break,
                    () = std::future::ready(()) => continue,
                }
            }
            while runs.try_join_next().is_some() {}
            let overdue = lock(&self.shared.lanes).next_overdue();
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.shared.work.notified() => {}
                () = until(overdue) => {}
            }
        }
        let finished = async { while runs.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::warn!(
                runs = runs.len(),
                "given up undecided after {} s, they are decided at the next start",
                grace.as_secs()
            );
            runs.shutdown().await;
        }
    }

    /// Takes no more events in. Who waits for an answer to a question that has
    /// not begun gets a block at once.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        for waiting in lock(&self.shared.lanes).jobs_mut() {
            waiting.asker = None;
        }
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
        if works && lock(&self.shared.lanes).release(Instant::now()) {
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
    pub async fn review(&self, review: Review) -> Result<Reviewed, StoreError> {
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

    /// What keeps strangers' events out for now.
    pub fn pressure(&self) -> Option<String> {
        lock(&self.shared.lanes).pressure()
    }
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

/// Resolves at an instant, or never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether the source behind an event may say who sent it.
fn is_vouched_for(rules: &EngineRules, envelope: &Envelope) -> bool {
    rules.asserting_sources.iter().any(|source| source == envelope.vouching_source())
}

impl Shared {
    /// Runs one job to its end, and lets its lane go on.
    async fn run_waiting(self: Arc<Self>, ticket: Ticket, mut waiting: Waiting) {
        let undone = match self.read_waiting(&mut waiting) {
            Ok(envelope) => {
                let Waiting { seq, runs, answered, asker, .. } = waiting;
                let (without_model, since) = (ticket.is_overdue, ticket.since);
                let job = Job { seq, envelope, runs, answered, asker, without_model, since };
                let undone = self.process(job).await;
                undone.map(|job| Waiting::again(job, &lock(&self.lanes)))
            }
            Err(Unwritten::Later) => Some(waiting),
            Err(Unwritten::NextStart) => None,
        };
        match undone {
            None => lock(&self.lanes).finish(ticket, Instant::now()),
            Some(waiting) => lock(&self.lanes).put_back(ticket, waiting),
        }
        self.work.notify_one();
        self.idle.notify_waiters();
    }

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

    /// What a run reaches. Questions and what the host makes have seats of their own
    /// before the model, so few that they need no turns.
    fn ports_of(&self, job: &Job, revision: &Revision) -> Cow<'_, Ports> {
        if job.without_model {
            Cow::Borrowed(&self.ports_without_model)
        } else if waiting::rank(&job.envelope) == Rank::Usual && revision.can_ask_model() {
            let until = self.patience.map(|patience| job.since + patience);
            Cow::Owned(model_turns::in_turn(&self.ports, &self.turns, job.since, until))
        } else {
            Cow::Borrowed(&self.ports)
        }
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
        let ports = self.ports_of(job, revision);
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
                tokio::time::timeout(StageLimits::RUN_TIME, pipeline::run(&ports, input)).await;
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
            let registry = self.registry.load();
            let mut lanes = lock(&self.lanes);
            for (seq, child) in seqs.into_iter().zip(children) {
                let Child { envelope, matched: runs } = child;
                if !runs.is_empty() {
                    self.enqueue(&mut lanes, &registry, Waiting::new(seq, runs), envelope);
                }
            }
        }
        self.work.notify_one();
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
}
