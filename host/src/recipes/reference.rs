//! What may stand in a recipe file, as tables: every trigger with its keys and the
//! fields of its events, every type of action with its keys, every operation with
//! what makes it and what grants it. They are made of the lists that the checker
//! itself goes by, so that they cannot say anything else.

use serde::Serialize;

use super::{TriggerSpec, action_kinds, action_section, reading, trigger_section};
use crate::envelope::{MAIL_SEND, SKILL_REQUEST, log_line};
use crate::grants;
use crate::operation::Operation;

/// A trigger.
#[derive(Debug, Serialize)]
pub struct TriggerWords {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Beside `type`, `match_field` and `match_pattern`.
    pub keys: Vec<&'static str>,
    pub fields: Vec<&'static str>,
    /// What the lists do not say.
    pub about: &'static str,
}

/// A type of action, or of a step.
#[derive(Debug, Serialize)]
pub struct ActionWords {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Other words for it.
    pub also: Vec<&'static str>,
    pub required: Vec<&'static str>,
    pub optional: Vec<&'static str>,
}

/// An operation, as components return it and grants name it.
#[derive(Debug, Serialize)]
pub struct OperationWords {
    pub operation: &'static str,
    /// The type of action that makes it; absent where only a component can.
    #[serde(rename = "type")]
    pub made_by: Option<&'static str>,
    /// Keys of its table under `[operations]`; absent where it needs none.
    pub grant_keys: Option<Vec<&'static str>>,
}

pub fn triggers() -> Vec<TriggerWords> {
    TriggerSpec::KINDS
        .into_iter()
        .map(|kind| TriggerWords {
            kind,
            keys: trigger_section::keys_of(kind),
            fields: fields(kind),
            about: about(kind),
        })
        .collect()
}

fn fields(kind: &str) -> Vec<&'static str> {
    match reading::fixed_fields(kind) {
        [] => vec!["event_name"],
        fixed => fixed.to_vec(),
    }
}

fn about(kind: &str) -> &'static str {
    match kind {
        "on_mail" => "a mail; body_text is its text whatever form it came in",
        "on_tick" => "the host's clock; what the node is not there to say is absent",
        "on_event" => "an event of the node, with whatever fields it has",
        "on_bus" => "an event of the bus, with whatever fields it has; subscribe is required",
        "on_action" => "what another recipe's trigger made, with the fields that it gave",
        "on_result" => {
            "the answer of a skill; members of an answer that is an object are result.NAME"
        }
        MAIL_SEND => "a question: mail that is to leave",
        SKILL_REQUEST => "a question: somebody wants to call a skill",
        log_line::TRIGGER => {
            "a line of the log at path, which is required; the pattern's groups as group_1 and by name"
        }
        _ => "",
    }
}

/// Fields that no event lacks, whatever its trigger.
pub const STAMPED: [&str; 4] = reading::STAMPED;

pub fn actions() -> Vec<ActionWords> {
    action_kinds::KINDS
        .iter()
        .map(|kind| {
            let required: Vec<&str> = kind.required.iter().map(|(key, _)| *key).collect();
            let also = action_kinds::SYNONYMS.iter().filter(|(_, word)| *word == kind.word);
            ActionWords {
                kind: kind.word,
                also: also.map(|(other, _)| *other).collect(),
                optional: kind.keys.iter().copied().filter(|key| !required.contains(key)).collect(),
                required,
            }
        })
        .collect()
}

/// Keys that every action may have.
pub fn common_action_keys() -> Vec<&'static str> {
    action_section::COMMON_KEYS.to_vec()
}

/// Names of actions that need not be declared.
pub fn undeclared_actions() -> Vec<&'static str> {
    action_section::IMPLICIT.into_iter().chain(action_section::IMPLICIT_ANSWERS).collect()
}

pub fn operations() -> Vec<OperationWords> {
    Operation::KINDS
        .into_iter()
        .map(|operation| OperationWords {
            operation,
            made_by: action_kinds::from_word(operation),
            grant_keys: grants::operation_keys(operation),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_what_the_checker_goes_by() {
        let of = |kind: &str| triggers().into_iter().find(|one| one.kind == kind).unwrap();
        assert_eq!(of("on_log").keys, ["path", "pattern"]);
        assert!(of("on_tick").fields.contains(&"elapsed_s"));
        assert!(triggers().iter().all(|one| !one.about.is_empty() && !one.fields.is_empty()));
        let act = actions().into_iter().find(|one| one.kind == "act").unwrap();
        assert_eq!((act.required, act.also), (vec!["skill"], vec!["skill"]));
        let made = |word: &str| operations().into_iter().find(|one| one.operation == word).unwrap();
        assert_eq!(made("skill").made_by, Some("act"));
        assert_eq!(made("compile").grant_keys, Some(vec!["buffers"]));
        assert_eq!((made("log").grant_keys, made("extension").made_by), (None, None));
    }
}
