//! The filter stage. The host's own checks come first, in this order
//! (blocked tier, trust bypass, cooldown, rate limit,
//! cache, context), then the filter component. Facts are read one by one and
//! only as far as they are needed.

use std::borrow::Cow;
use std::time::Duration;

use super::RunInput;
use super::evaluate::Decided;
use super::model_step;
use super::ports::{FactError, Ports};
use super::record::{RunRecord, host_verdict};
use crate::clock::Window;
use crate::envelope::sender::Tier;
use crate::envelope::{Field, log_line, sender};
use crate::grants::{Denial, Need};
use crate::journal::{Assumption, EvalType};
use crate::recipes::{Cooldown, OnFailure, RateLimit, StageSpec};
use crate::stage::{GuestFault, World};
use crate::verdict::FilterAnswer;

pub(super) enum Filtered {
    Skip,
    Decided(Box<Decided>),
    Pass,
}

pub(super) async fn apply(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
) -> Result<Filtered, FactError> {
    let spec = &input.revision.recipe.filter;
    if let Err(denial) = may_read_log(input) {
        return Ok(skip(run, &format!("denied, missing: {denial}")));
    }
    if input.tier == Tier::Blocked {
        let why = "sender is blocked";
        // To skip would be to have no objection.
        if input.envelope.is_question() {
            "blocked".clone_into(&mut run.filter.decision);
            let verdict = host_verdict("block", why);
            return Ok(Filtered::Decided(Box::new(Decided::by_host(
                input,
                EvalType::Filter,
                verdict,
            ))));
        }
        return Ok(skip(run, why));
    }
    if let (Some(bypass), Tier::Team) = (&spec.bypass, input.tier) {
        "bypass".clone_into(&mut run.filter.decision);
        let verdict = host_verdict(&bypass.action, "bypass: team sender");
        return Ok(Filtered::Decided(Box::new(Decided::by_host(input, EvalType::Bypass, verdict))));
    }
    if let Some(cooldown) = &spec.cooldown
        && let Some(reason) = cooling(ports, input, run, cooldown)?
    {
        return Ok(skip(run, &reason));
    }
    if let Some(limit) = &spec.rate_limit
        && let Some(decided) = over_rate(ports, input, run, limit)?
    {
        return Ok(Filtered::Decided(Box::new(decided)));
    }
    run.inputs.context = session_context(ports, input, run)?;
    if let Some(decided) = from_cache(ports, input, run)? {
        return Ok(Filtered::Decided(Box::new(decided)));
    }
    match &spec.component {
        Some(component) => Ok(ask_component(ports, input, run, component).await),
        None => Ok(Filtered::Pass),
    }
}

/// A line that the host read is read for each recipe that sees it. What others
/// bring is theirs to show.
fn may_read_log(input: RunInput<'_>) -> Result<(), Denial> {
    match &input.revision.recipe.trigger.log {
        Some(log) if input.envelope.source == log_line::SOURCE => {
            input.authority.allow(&Need::GatherFile(Cow::Borrowed(&log.path)))
        }
        _ => Ok(()),
    }
}

fn skip(run: &mut RunRecord, reason: &str) -> Filtered {
    "skip".clone_into(&mut run.filter.decision);
    reason.clone_into(&mut run.filter.reason);
    Filtered::Skip
}

fn cooling(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    cooldown: &Cooldown,
) -> Result<Option<String>, FactError> {
    let key = crate::recipes::placeholders::fill_envelope(&cooldown.key, input.envelope);
    let recipe = &input.revision.recipe.name;
    let last = ports.facts.cooldown_last(recipe, &key)?;
    run.inputs.cooldown_last = last;
    run.assumptions.push(Assumption::CooldownUnchanged {
        recipe: recipe.clone(),
        key: key.clone(),
        last,
    });
    run.cooldown_key = Some(key);
    // Set while the clock was ahead: it counts as set now and lasts its length
    // from here, instead of blocking until the clock is there again.
    run.cooldown_restarts = last.is_some_and(|last| last > input.now);
    let last = last.map(|last| last.min(input.now));
    let ends = last.map(|last| last.plus(Duration::from_secs(cooldown.seconds)));
    Ok(ends.filter(|ends| *ends > input.now).map(|ends| {
        let remaining = ends.0.saturating_sub(input.now.0).div_ceil(1000);
        format!("cooldown ({remaining} s remaining)")
    }))
}

fn over_rate(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    limit: &RateLimit,
) -> Result<Option<Decided>, FactError> {
    let Some(sender) = input.envelope.sender() else {
        return Ok(None);
    };
    let recipe = &input.revision.recipe.name;
    let sender_key = sender::sender_key(sender);
    let window = Window::before(input.now, Duration::from_secs(limit.window_s));
    let count = ports.facts.rate_count(recipe, &sender_key, window, limit.max)?;
    run.inputs.rate_count = Some(count);
    if count >= limit.max {
        "rate_limited".clone_into(&mut run.filter.decision);
        let reason = format!("more than {} in {} s from this sender", limit.max, limit.window_s);
        let verdict = host_verdict(&limit.action, reason);
        return Ok(Some(Decided::by_host(input, EvalType::RateLimit, verdict)));
    }
    run.assumptions.push(Assumption::RateBelow {
        recipe: recipe.clone(),
        sender_key,
        window,
        below: limit.max,
    });
    Ok(None)
}

pub(super) fn session_context(
    ports: &Ports,
    input: RunInput<'_>,
    run: &RunRecord,
) -> Result<Vec<Field>, FactError> {
    match input.envelope.text("session_id") {
        "" => Ok(Vec::new()),
        session => {
            let scope = run.scope();
            let sender = scope.context_sender.as_deref();
            ports.facts.context(&scope.context_namespace, sender, session, input.now)
        }
    }
}

fn from_cache(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
) -> Result<Option<Decided>, FactError> {
    if input.revision.recipe.filter.cache_ttl_s.is_none() {
        return Ok(None);
    }
    // A question that cannot be rendered is reported where it is asked.
    let mut evaluators = input.revision.recipe.evaluators.iter();
    let Some(key) = evaluators.find_map(|one| model_step::cache_key(ports, input, run, &one.kind))
    else {
        return Ok(None);
    };
    let cached = ports.facts.cached(&key, input.now)?;
    run.cache_key = Some(key);
    run.inputs.cached.clone_from(&cached);
    Ok(cached.map(|cached| {
        "cache_hit".clone_into(&mut run.filter.decision);
        let mut decided = Decided::by_host(input, EvalType::Cache, cached.verdict);
        decided.model = cached.model;
        decided.prompt_hash = cached.prompt_hash;
        decided
    }))
}

const STAGE: &str = "filter";

async fn ask_component(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    spec: &StageSpec,
) -> Filtered {
    let answer = match input.revision.components.get(&spec.component) {
        Some(component) => {
            let situation = run.situation(input, STAGE, spec);
            let outcome = ports
                .sandbox
                .filter(
                    *component,
                    input.envelope,
                    &situation,
                    input.authority.limits(World::Filter),
                    run.door(STAGE),
                )
                .await;
            run.keep(STAGE, outcome)
        }
        None => Err(GuestFault::NotLoaded(spec.component.to_string())),
    };
    match answer {
        Ok(answer) => follow(input, run, answer),
        Err(fault) => on_fault(input, run, spec, &fault),
    }
}

fn follow(input: RunInput<'_>, run: &mut RunRecord, answer: FilterAnswer) -> Filtered {
    run.filter.component = Some(answer.clone());
    match answer {
        FilterAnswer::Pass => Filtered::Pass,
        FilterAnswer::Inject { fields } => {
            run.inject(fields);
            Filtered::Pass
        }
        FilterAnswer::Decide { verdict } => {
            "decide".clone_into(&mut run.filter.decision);
            Filtered::Decided(Box::new(Decided::by_host(input, EvalType::Filter, verdict)))
        }
        FilterAnswer::Skip { reason } => skip(run, &reason),
    }
}

fn on_fault(
    input: RunInput<'_>,
    run: &mut RunRecord,
    spec: &StageSpec,
    fault: &GuestFault,
) -> Filtered {
    run.filter.reason = format!("filter {}: {fault}", fault.code());
    match &spec.on_failure {
        OnFailure::Pass => Filtered::Pass,
        OnFailure::Block if input.envelope.is_question() => {
            let verdict = host_verdict("block", run.filter.reason.clone());
            Filtered::Decided(Box::new(Decided::by_host(input, EvalType::Fallback, verdict)))
        }
        OnFailure::Block => {
            "skip".clone_into(&mut run.filter.decision);
            Filtered::Skip
        }
        OnFailure::Action(action) => {
            let verdict = host_verdict(action, run.filter.reason.clone());
            Filtered::Decided(Box::new(Decided::by_host(input, EvalType::Fallback, verdict)))
        }
    }
}
