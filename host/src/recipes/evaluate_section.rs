//! `[evaluate]` and `[[hotwires]]`: who reaches a verdict, in which order.

use serde_json::{Value, json};

use super::placeholders::{self, Stage};
use super::reading::{Reading, Weight};
use super::{
    ComponentSource, Evaluator, EvaluatorKind, Fallback, StageSpec, Thresholds, cascade_section,
    llm_section, thresholds,
};
use crate::strict_toml::Table;
use crate::strict_toml::table::Hint;

/// What both sections gave.
pub(super) struct Evaluation {
    pub(super) evaluators: Vec<Evaluator>,
    /// `None`: the file does not say.
    pub(super) fallback: Option<Fallback>,
}

const TYPES: [&str; 3] = ["hotwire", "llm", "cascade"];
/// Types that recipes may use one day; said so instead of guessing a typo.
const LATER_TYPES: [&str; 1] = ["learned"];

const COMMON_KEYS: [&str; 4] = ["type", "fallback_action", "threshold", "priority"];
const HOTWIRE_KEYS: [&str; 4] = ["rules", "default_action", "component", "on_failure"];
const LLM_KEYS: [&str; 5] = ["prompt", "prompts", "senders", "model", "kinds"];
const CASCADE_KEYS: [&str; 1] = ["first"];
const ENTRY_KEYS: [&str; 6] =
    ["priority", "rules", "default_action", "component", "on_failure", "threshold"];

const OLD_KEYS: [Hint<'static>; 6] = [
    ("conditions", "write one [[evaluate.rules]] for each condition"),
    ("thresholds", "write threshold = 0.6, or threshold = { known = 0.4, unknown = 0.7 }"),
    ("cascade", "write type = \"cascade\" and first = { prompt = \"triage-l1\" }"),
    ("l1_prompt", "write first = { prompt = \"triage-l1\" }, beside type = \"cascade\""),
    (
        "l1_backend",
        "write first = { prompt = \"...\", model = \"...\" }, beside type = \"cascade\"",
    ),
    ("actions", "actions are declared as [actions.NAME] at the top level"),
];
const OLD_RULE_KEYS: [Hint<'static>; 2] = [
    ("match", "write field = \"...\" and pattern = \"...\""),
    ("value", "write pattern = \"^...$\""),
];

const MAX_PRIORITY: i64 = 1000;
const MAX_RULES: usize = 256;
const MAX_HOTWIRES: usize = 16;
/// No event has a field that is longer.
const MAX_LENGTH: i64 = 64 * 1024;

pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>) -> Evaluation {
    let mut evaluators = hotwires(reading, top);
    let mut fallback = None;
    if let Some(table) = top.table("evaluate") {
        fallback = self::fallback(reading, &table);
        evaluators.extend(evaluate(reading, &table, &evaluators, fallback.is_some()));
    }
    if evaluators.is_empty() && !reading.sink.has_errors() {
        let what =
            "the recipe has no evaluator: every event that passes the filter takes the fallback";
        reading.sink.warn(top.at(), what);
    }
    // Stable: agent hotwires stand before [evaluate] of the same priority.
    evaluators.sort_by_key(|evaluator| std::cmp::Reverse(evaluator.priority));
    Evaluation { evaluators, fallback }
}

fn fallback(reading: &Reading<'_>, table: &Table<'_>) -> Option<Fallback> {
    let text = table.text("fallback_action")?;
    let by = "[evaluate] fallback_action";
    if text.value == "tier" {
        reading.mention(
            text.at,
            "wake",
            &format!("{by} (\"tier\" wakes for team and known)"),
            reading.host_weight,
        );
        return Some(Fallback::Tier);
    }
    Some(Fallback::Action(reading.mention(text.at, text.value, by, reading.host_weight)))
}

fn evaluate(
    reading: &Reading<'_>,
    table: &Table<'_>,
    hotwires: &[Evaluator],
    has_fallback: bool,
) -> Option<Evaluator> {
    let kind = kind_of(reading, table)?;
    check_keys(table, kind);
    let default_priority =
        if kind == "hotwire" { Evaluator::PRIORITY_HOTWIRE } else { Evaluator::PRIORITY_MODEL };
    let priority = table.integer("priority", 0..=MAX_PRIORITY).unwrap_or(default_priority);
    let kind = match kind {
        "llm" => EvaluatorKind::Llm(llm_section::read(reading, table)?),
        "cascade" => EvaluatorKind::Cascade(cascade_section::read(reading, table)?),
        _ => {
            let mut stage = with_rule_actions(reading.part(&["evaluate"]));
            // Rules that do not match mean `log`, as they always have, unless the
            // recipe says what comes after them.
            let is_last = !has_fallback && hotwires.iter().all(|other| other.priority >= priority);
            let logs = is_last && !reading.is_question();
            if logs && !table.has("default_action") && !table.has("component") {
                set(&mut stage, "default_action", "log");
            }
            EvaluatorKind::Component(rules_stage(reading, table, &stage)?)
        }
    };
    Some(Evaluator { stage: "evaluate".to_owned(), priority, threshold: threshold(table), kind })
}

fn set(stage: &mut Value, key: &str, value: &str) {
    if let Value::Object(members) = stage {
        members.insert(key.to_owned(), json!(value));
    }
}

fn kind_of(reading: &Reading<'_>, table: &Table<'_>) -> Option<&'static str> {
    if let Some(text) = table.text("type").filter(|text| LATER_TYPES.contains(&text.value)) {
        let what = format!("[evaluate] type {:?} is not in this version of thrall", text.value);
        reading.sink.error_expected(text.at, what, "hotwire, llm or cascade");
        return None;
    }
    if table.has("type") { table.word("type", &TYPES) } else { Some("hotwire") }
}

fn check_keys(table: &Table<'_>, kind: &str) {
    let by_kind: [(&str, &[&str], &str); 3] = [
        ("hotwire", &HOTWIRE_KEYS, "it belongs to type = \"hotwire\""),
        ("llm", &LLM_KEYS, "it belongs to type = \"llm\" or \"cascade\""),
        ("cascade", &CASCADE_KEYS, "it belongs to type = \"cascade\""),
    ];
    // A cascade is a model's question with another before it.
    let takes = |other: &str| kind == other || (kind == "cascade" && other == "llm");
    let own = by_kind.iter().filter(|(other, ..)| takes(other)).flat_map(|(_, keys, _)| *keys);
    let known: Vec<&str> = COMMON_KEYS.iter().chain(own).copied().collect();
    let mut hints: Vec<Hint<'_>> = OLD_KEYS.to_vec();
    if kind != "hotwire" {
        hints.push(("on_failure", "a model that does not answer leads to fallback_action"));
        hints.push(("rules", "rules beside a model stand under [[hotwires]]"));
        hints.push(("component", "components beside a model stand under [[hotwires]]"));
    }
    for (_, keys, sentence) in by_kind.iter().filter(|(other, ..)| !takes(other)) {
        hints.extend(keys.iter().map(|key| (*key, *sentence)));
    }
    table.only(&known, &hints);
}

fn threshold(table: &Table<'_>) -> Thresholds {
    thresholds::read(table).unwrap_or(Thresholds::same(0.0))
}

fn hotwires(reading: &Reading<'_>, top: &Table<'_>) -> Vec<Evaluator> {
    let entries = top.tables("hotwires");
    if entries.len() > MAX_HOTWIRES {
        let what = format!("{} [[hotwires]]", entries.len());
        reading.sink.error_expected(
            top.at_key("hotwires"),
            what,
            format!("at most {MAX_HOTWIRES}"),
        );
        return Vec::new();
    }
    let read = |(index, table): (usize, &Table<'_>)| hotwire(reading, index, table);
    entries.iter().enumerate().filter_map(read).collect()
}

fn hotwire(reading: &Reading<'_>, index: usize, table: &Table<'_>) -> Option<Evaluator> {
    table.only(
        &ENTRY_KEYS,
        &[("type", "[[hotwires]] are hotwires; a model stands under [evaluate]")],
    );
    if !table.has("rules") && !table.has("component") && !table.has("default_action") {
        table
            .missing("anything that decides", "rules, default_action or component = \"NAME.wasm\"");
        return None;
    }
    let priority =
        table.integer("priority", 0..=MAX_PRIORITY).unwrap_or(Evaluator::PRIORITY_HOTWIRE);
    let stage = rules_stage(reading, table, &with_rule_actions(reading.item("hotwires", index)))?;
    Some(Evaluator {
        stage: format!("hotwire-{index}"),
        priority,
        threshold: threshold(table),
        kind: EvaluatorKind::Component(stage),
    })
}

/// The stage of declared rules, or of an own component.
fn rules_stage(reading: &Reading<'_>, table: &Table<'_>, stage: &Value) -> Option<StageSpec> {
    check_rules(reading, table);
    if let Some(text) = table.text("default_action") {
        reading.mention(
            text.at,
            text.value,
            &format!("{} default_action", table.name()),
            Weight::Error,
        );
    }
    let component = if table.has("component") {
        reading.component(table, ComponentSource::RULES)?
    } else {
        ComponentSource::Bundled(ComponentSource::RULES.to_owned())
    };
    let on_failure = reading.on_failure(table);
    Some(StageSpec { component, config: reading.stage_config(table.at(), stage), on_failure })
}

fn check_rules(reading: &Reading<'_>, table: &Table<'_>) {
    let rules = table.tables("rules");
    if rules.len() > MAX_RULES {
        let what = format!("{} rules in {}", rules.len(), table.name());
        reading.sink.error_expected(table.at_key("rules"), what, format!("at most {MAX_RULES}"));
        return;
    }
    for rule in rules {
        rule.only(&["field", "pattern", "longer_than", "action", "reason"], &OLD_RULE_KEYS);
        if rule.has("longer_than") {
            check_length(reading, &rule);
        } else {
            reading.check_rule(&rule, Stage::Evaluate);
        }
        if let Some(reason) = rule.text("reason") {
            // It is written to the journal as it stands.
            placeholders::refuse_placeholders(reading, reason, &format!("{} reason", rule.name()));
        }
        let by = format!("{} action", rule.name());
        // One that is absent is written out by `with_rule_actions`.
        if let Some(text) = rule.text("action") {
            reading.mention(text.at, text.value, &by, Weight::Error);
        } else if reading.is_question() && !rule.has("action") {
            rule.missing("action", "action = \"block\": to log is no answer");
        }
    }
}

/// A rule that goes by the length of a field.
fn check_length(reading: &Reading<'_>, rule: &Table<'_>) {
    reading.rule_field(rule, "field", Stage::Evaluate);
    let _: Option<u32> = rule.integer("longer_than", 0..=MAX_LENGTH);
    if rule.has("pattern") {
        let what = format!("{} has longer_than and pattern: write two rules", rule.name());
        reading.sink.error(rule.at_key("pattern"), what);
    }
}

/// A rule without an action logs, as it always has; the component is told.
fn with_rule_actions(mut stage: Value) -> Value {
    if let Some(Value::Array(rules)) = stage.get_mut("rules") {
        for rule in rules.iter_mut().filter(|rule| rule.get("action").is_none()) {
            set(rule, "action", "log");
        }
    }
    stage
}
