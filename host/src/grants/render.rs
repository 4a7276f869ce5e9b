//! A grant as the operator would write it: whole, and a line at a time. What is
//! written reads back as the same grant (a property test holds it to that).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{
    Budget, ContextScope, Follow, Grant, JournalScope, Limits, Need, Operations, Permissions, Reads,
};

/// The whole file.
pub fn to_toml(grant: &Grant) -> String {
    let mut text = String::new();
    if let Some(binding) = grant.binding {
        line(&mut text, &format!("recipe = \"sha256:{binding}\""));
    }
    if let Some(follow) = grant.follow {
        line(&mut text, &follow_line(follow));
    }
    line(&mut text, &format!("mode = \"{}\"", grant.mode.as_str()));
    let Permissions { imports, shared, reads, operations, budget, limits } = &grant.permissions;
    if !imports.is_empty() {
        line(&mut text, &format!("imports = {}", list(imports)));
    }
    if !shared.is_empty() {
        line(&mut text, &format!("shared = {}", list(shared)));
    }
    section(&mut text, "reads", &reads_lines(reads));
    section(&mut text, "operations", &operation_lines(operations));
    section(&mut text, "budget", &budget_lines(budget));
    section(&mut text, "limits", &limit_lines(limits));
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn section(text: &mut String, name: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(text, "\n[{name}]\n");
    for content in lines {
        line(text, content);
    }
}

fn follow_line(follow: Follow) -> String {
    format!("follow = \"{}\"", follow.as_str())
}

/// The table and the line that decide about a need. The permissions are those
/// that allow it.
pub(super) fn line_of(wide: &Permissions, need: &Need<'_>) -> (Option<&'static str>, String) {
    let Permissions { imports, shared, reads, operations, .. } = wide;
    let (table, found) = match need {
        Need::Import(_) => (None, Some(format!("imports = {}", list(imports)))),
        Need::Shared(_) => (None, Some(format!("shared = {}", list(shared)))),
        Need::Journal(_) => (Some("reads"), find(reads_lines(reads), "journal")),
        Need::Context(_) => (Some("reads"), find(reads_lines(reads), "context")),
        Need::Flag(_) => (Some("reads"), find(reads_lines(reads), "flags")),
        Need::Breaker(_) => (Some("reads"), find(reads_lines(reads), "breakers")),
        Need::CockpitRoute(_) => (Some("reads"), find(reads_lines(reads), "cockpit")),
        Need::Prompt(_) | Need::Model(_) => (Some("reads"), find(reads_lines(reads), "model")),
        Need::GatherFile(_) => (Some("reads"), find(reads_lines(reads), "gather")),
        Need::Compile(_) => (Some("operations"), find(operation_lines(operations), "compile")),
        Need::Wake => (Some("operations"), find(operation_lines(operations), "wake")),
        Need::Reply { .. } => (Some("operations"), find(operation_lines(operations), "reply")),
        Need::Mail(_) => (Some("operations"), find(operation_lines(operations), "mail")),
        Need::Skill { .. } => (Some("operations"), find(operation_lines(operations), "skill")),
        Need::SetContext(_) => {
            (Some("operations"), find(operation_lines(operations), "set-context"))
        }
        Need::SetFlag(_) => (Some("operations"), find(operation_lines(operations), "set-flag")),
        Need::TripBreaker(_) => {
            (Some("operations"), find(operation_lines(operations), "trip-breaker"))
        }
        Need::Trigger(_) => (Some("operations"), find(operation_lines(operations), "trigger")),
        Need::Answer(_) => (Some("operations"), find(operation_lines(operations), "answer")),
        Need::Never(_) => (None, None),
    };
    (table, found.unwrap_or_default())
}

/// The line of a kind with a bound on its number in an hour.
pub(super) fn hourly_line(wide: &Permissions, kind: &str) -> String {
    find(operation_lines(&wide.operations), kind).unwrap_or_default()
}

fn find(lines: Vec<String>, key: &str) -> Option<String> {
    let start = format!("{key} = ");
    lines.into_iter().find(|line| line.starts_with(&start))
}

fn reads_lines(reads: &Reads) -> Vec<String> {
    let mut lines = Vec::new();
    if reads.journal != JournalScope::Own {
        lines.push(format!("journal = {{ scope = \"{}\" }}", reads.journal.as_str()));
    }
    if reads.context != ContextScope::Session {
        lines.push(format!("context = {{ scope = \"{}\" }}", reads.context.as_str()));
    }
    if let Some(prefixes) = &reads.flags {
        lines.push(format!("flags = {{ prefixes = {} }}", list(prefixes)));
    }
    if !reads.breakers.is_empty() {
        lines.push(format!("breakers = {{ targets = {} }}", list(&reads.breakers)));
    }
    if !reads.cockpit.is_empty() {
        lines.push(format!("cockpit = {{ routes = {} }}", list(&reads.cockpit)));
    }
    if !reads.prompts.is_empty() || !reads.models.is_empty() {
        lines.push(format!(
            "model = {{ prompts = {}, models = {} }}",
            list(&reads.prompts),
            list(&reads.models)
        ));
    }
    if !reads.gather.is_empty() {
        lines.push(format!("gather = {{ files = {} }}", list(&reads.gather)));
    }
    lines
}

fn operation_lines(operations: &Operations) -> Vec<String> {
    let mut lines = Vec::new();
    let mut named = |kind: &str, key: &str, names: &Option<BTreeSet<String>>| {
        if let Some(names) = names {
            lines.push(format!("{kind} = {{ {key} = {} }}", list(names)));
        }
    };
    named("compile", "buffers", &operations.compile);
    named("set-flag", "prefixes", &operations.set_flag);
    named("trip-breaker", "targets", &operations.trip_breaker);
    named("trigger", "kinds", &operations.trigger);
    named("answer", "codes", &operations.answer);
    if let Some(per_hour) = operations.wake {
        lines.push(format!("wake = {{ per_hour = {per_hour} }}"));
    }
    if let Some(reply) = &operations.reply {
        lines.push(format!(
            "reply = {{ to = \"{}\", body = \"{}\", per_hour = {} }}",
            reply.to.as_str(),
            reply.body.as_str(),
            reply.per_hour
        ));
    }
    if let Some(mail) = &operations.mail {
        lines.push(format!(
            "mail = {{ nodes = {}, per_hour = {} }}",
            list(&mail.nodes),
            mail.per_hour
        ));
    }
    if let Some(scope) = operations.set_context {
        lines.push(format!("set-context = {{ scope = \"{}\" }}", scope.as_str()));
    }
    if !operations.skill.is_empty() {
        let skills: Vec<String> = operations
            .skill
            .iter()
            .map(|(name, bounds)| {
                format!(
                    "{} = {{ input = {}, max_input_bytes = {} }}",
                    quoted(name),
                    members(&bounds.input),
                    bounds.max_input_bytes
                )
            })
            .collect();
        lines.push(format!("skill = {{ {} }}", skills.join(", ")));
    }
    lines.sort();
    lines
}

fn budget_lines(budget: &Budget) -> Vec<String> {
    let usual = Budget::default();
    let lines = [
        ("model_calls_per_day", budget.model_calls_per_day, usual.model_calls_per_day),
        ("model_tokens_per_run", budget.model_tokens_per_run, usual.model_tokens_per_run),
        ("host_calls_per_run", budget.host_calls_per_run, usual.host_calls_per_run),
    ];
    lines
        .into_iter()
        .filter(|(_, value, usual)| value != usual)
        .map(|(key, value, _)| format!("{key} = {value}"))
        .collect()
}

fn limit_lines(limits: &Limits) -> Vec<String> {
    let mut lines = Vec::new();
    if limits.memory_mib != Limits::default().memory_mib {
        lines.push(format!("memory_mib = {}", limits.memory_mib));
    }
    if let Some(fuel) = limits.fuel {
        lines.push(format!("fuel = {fuel}"));
    }
    lines
}

fn members(input: &BTreeMap<String, BTreeSet<String>>) -> String {
    if input.is_empty() {
        return "{}".to_owned();
    }
    let members: Vec<String> =
        input.iter().map(|(key, values)| format!("{} = {}", quoted(key), list(values))).collect();
    format!("{{ {} }}", members.join(", "))
}

fn list(words: &BTreeSet<String>) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A TOML basic string; the words may be a component's.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
