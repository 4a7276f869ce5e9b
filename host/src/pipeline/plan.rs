//! The plan stage: the action's component turns the verdict into operations,
//! and each operation is held against the grant. Nothing is performed here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::evaluate::{Decided, fallback_action};
use super::ports::{EVERYBODY, FactError, Ports};
use super::record::RunRecord;
use super::sender_limits::{self, Held};
use super::{RunInput, answer, reply_words};
use crate::breakers::met;
use crate::clock::Window;
use crate::envelope::{automatic, sender};
use crate::grants::{HOURLY, Need, ReplyBody, need};
use crate::journal::{Answering, Assumption};
use crate::operation::{Operation, PlannedOperation};
use crate::recipes::{ActionSpec, OnFailure};
use crate::stage::{GuestFault, World};
use crate::verdict::Verdict;

pub(super) struct Planned {
    pub(super) operations: Vec<PlannedOperation>,
    /// False when the action stage failed and nothing took its place.
    pub(super) completed: bool,
    /// A wake or reply was left out because an earlier recipe had its turn.
    pub(super) superseded: bool,
    /// A bound on the number in an hour was used up, and another action took
    /// the place of what it denied.
    pub(super) rate_limited: bool,
    pub(super) notes: Vec<String>,
    /// What it comes to for the sender's limits.
    pub(super) answers: Vec<Answering>,
    /// Why the sender is stopped.
    pub(super) looped: Option<String>,
    /// See [`crate::journal::Delivery`].
    pub(super) wake_on_failure: bool,
    pub(super) error_buffers: BTreeMap<String, String>,
}

impl Planned {
    pub(super) fn skipped() -> Self {
        Self {
            operations: Vec::new(),
            completed: true,
            superseded: false,
            rate_limited: false,
            notes: Vec::new(),
            answers: Vec::new(),
            looped: None,
            wake_on_failure: false,
            error_buffers: BTreeMap::new(),
        }
    }
}

pub(super) async fn apply(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    decided: &Decided,
) -> Result<Planned, FactError> {
    let mut notes = Vec::new();
    let first = plan_action(ports, input, run, &decided.action, &decided.verdict).await;
    let asked = match first {
        Ok(operations) => Some(operations),
        Err(fault) => {
            notes.push(format!("action {} {}: {fault}", decided.action, fault.code()));
            match replacement(input, &decided.action) {
                Some(action) => stand_in(ports, input, run, decided, &action, &mut notes).await,
                None => None,
            }
        }
    };
    let completed = asked.is_some();
    let mut ruling = Ruling::new(input);
    let mut operations = ruling.rule_on(ports, run, &decided.verdict, asked.unwrap_or_default())?;
    let mut rate_limited = false;
    if ruling.hourly_denied
        && let Some(action) = rate_limit_action(input, &decided.action)
    {
        rate_limited = true;
        let instead = stand_in(ports, input, run, decided, &action, &mut notes).await;
        operations.extend(ruling.rule_on(
            ports,
            run,
            &decided.verdict,
            instead.unwrap_or_default(),
        )?);
    }
    let superseded =
        input.answered && operations.iter().any(|planned| answers_sender(&planned.operation));
    let (wake_on_failure, error_buffers) = after_failures(input, decided, &mut notes);
    Ok(Planned {
        operations,
        completed,
        superseded,
        rate_limited,
        notes,
        answers: ruling.answers,
        looped: ruling.looped,
        wake_on_failure,
        error_buffers,
    })
}

/// What follows should a step come to nothing later, as far as it is granted.
fn after_failures(
    input: RunInput<'_>,
    decided: &Decided,
    notes: &mut Vec<String>,
) -> (bool, BTreeMap<String, String>) {
    let Some(action) = input.revision.recipe.actions.get(&decided.action) else {
        return (false, BTreeMap::new());
    };
    let mut is_granted = |need: Need<'_>, what: &str| match input.authority.allow(&need) {
        Ok(()) => true,
        Err(denial) => {
            notes.push(format!("{what} denied, missing: {denial}"));
            false
        }
    };
    let wake = action.wake_on_failure && is_granted(Need::Wake, "wake_on_failure");
    let mut buffers = action.error_buffers.clone();
    buffers.retain(|_, buffer| {
        is_granted(Need::Compile(Cow::Borrowed(buffer.as_str())), "error_buffer")
    });
    (wake, buffers)
}

async fn stand_in(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    decided: &Decided,
    action: &str,
    notes: &mut Vec<String>,
) -> Option<Vec<Operation>> {
    notes.push(format!("fallback {action:?} instead"));
    match plan_action(ports, input, run, action, &decided.verdict).await {
        Ok(operations) => Some(operations),
        Err(fault) => {
            notes.push(format!("action {action} {}: {fault}", fault.code()));
            None
        }
    }
}

/// What is done with an event whose operation came too often: what the recipe
/// says for a flood, else its fallback; nothing if that is the same again.
fn rate_limit_action(input: RunInput<'_>, denied: &str) -> Option<String> {
    let limit = input.revision.recipe.filter.rate_limit.as_ref();
    let said = limit.map_or_else(|| fallback_action(input), |limit| limit.action.clone());
    [said, "compile".to_owned()]
        .into_iter()
        .find(|action| action != denied && input.revision.recipe.actions.contains_key(action))
}

/// Which action stands in for a failed one, if any.
fn replacement(input: RunInput<'_>, failed: &str) -> Option<String> {
    let spec = input.revision.recipe.actions.get(failed)?;
    let action = match &spec.stage.on_failure {
        OnFailure::Pass => fallback_action(input),
        OnFailure::Block if input.envelope.is_question() => "block".to_owned(),
        OnFailure::Block => return None,
        OnFailure::Action(action) => action.clone(),
    };
    (action != failed).then_some(action)
}

async fn plan_action(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    action: &str,
    verdict: &Verdict,
) -> Result<Vec<Operation>, GuestFault> {
    let Some(spec) = input.revision.recipe.actions.get(action) else {
        return Err(GuestFault::NotLoaded(format!("action {action:?} is not declared")));
    };
    if let Some(operations) = implicit(spec, verdict) {
        return Ok(operations);
    }
    let Some(component) = input.revision.components.get(&spec.stage.component) else {
        return Err(GuestFault::NotLoaded(spec.stage.component.to_string()));
    };
    let stage = format!("action-{action}");
    let situation = run.situation(input, &stage, &spec.stage);
    let outcome = ports
        .sandbox
        .action(
            *component,
            input.envelope,
            &situation,
            verdict,
            input.authority.limits(World::Action),
            run.door(&stage),
        )
        .await;
    run.keep(&stage, outcome)
}

/// `log` and `drop`, and for questions `pass` and `block`, exist in every recipe without being declared; as such they
/// have nothing to compute, and no sandbox is started for them.
fn implicit(spec: &ActionSpec, verdict: &Verdict) -> Option<Vec<Operation>> {
    if spec.is_declared || !spec.runs_declared_steps() {
        return None;
    }
    match spec.name.as_str() {
        "log" => Some(vec![Operation::Log { message: verdict.reason.clone() }]),
        "drop" => Some(vec![Operation::Drop { reason: verdict.reason.clone() }]),
        code @ ("pass" | "block") => Some(vec![Operation::Answer {
            code: code.to_owned(),
            body: None,
            reason: verdict.reason.clone(),
        }]),
        _ => None,
    }
}

/// What an envelope can lead to only once, whatever recipes it meets.
pub fn answers_sender(operation: &Operation) -> bool {
    matches!(operation, Operation::Wake { .. } | Operation::Reply { .. })
}

/// Why a second wake or reply is not carried out; stands where a missing grant
/// line would.
const SUPERSEDED: &str = "superseded: this event has been answered already";

/// Why a mail that nobody wrote gets no reply that nobody writes.
const AUTOMATIC: &str = "the mail is an automatic reply itself: it is not answered by itself";

/// The window of the grants' bounds on a kind's number.
const HOUR: Duration = Duration::from_secs(3600);

/// Holds the operations of one plan against the grants, one after the other.
struct Ruling<'a> {
    input: RunInput<'a>,
    answered: bool,
    /// Operations that were allowed so far, by kind.
    allowed: BTreeMap<&'static str, u32>,
    hourly_denied: bool,
    answers: Vec<Answering>,
    looped: Option<String>,
}

impl<'a> Ruling<'a> {
    fn new(input: RunInput<'a>) -> Self {
        Self {
            input,
            answered: input.answered,
            allowed: BTreeMap::new(),
            hourly_denied: false,
            answers: Vec::new(),
            looped: None,
        }
    }

    fn rule_on(
        &mut self,
        ports: &Ports,
        run: &mut RunRecord,
        verdict: &Verdict,
        operations: Vec<Operation>,
    ) -> Result<Vec<PlannedOperation>, FactError> {
        let mut planned = Vec::new();
        for operation in operations {
            let (denied_by, is_granted) = match self.refusal(run, verdict, &operation) {
                Some(missing) => (Some(missing), false),
                None => match self.breaker(ports, run, &operation)? {
                    Some(stopped) => (Some(stopped), false),
                    None => (self.limit(ports, run, operation.kind())?, true),
                },
            };
            if denied_by.is_none() {
                self.answered |= answers_sender(&operation);
                *self.allowed.entry(operation.kind()).or_default() += 1;
            }
            let operation = in_namespace(self.input, run, operation);
            let held_back = self.input.switches.hold_back(&operation);
            let would_execute = held_back.filter(|_| denied_by.is_none()).map(str::to_owned);
            if is_granted && HOURLY.contains(&operation.kind()) {
                let let_through = denied_by.is_none() && would_execute.is_none();
                self.answers.push(Answering { kind: operation.kind(), let_through });
            }
            planned.push(PlannedOperation { operation, denied_by, would_execute });
        }
        Ok(planned)
    }

    /// What is missing for an operation, however often it is asked for.
    fn refusal(&self, run: &RunRecord, verdict: &Verdict, operation: &Operation) -> Option<String> {
        if self.answered && answers_sender(operation) {
            return Some(SUPERSEDED.to_owned());
        }
        if let Operation::Answer { .. } = operation {
            let flaw = answer::flaw(operation).or_else(|| {
                let is_question = self.input.envelope.is_question();
                (!is_question).then(|| "nobody asks: the event is no question".to_owned())
            });
            if flaw.is_some() {
                return flaw;
            }
        }
        let body = match operation {
            Operation::Reply { .. }
                if !sender::is_node_id(self.input.envelope.text("from_node")) =>
            {
                return Some("nobody to reply to: the event has no sender".to_owned());
            }
            Operation::Reply { .. } if automatic::is_marked(self.input.envelope) => {
                return Some(AUTOMATIC.to_owned());
            }
            Operation::Reply { body } => reply_words::origin(self.input, run, verdict, body),
            _ => ReplyBody::Template,
        };
        let at = run.scope().as_situation();
        for need in need::of_operation(operation, at, body) {
            if let Err(denial) = self.input.authority.allow(&need) {
                return Some(denial.to_string());
            }
        }
        None
    }

    /// What is done too often: for its sender, for the recipes that answer for
    /// it, or in all.
    fn limit(
        &mut self,
        ports: &Ports,
        run: &mut RunRecord,
        kind: &'static str,
    ) -> Result<Option<String>, FactError> {
        if !HOURLY.contains(&kind) {
            return Ok(None);
        }
        let in_plan = self.answers.iter().filter(|one| one.let_through).count();
        let in_plan = u32::try_from(in_plan).unwrap_or(u32::MAX);
        match sender_limits::check(ports, self.input, run, kind, in_plan)? {
            Some(Held::Loop(reason)) => {
                self.looped = Some(reason.clone());
                Ok(Some(reason))
            }
            Some(Held::Rate(reason)) => {
                self.hourly_denied = true;
                Ok(Some(reason))
            }
            None => self.hourly_denial(ports, run, kind),
        }
    }

    /// What would leave for a node or a skill that is stopped.
    fn breaker(
        &self,
        ports: &Ports,
        run: &mut RunRecord,
        operation: &Operation,
    ) -> Result<Option<String>, FactError> {
        let targets = match operation {
            Operation::Reply { .. } => met::by_mail(self.input.envelope.text("from_node")),
            Operation::Mail { to_node, .. } => met::by_mail(to_node),
            Operation::Skill { skill, .. } => met::by_call(skill),
            _ => return Ok(None),
        };
        let Some(stopped) = ports.facts.breaker(&targets, self.input.now)? else {
            return Ok(None);
        };
        let denial = stopped.to_string();
        if !run.inputs.breakers.contains(&stopped) {
            run.inputs.breakers.push(stopped);
        }
        Ok(Some(denial))
    }

    /// A bound that is used up denies; one that is not becomes an assumption,
    /// which the writer checks again.
    fn hourly_denial(
        &mut self,
        ports: &Ports,
        run: &mut RunRecord,
        kind: &'static str,
    ) -> Result<Option<String>, FactError> {
        let window = Window::before(self.input.now, HOUR);
        let in_plan = self.allowed.get(kind).copied().unwrap_or(0);
        let in_all = self.input.limits.in_all(kind).map(|bound| (EVERYBODY, bound));
        let is_shared = sender_limits::is_shared(self.input, kind);
        for (recipe, whole) in self.input.authority.hourly(kind).into_iter().chain(in_all) {
            let bound = sender_limits::share_of_hour(self.input, kind, whole);
            let done = ports.facts.operation_count(recipe, kind, window, bound)?;
            run.inputs.operation_counts.insert(format!("{recipe}/{kind}"), done);
            if done.saturating_add(in_plan) >= bound {
                self.hourly_denied = true;
                let asked = done.saturating_add(in_plan);
                // Of what would be enough, strangers have one half.
                let enough = if is_shared { asked.saturating_mul(2) } else { asked };
                let mut denial = if recipe == EVERYBODY {
                    format!(
                        "{asked} of {kind} in an hour in all: {whole} in [guard] of thrall.toml"
                    )
                } else {
                    self.input.authority.hourly_denial(recipe, kind, enough).to_string()
                };
                if is_shared && bound < whole {
                    denial.push_str(" (unknown senders have half of an hour)");
                }
                return Ok(Some(denial));
            }
            run.assumptions.push(Assumption::OperationsBelow {
                recipe: recipe.to_owned(),
                kind: kind.to_owned(),
                window,
                below: bound.saturating_sub(in_plan),
            });
        }
        Ok(None)
    }
}

/// Breakers of recipes that share none are named after their recipe.
fn in_namespace(input: RunInput<'_>, run: &RunRecord, operation: Operation) -> Operation {
    match operation {
        Operation::TripBreaker { target, reason, expires_in_s } => Operation::TripBreaker {
            target: run.scope().breaker_target(input.authority, &target),
            reason,
            expires_in_s,
        },
        other => other,
    }
}
