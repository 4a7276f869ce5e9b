//! What the sections of one recipe file share while it is read: the sink, what
//! exists outside the file, the file as JSON, and the actions that were
//! mentioned, to be held against the declared ones at the end.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use declarative_patterns::Pattern;
use serde_json::{Map, Value, json};
use thrall_sdk::template::Root;

use super::placeholders::{self, Stage};
use super::{ComponentSource, OnFailure, canonical, gather_catalog};
use crate::envelope::{QUESTIONS, log_line};
use crate::ids::is_valid_name;
use crate::strict_toml::{Placed, Sink, Table};
use crate::verdict::Situation;

/// The longest regular expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;
/// Memory that a compiled expression may take: `\w{1000}` is short to write.
const MAX_PATTERN_COMPILED_BYTES: usize = 1024 * 1024;
/// How deep groups may nest in an expression.
const MAX_PATTERN_NESTING: u32 = 32;

/// What exists outside the file and decides whether a name in it is right.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Prompts by name, with the kinds of message that each tells apart and
    /// the action that it has for each; no kinds where a prompt names none.
    pub prompts: BTreeMap<String, BTreeMap<String, String>>,
    /// What each prompt asks to be filled in, as `root.name`.
    pub placeholders: BTreeMap<String, Vec<String>>,
    pub models_on_disk: BTreeSet<String>,
    /// Every model of the catalogue.
    pub models_known: BTreeSet<String>,
    /// Another name to a model's name.
    pub model_aliases: BTreeMap<String, String>,
}

/// What follows when an action is mentioned and not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Error,
    Warning,
}

/// A place where the file names an action.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) at: usize,
    pub(super) action: String,
    pub(super) by: String,
    pub(super) weight: Weight,
    /// It runs when a skill has answered, whatever led to the question.
    pub(super) continues: bool,
}

pub(super) struct Reading<'a> {
    pub(super) sink: &'a Sink<'a>,
    pub(super) known: &'a Known,
    document: &'a Value,
    /// For actions of the host's own filter stages and the fallback.
    pub(super) host_weight: Weight,
    /// Fields that this trigger brings; empty where they are not fixed.
    fields: Vec<String>,
    mentions: RefCell<Vec<Mention>>,
}

/// Members of an envelope that are no fields and can be read like them.
pub(super) const STAMPED: [&str; 4] = ["id", "trigger", "source", "received_at"];

/// `summon` is the earlier word for wake.
pub fn canonical_action(action: &str) -> &str {
    if action == "summon" { "wake" } else { action }
}

/// Fields that events of a trigger may have; none where whoever brings the event
/// names them.
pub(super) fn fixed_fields(trigger: &str) -> &'static [&'static str] {
    match trigger {
        "on_mail" => &[
            "from_node",
            "to_node",
            "msg_type",
            "body_text",
            "body_json",
            "session_id",
            "message_id",
            "reply_to",
        ],
        "on_tick" => &["tick", "peer_count", "uptime_s", "queue_depth", "elapsed_s"],
        "on_result" => {
            &["skill", "status", "output_json", "continue_as", "origin", "from_node", "session_id"]
        }
        "on_mail_send" => &["to_node", "body_text", "session_id", "msg_type"],
        "on_skill_request" => &["skill_name", "caller_node", "input_json", "session_id"],
        log_line::TRIGGER => &log_line::FIELDS,
        _ => &[],
    }
}

/// Fields of a trigger's events. `pattern` is that of an on_log trigger, whose
/// groups are fields.
fn fields_of(trigger: &str, pattern: Option<&str>) -> Vec<String> {
    let mut fields: Vec<String> =
        fixed_fields(trigger).iter().map(|name| (*name).to_owned()).collect();
    if trigger == log_line::TRIGGER
        && let Some(Ok(pattern)) = pattern.map(compile)
    {
        for (number, name) in pattern.capture_names().enumerate().skip(1) {
            fields.push(format!("group_{number}"));
            fields.extend(name.map(str::to_owned));
        }
    }
    fields
}

/// A regular expression, within its bounds, without regard to case.
fn compile(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(MAX_PATTERN_COMPILED_BYTES)
        .nest_limit(MAX_PATTERN_NESTING)
        .build()
}

impl<'a> Reading<'a> {
    pub(super) fn new(sink: &'a Sink<'a>, known: &'a Known, document: &'a Value) -> Self {
        let text = |section: &str| {
            document.get(section).and_then(|table| table.get("type")).and_then(Value::as_str)
        };
        let host_weight = if text("evaluate").unwrap_or("hotwire") == "hotwire" {
            Weight::Error
        } else {
            Weight::Warning
        };
        let pattern = document
            .get("trigger")
            .and_then(|trigger| trigger.get("pattern"))
            .and_then(Value::as_str)
            .filter(|pattern| pattern.len() <= MAX_PATTERN_BYTES);
        let fields = fields_of(text("trigger").unwrap_or_default(), pattern);
        Self { sink, known, document, host_weight, fields, mentions: RefCell::default() }
    }

    /// A part of the file as JSON; an empty table where there is none.
    pub(super) fn part(&self, path: &[&str]) -> Value {
        let found = path.iter().try_fold(self.document, |value, key| value.get(key));
        found.cloned().unwrap_or_else(|| Value::Object(Map::new()))
    }

    pub(super) fn item(&self, list: &str, index: usize) -> Value {
        self.document
            .get(list)
            .and_then(|items| items.get(index))
            .cloned()
            .unwrap_or_else(|| json!({}))
    }

    /// What a stage's component is given to read.
    pub(super) fn stage_config(&self, at: usize, stage: &Value) -> String {
        let config = canonical::text(&json!({"config": self.part(&["config"]), "stage": stage}));
        if config.len() > Situation::MAX_CONFIG_BYTES {
            let what =
                format!("[config] and this table make {} bytes of configuration", config.len());
            self.sink.error_expected(at, what, format!("at most {}", Situation::MAX_CONFIG_BYTES));
        }
        config
    }

    pub(super) fn mention(&self, at: usize, action: &str, by: &str, weight: Weight) -> String {
        let action = canonical_action(action).to_owned();
        let by = by.to_owned();
        let mention = Mention { at, action: action.clone(), by, weight, continues: false };
        self.mentions.borrow_mut().push(mention);
        action
    }

    /// As [`Self::mention`], for what goes on with the answer of a skill.
    pub(super) fn mention_continuation(&self, at: usize, action: &str, by: &str) {
        let (action, by) = (canonical_action(action).to_owned(), by.to_owned());
        let mention = Mention { at, action, by, weight: Weight::Error, continues: true };
        self.mentions.borrow_mut().push(mention);
    }

    pub(super) fn take_mentions(&self) -> Vec<Mention> {
        self.mentions.take()
    }

    /// Warns of a field that the trigger does not bring.
    pub(super) fn check_field(&self, at: usize, name: &str, whose: &str) {
        let known = self.fields.is_empty()
            || self.fields.iter().any(|field| field == name)
            || STAMPED.contains(&name);
        if !known {
            let what = format!("{whose}: this trigger brings no field {name:?}, it will be absent");
            self.sink.doubtful_word(at, what, name, self.fields.iter().map(String::as_str));
        }
    }

    /// Whether the filter of this recipe may inject a field of that name. What
    /// an own component injects is not known before it runs.
    pub(super) fn may_inject(&self, name: &str) -> bool {
        let filter = self.part(&["filter"]);
        filter.get("component").is_some()
            || filter.get("inject").is_some_and(|inject| inject.get(name).is_some())
    }

    /// Whether this recipe gathers something under that name.
    pub(super) fn gathers(&self, name: &str) -> bool {
        let entries = self.document.get("gather").and_then(Value::as_array);
        entries.into_iter().flatten().any(|entry| match entry {
            Value::String(word) => gather_catalog::names(word).any(|own| own == name),
            table => table.get("name").and_then(Value::as_str).is_some_and(|own| own == name),
        })
    }

    /// Whether answers of skills come to this recipe: as events that it waits
    /// for, or where one of its actions goes on.
    pub(super) fn sees_results(&self) -> bool {
        fn asks(value: &Value) -> bool {
            match value {
                Value::Object(members) => {
                    members.contains_key("continue_as") || members.values().any(asks)
                }
                Value::Array(items) => items.iter().any(asks),
                _ => false,
            }
        }
        self.part(&["trigger", "type"]) == "on_result" || asks(&self.part(&["actions"]))
    }

    /// What a rule looks at: a field of the event, or `root.name`.
    pub(super) fn rule_field(&self, table: &Table<'_>, key: &str, stage: Stage) {
        let Some(field) = table.text(key) else {
            if !table.has(key) {
                table.missing(key, format!("{key} = \"body_text\""));
            }
            return;
        };
        let whose = format!("{} {key}", table.name());
        if field.value.is_empty() || field.value.len() > 128 || field.value.contains("{{") {
            let what = format!("{whose} is {:?}", field.value);
            self.sink.error_expected(field.at, what, "the name of a field, such as body_text");
            return;
        }
        match Root::split(field.value) {
            Some((root, name)) => {
                placeholders::check_name(self, field.at, root, name, stage, &whose);
            }
            None => self.check_field(field.at, field.value, &whose),
        }
    }

    /// A regular expression, as it will be matched: anywhere, without regard
    /// to case.
    pub(super) fn pattern(&self, table: &Table<'_>, key: &str) -> Option<regex::Regex> {
        let Some(text) = table.text(key) else {
            if !table.has(key) {
                table.missing(key, format!("{key} = \"a regular expression\""));
            }
            return None;
        };
        let whose = format!("{} {key}", table.name());
        if text.value.is_empty() {
            self.sink
                .error(text.at, format!("{whose} is empty: write \".*\" if any value is meant"));
            return None;
        }
        if text.value.len() > MAX_PATTERN_BYTES {
            let what = format!("{whose} has {} bytes", text.value.len());
            self.sink.error_expected(text.at, what, format!("at most {MAX_PATTERN_BYTES}"));
            return None;
        }
        compile(text.value)
            .inspect_err(|error| {
                self.sink.error(text.at, format!("{whose}: {}", pattern_fault(error)));
            })
            .ok()
    }

    /// A rule that a bundled component matches. It has an engine of its own,
    /// so the expression has to please that one too.
    pub(super) fn check_rule(&self, table: &Table<'_>, stage: Stage) {
        self.rule_field(table, "field", stage);
        if self.pattern(table, "pattern").is_none() {
            return;
        }
        if let Some(text) = table.text("pattern")
            && let Err(error) = Pattern::parse(text.value)
        {
            self.sink.error(text.at, format!("{} pattern: {error}", table.name()));
        }
    }

    /// `component = "NAME.wasm"`, or the name of the bundled one.
    pub(super) fn component(&self, table: &Table<'_>, bundled: &str) -> Option<ComponentSource> {
        let text = table.text("component")?;
        if text.value == bundled {
            return Some(ComponentSource::Bundled(bundled.to_owned()));
        }
        if text.value.strip_suffix(".wasm").is_some_and(is_valid_name) {
            return Some(ComponentSource::File(text.value.to_owned()));
        }
        let what = format!("{} component is {:?}", table.name(), text.value);
        self.sink.error_expected(
            text.at,
            what,
            "NAME.wasm, a file beside the recipe, NAME in a-z, 0-9, - and _",
        );
        None
    }

    /// Whether somebody waits for the answer of this recipe.
    pub(super) fn is_question(&self) -> bool {
        let trigger = self.document.get("trigger").and_then(|table| table.get("type"));
        trigger.and_then(Value::as_str).is_some_and(|kind| QUESTIONS.contains(&kind))
    }

    pub(super) fn on_failure(&self, table: &Table<'_>) -> OnFailure {
        match table.text("on_failure") {
            // What could not be looked at does not go out.
            None if self.is_question() => OnFailure::Block,
            None => OnFailure::Pass,
            Some(text) => match text.value {
                "pass" => OnFailure::Pass,
                "block" => OnFailure::Block,
                action => {
                    let by = format!("{} on_failure", table.name());
                    OnFailure::Action(self.mention(text.at, action, &by, Weight::Error))
                }
            },
        }
    }

    /// A name that becomes part of file names and rows.
    pub(super) fn name(&self, text: Placed<&str>, whose: &str) -> Option<String> {
        if is_valid_name(text.value) {
            return Some(text.value.to_owned());
        }
        let what = format!("{whose} is {:?}", text.value);
        self.sink.error_expected(
            text.at,
            what,
            "at most 64 of a-z, 0-9, - and _, a letter or digit first",
        );
        None
    }
}

/// The one line of a regex error that says what is wrong.
fn pattern_fault(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!(
                "the expression takes more than {limit} bytes when compiled: use fewer or smaller repetitions"
            )
        }
        other => {
            let text = other.to_string();
            let line = text
                .lines()
                .rev()
                .find_map(|line| line.trim().strip_prefix("error: ").map(str::to_owned));
            format!("not a regular expression: {}", line.unwrap_or(text))
        }
    }
}
