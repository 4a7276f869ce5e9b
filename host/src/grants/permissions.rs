//! Whether permissions allow a need, and how they widen so that they do. The
//! two belong together: what was added is allowed, and nothing else (a property
//! test holds them to it).

use std::collections::BTreeSet;

use super::{ANY, ContextScope, MailBounds, Need, Permissions, ReplyBounds, SkillBounds};

/// Values of one member of a skill's input that a planned grant lists; with
/// more it says [`ANY`].
const MAX_PLANNED_VALUES: usize = 16;
/// Room for an input that is declared with a placeholder: most messages fit.
const FILLED_INPUT_BYTES: u32 = 4000;

impl Permissions {
    /// Whether the need is within the bounds. How many operations were done
    /// in the last hour, and budgets, are not looked at here.
    pub fn allows(&self, need: &Need<'_>) -> bool {
        let Self { imports, shared, reads, operations, .. } = self;
        match need {
            Need::Import(interface) => imports.contains(interface.as_ref()),
            Need::Shared(what) => shared.contains(what.as_ref()),
            Need::Journal(scope) => *scope <= reads.journal,
            Need::Context(scope) => *scope <= reads.context,
            Need::Flag(key) => match &reads.flags {
                Some(prefixes) => begins_with_one(prefixes, key),
                // Only its own: what is shared is others' as well.
                None => !shared.contains("flags"),
            },
            Need::Breaker(target) => !shared.contains("breakers") || has(&reads.breakers, target),
            Need::CockpitRoute(route) => has(&reads.cockpit, route),
            Need::Prompt(prompt) => has(&reads.prompts, prompt),
            Need::Model(model) => has(&reads.models, model),
            Need::GatherFile(path) => reads.gather.contains(path.as_ref()),
            Need::Compile(buffer) => listed(operations.compile.as_ref(), buffer),
            Need::Wake => operations.wake.is_some(),
            Need::Reply { to, body } => operations
                .reply
                .as_ref()
                .is_some_and(|granted| *to <= granted.to && *body <= granted.body),
            Need::Mail(node) => operations
                .mail
                .as_ref()
                .is_some_and(|granted| granted.nodes.contains(node.as_ref())),
            Need::Skill { name, input, bytes } => {
                operations.skill.get(name.as_ref()).is_some_and(|granted| {
                    *bytes <= granted.max_input_bytes
                        && input.iter().all(|(key, value)| {
                            granted.input.get(key).is_some_and(|values| has(values, value))
                        })
                })
            }
            Need::SetContext(scope) => {
                operations.set_context.is_some_and(|granted| *scope <= granted)
            }
            Need::SetFlag(key) => {
                operations.set_flag.as_ref().is_some_and(|prefixes| begins_with_one(prefixes, key))
            }
            Need::TripBreaker(target) => listed(operations.trip_breaker.as_ref(), target),
            Need::Trigger(name) => listed(operations.trigger.as_ref(), name),
            Need::Answer(code) => listed(operations.answer.as_ref(), code),
            Need::Never(_) => false,
        }
    }

    /// Widens by as little as allows the need. [`Need::Never`] changes nothing.
    pub fn add(&mut self, need: &Need<'_>) {
        if self.allows(need) {
            return;
        }
        let Self { imports, shared, reads, operations, .. } = self;
        match need {
            Need::Import(interface) => drop(imports.insert(interface.to_string())),
            Need::Shared(what) => drop(shared.insert(what.to_string())),
            Need::Journal(scope) => reads.journal = *scope,
            Need::Context(scope) => reads.context = *scope,
            Need::Flag(key) => {
                reads.flags.get_or_insert_default().insert(prefix_of(key));
            }
            Need::Breaker(target) => drop(reads.breakers.insert(target.to_string())),
            Need::CockpitRoute(route) => drop(reads.cockpit.insert(route.to_string())),
            Need::Prompt(prompt) => drop(reads.prompts.insert(prompt.to_string())),
            Need::Model(model) => drop(reads.models.insert(model.to_string())),
            Need::GatherFile(path) => drop(reads.gather.insert(path.to_string())),
            Need::Compile(buffer) => insert(&mut operations.compile, buffer),
            Need::Wake => operations.wake = Some(1),
            Need::Reply { to, body } => {
                let granted = operations.reply.get_or_insert(ReplyBounds {
                    to: *to,
                    body: *body,
                    per_hour: 1,
                });
                granted.to = granted.to.max(*to);
                granted.body = granted.body.max(*body);
            }
            Need::Mail(node) => {
                let granted = operations
                    .mail
                    .get_or_insert_with(|| MailBounds { nodes: BTreeSet::new(), per_hour: 1 });
                granted.nodes.insert(node.to_string());
            }
            Need::Skill { name, input, bytes } => {
                // What an event fills in is as long as the event makes it.
                let is_filled = input.values().any(|value| value == ANY);
                let bytes = if is_filled { (*bytes).max(FILLED_INPUT_BYTES) } else { *bytes };
                let granted = operations.skill.entry(name.to_string()).or_insert_with(|| {
                    SkillBounds { input: Default::default(), max_input_bytes: bytes }
                });
                granted.max_input_bytes = granted.max_input_bytes.max(bytes);
                for (key, value) in input {
                    add_value(granted.input.entry(key.clone()).or_default(), value);
                }
            }
            Need::SetContext(scope) => {
                operations.set_context =
                    Some(operations.set_context.unwrap_or(ContextScope::Session).max(*scope));
            }
            Need::SetFlag(key) => {
                operations.set_flag.get_or_insert_default().insert(prefix_of(key));
            }
            Need::TripBreaker(target) => insert(&mut operations.trip_breaker, target),
            Need::Trigger(name) => insert(&mut operations.trigger, name),
            Need::Answer(code) => insert(&mut operations.answer, code),
            Need::Never(_) => {}
        }
    }

    /// Raises the bound on a kind's number in an hour to at least `to`. Kinds
    /// that are not granted at all stay so.
    pub fn raise_hourly(&mut self, kind: &str, to: u32) {
        let operations = &mut self.operations;
        let bound = match kind {
            "wake" => operations.wake.as_mut(),
            "reply" => operations.reply.as_mut().map(|reply| &mut reply.per_hour),
            "mail" => operations.mail.as_mut().map(|mail| &mut mail.per_hour),
            _ => None,
        };
        if let Some(bound) = bound {
            *bound = (*bound).max(to);
        }
    }
}

fn has(granted: &BTreeSet<String>, wanted: &str) -> bool {
    granted.contains(wanted) || granted.contains(ANY)
}

/// Operations name their few targets one by one; [`ANY`] is no name there.
fn listed(granted: Option<&BTreeSet<String>>, wanted: &str) -> bool {
    granted.is_some_and(|granted| granted.contains(wanted))
}

fn insert(granted: &mut Option<BTreeSet<String>>, wanted: &str) {
    granted.get_or_insert_default().insert(wanted.to_owned());
}

fn begins_with_one(prefixes: &BTreeSet<String>, key: &str) -> bool {
    prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
}

/// The part of a key that keys of one purpose share: up to the last colon, or
/// the whole key.
fn prefix_of(key: &str) -> String {
    match key.rfind(':') {
        Some(colon) => key.get(..=colon).unwrap_or(key).to_owned(),
        None => key.to_owned(),
    }
}

fn add_value(values: &mut BTreeSet<String>, value: &str) {
    if has(values, value) {
        return;
    }
    if value == ANY || values.len() >= MAX_PLANNED_VALUES {
        values.clear();
        values.insert(ANY.to_owned());
    } else {
        values.insert(value.to_owned());
    }
}
