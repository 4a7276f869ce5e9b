//! What one act needs of a grant: a host call, an operation, a file to gather,
//! a recipe as it is written. The one vocabulary in which acts are authorised,
//! grants planned, and revisions compared with the grant that they are under.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{ContextScope, JournalScope, ReplyBody, ReplyTo, can_wake};
use crate::operation::Operation;
use crate::recipes::{ActionSpec, GatherSource, Recipe};
use crate::stage::HostRequest;

/// One thing that has to be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    Import(Cow<'a, str>),
    /// The common namespace of `context`, `flags` or `breakers`.
    Shared(Cow<'a, str>),
    Journal(JournalScope),
    Context(ContextScope),
    Flag(Cow<'a, str>),
    Breaker(Cow<'a, str>),
    CockpitRoute(Cow<'a, str>),
    Prompt(Cow<'a, str>),
    Model(Cow<'a, str>),
    GatherFile(Cow<'a, str>),
    Compile(Cow<'a, str>),
    Wake,
    Reply {
        to: ReplyTo,
        body: ReplyBody,
    },
    Mail(Cow<'a, str>),
    Skill {
        name: Cow<'a, str>,
        input: BTreeMap<String, String>,
        bytes: u32,
    },
    SetContext(ContextScope),
    SetFlag(Cow<'a, str>),
    TripBreaker(Cow<'a, str>),
    Trigger(Cow<'a, str>),
    Answer(Cow<'a, str>),
    /// What no grant can allow, and why.
    Never(Cow<'a, str>),
}

/// What the host knows of the event at hand that decides what an act needs.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub recipe: &'a str,
    pub session: &'a str,
    pub from_node: &'a str,
    /// Made by another event: triggered, or the result of an operation.
    pub is_descendant: bool,
}

/// What a host call needs. `model` is the model that a question would go to.
pub fn of_request<'a>(
    request: &'a HostRequest,
    at: Situation<'_>,
    model: Option<&'a str>,
) -> Vec<Need<'a>> {
    let (interface, _) = request.name();
    let mut needs = vec![Need::Import(Cow::Borrowed(interface))];
    match request {
        HostRequest::ContextGet { session, .. } => {
            needs.push(Need::Context(context_scope(session, at.session)));
        }
        HostRequest::ContextFlag { key } => needs.push(Need::Flag(Cow::Borrowed(key))),
        HostRequest::JournalCount { query } | HostRequest::JournalRecent { query } => {
            needs.push(Need::Journal(journal_scope(
                query.recipe.as_deref(),
                query.from_node.as_deref(),
                at,
            )));
        }
        HostRequest::BreakerState { target } => needs.push(Need::Breaker(Cow::Borrowed(target))),
        HostRequest::ModelClassify { prompt, .. } | HostRequest::ModelComplete { prompt, .. } => {
            needs.push(Need::Prompt(Cow::Borrowed(prompt)));
        }
        HostRequest::ModelEmbed { .. } => {}
        HostRequest::CockpitGet { route, .. } => {
            needs.push(Need::CockpitRoute(Cow::Borrowed(route)));
        }
    }
    needs.extend(model.map(|model| Need::Model(Cow::Borrowed(model))));
    names_only(needs)
}

/// A name that means everything, or nothing, is none: a denial must not suggest
/// to the operator more than was asked for.
fn names_only(needs: Vec<Need<'_>>) -> Vec<Need<'_>> {
    let is_no_name = |need: &Need<'_>| match need {
        Need::Flag(name)
        | Need::Breaker(name)
        | Need::CockpitRoute(name)
        | Need::Prompt(name)
        | Need::Compile(name)
        | Need::Mail(name)
        | Need::SetFlag(name)
        | Need::TripBreaker(name)
        | Need::Trigger(name)
        | Need::Answer(name)
        | Need::Skill { name, .. } => name.is_empty() || name == super::ANY,
        _ => false,
    };
    let never =
        || Need::Never(Cow::Borrowed("neither \"\" nor \"*\" is a name that can be asked for"));
    needs.into_iter().map(|need| if is_no_name(&need) { never() } else { need }).collect()
}

fn context_scope(session: &str, own: &str) -> ContextScope {
    if session == own && !own.is_empty() { ContextScope::Session } else { ContextScope::All }
}

/// A query that names neither recipe nor sender is answered from as much as is
/// granted, so the narrowest scope is enough for it.
fn journal_scope(recipe: Option<&str>, from_node: Option<&str>, at: Situation<'_>) -> JournalScope {
    match (recipe, from_node) {
        (None, _) => JournalScope::Own,
        (Some(recipe), _) if recipe == at.recipe => JournalScope::Own,
        (Some(_), Some(from_node)) if from_node == at.from_node && !from_node.is_empty() => {
            JournalScope::Sender
        }
        (Some(_), None) if !at.from_node.is_empty() => JournalScope::Sender,
        (Some(_), _) => JournalScope::All,
    }
}

/// What an operation needs. `body` says where the words of a reply came from.
pub fn of_operation<'a>(
    operation: &'a Operation,
    at: Situation<'_>,
    body: ReplyBody,
) -> Vec<Need<'a>> {
    let borrowed = |text: &'a String| Cow::Borrowed(text.as_str());
    let mut needs = match operation {
        Operation::Log { .. } | Operation::Drop { .. } | Operation::Wake { .. } => Vec::new(),
        Operation::Compile { buffer, .. } => vec![Need::Compile(borrowed(buffer))],
        Operation::Reply { .. } => {
            let to = if at.is_descendant { ReplyTo::Origin } else { ReplyTo::Sender };
            vec![Need::Reply { to, body }]
        }
        Operation::Mail { to_node, .. } => vec![Need::Mail(borrowed(to_node))],
        Operation::Skill { skill, input_json, .. } => vec![skill_need(skill, input_json)],
        Operation::SetContext { session, .. } => {
            vec![Need::SetContext(context_scope(session, at.session))]
        }
        Operation::SetFlag { key, .. } => vec![Need::SetFlag(borrowed(key))],
        Operation::TripBreaker { target, .. } => vec![Need::TripBreaker(borrowed(target))],
        Operation::Trigger { trigger, .. } => vec![Need::Trigger(borrowed(trigger))],
        Operation::Answer { code, .. } => vec![Need::Answer(borrowed(code))],
        Operation::Extension { code, .. } => {
            vec![Need::Never(Cow::Owned(format!("this version knows no extension {code:?}")))]
        }
    };
    if can_wake(operation) {
        needs.push(Need::Wake);
    }
    names_only(needs)
}

fn skill_need<'a>(skill: &'a str, input_json: &str) -> Need<'a> {
    match serde_json::from_str::<Value>(input_json) {
        Ok(Value::Object(members)) => Need::Skill {
            name: Cow::Borrowed(skill),
            input: members.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
            bytes: u32::try_from(input_json.len()).unwrap_or(u32::MAX),
        },
        _ => Need::Never(Cow::Borrowed("the input of a skill is a JSON object")),
    }
}

/// A value as grants write it: a text as it is, anything else as JSON, and so is
/// the text that would mean every value.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text != super::ANY => text.clone(),
        other => other.to_string(),
    }
}

/// What a recipe can ask for as it is written: the declared operations, the
/// host's own questions to the model, gathered files, the log that it watches, and `imports`, those of
/// its components. What an own component will ask for is not known before it
/// runs. `model_of` names the model that a prompt goes to, where the recipe names
/// one or none.
pub fn of_recipe(
    recipe: &Recipe,
    imports: &[String],
    model_of: &dyn Fn(&str, Option<&str>) -> String,
) -> Vec<Need<'static>> {
    let mut needs: Vec<Need<'static>> = imports
        .iter()
        .filter(|import| super::INTERFACES.contains(&import.as_str()))
        .map(|import| Need::Import(Cow::Owned(import.clone())))
        .collect();
    for evaluator in &recipe.evaluators {
        for asking in evaluator.kind.questions() {
            needs.push(Need::Import(Cow::Borrowed("model")));
            needs.push(Need::Prompt(Cow::Owned(asking.prompt.to_owned())));
            needs.push(Need::Model(Cow::Owned(model_of(asking.prompt, asking.model))));
        }
    }
    if let Some(log) = &recipe.trigger.log {
        needs.push(Need::GatherFile(Cow::Owned(log.path.clone())));
    }
    for spec in &recipe.gather {
        needs.extend(of_gathered(recipe, &spec.source));
    }
    let continued: Vec<String> = recipe
        .actions
        .values()
        .flat_map(ActionSpec::declared_steps)
        .filter_map(|step| Some(step.get("continue_as")?.as_str()?.to_owned()))
        .collect();
    for action in recipe.actions.values().filter(|action| action.runs_declared_steps()) {
        let to = if continued.contains(&action.name) || recipe.trigger.kind == "on_result" {
            // It runs on an answer: who is replied to is who was at the beginning.
            ReplyTo::Origin
        } else {
            ReplyTo::Sender
        };
        for step in action.declared_steps() {
            needs.extend(of_step(&step, to));
        }
        if action.wake_on_failure {
            needs.push(Need::Wake);
        }
        let buffers = action.error_buffers.values();
        needs.extend(buffers.map(|one| Need::Compile(Cow::Owned(one.clone()))));
    }
    needs
}

/// What a source needs: that of the question which the host puts for it.
fn of_gathered(recipe: &Recipe, source: &GatherSource) -> Vec<Need<'static>> {
    let import = |interface: &'static str| Need::Import(Cow::Borrowed(interface));
    match source {
        GatherSource::Cockpit(route) => {
            vec![import("cockpit-read"), Need::CockpitRoute(Cow::Owned(route.clone()))]
        }
        GatherSource::Journal(ask) => {
            let scope = match &ask.recipe {
                None => JournalScope::Own,
                Some(name) if *name == recipe.name => JournalScope::Own,
                // Another recipe's rows about the sender, where there is one.
                Some(_) if recipe.trigger.kind == "on_mail" => JournalScope::Sender,
                Some(_) => JournalScope::All,
            };
            vec![import("journal-read"), Need::Journal(scope)]
        }
        GatherSource::Context(_) => {
            vec![import("context-read"), Need::Context(ContextScope::Session)]
        }
        GatherSource::Flag(key) => {
            vec![import("context-read"), Need::Flag(Cow::Owned(key.clone()))]
        }
        GatherSource::Static(_) => Vec::new(),
        GatherSource::File(path) => vec![Need::GatherFile(Cow::Owned(path.clone()))],
    }
}

/// What one declared step can lead to, whatever the event. A value with a
/// placeholder in it can become anything.
fn of_step(step: &Value, to: ReplyTo) -> Vec<Need<'static>> {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    let owned = |key: &str, default: &str| Cow::Owned(text(key).unwrap_or(default).to_owned());
    let until_placeholder =
        |key: &str| Cow::Owned(beginning(text(key).unwrap_or_default()).to_owned());
    match text("type").unwrap_or_default() {
        "compile" => {
            let mut needs = vec![Need::Compile(owned("buffer", "default"))];
            let wakes = step.get("summon_threshold").and_then(Value::as_u64).unwrap_or(0) > 0
                || step
                    .get("summon_keywords")
                    .and_then(Value::as_array)
                    .is_some_and(|words| !words.is_empty());
            if wakes {
                needs.push(Need::Wake);
            }
            needs
        }
        "wake" => vec![Need::Wake],
        "reply" => {
            let is_plain = ActionSpec::is_plain_template(text("template").unwrap_or_default());
            let body = if is_plain { ReplyBody::Template } else { ReplyBody::Any };
            vec![Need::Reply { to, body }]
        }
        "mail" => vec![Need::Mail(owned("to_node", ""))],
        "act" => vec![step_skill(step)],
        "set-context" => {
            let scope =
                if text("session").is_none() { ContextScope::Session } else { ContextScope::All };
            vec![Need::SetContext(scope)]
        }
        "set-flag" => vec![Need::SetFlag(until_placeholder("key"))],
        "trip-breaker" => vec![Need::TripBreaker(owned("target", ""))],
        "trigger" => vec![Need::Trigger(owned("trigger", ""))],
        "answer" => vec![Need::Answer(owned("code", ""))],
        _ => Vec::new(),
    }
}

fn step_skill(step: &Value) -> Need<'static> {
    let input = step.get("input").and_then(Value::as_object);
    let members = input.into_iter().flatten().map(|(key, value)| {
        let value = plain(value);
        let value = if value.contains("{{") { super::ANY.to_owned() } else { value };
        (key.clone(), value)
    });
    let bytes = input.map_or(2, |input| Value::Object(input.clone()).to_string().len());
    Need::Skill {
        name: Cow::Owned(step.get("skill").and_then(Value::as_str).unwrap_or_default().to_owned()),
        input: members.collect(),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
    }
}

/// The part of a text that no event can change.
fn beginning(text: &str) -> &str {
    text.split("{{").next().unwrap_or_default()
}
