//! What has to hold between the sections of a recipe: every action that can be
//! reached is declared, and there is a fallback.

use std::collections::BTreeMap;

use super::reading::{Mention, Weight};
use super::{ActionSpec, Fallback, action_kinds};
use crate::ids::nearest;
use crate::strict_toml::{Problem, Sink};

/// Holds every mentioned action against the declared ones.
pub(super) fn check_mentions(sink: &Sink<'_>, mentions: Vec<Mention>, declared: &[String]) {
    for mention in mentions.into_iter().filter(|mention| !declared.contains(&mention.action)) {
        let Mention { at, action, by, weight, .. } = mention;
        let meant =
            nearest(&action, declared.iter().map(String::as_str).chain(action_kinds::words()));
        let problem = Problem {
            expected: Some(format!(
                "one of {}, or a table [actions.{action}]",
                declared.join(", ")
            )),
            nearest: meant.filter(|meant| *meant != action).map(str::to_owned),
            ..Problem::at(
                sink.file(),
                sink.text(),
                at,
                format!("{by} leads to {action:?}, which is not declared"),
            )
        };
        match weight {
            Weight::Error => sink.add(problem),
            Weight::Warning => {
                let what = format!("{}: the fallback takes its place", problem.what);
                sink.add_warning(Problem { what, expected: None, ..problem });
            }
        }
    }
}

/// Holds what a question leads to against what gives an answer: whoever asks
/// would be blocked by all the rest.
pub(super) fn check_answers(
    sink: &Sink<'_>,
    mentions: &[Mention],
    actions: &BTreeMap<String, ActionSpec>,
) {
    let answering = || actions.values().filter(|spec| spec.may_answer());
    let mute = |mention: &&Mention| {
        let spec = actions.get(&mention.action);
        !mention.continues && spec.is_some_and(|spec| !spec.may_answer())
    };
    for Mention { at, action, by, weight, .. } in mentions.iter().filter(mute) {
        let what = format!("{by} leads to {action:?}, which gives whoever asks no answer");
        let names: Vec<&str> = answering().map(|spec| spec.name.as_str()).collect();
        let problem = Problem {
            expected: Some(format!("one of {}", names.join(", "))),
            ..Problem::at(sink.file(), sink.text(), *at, what)
        };
        match weight {
            Weight::Error => sink.add(problem),
            Weight::Warning => sink.add_warning(problem),
        }
    }
}

/// What happens without a verdict: what the file says, else the quietest thing
/// that loses nothing.
/// A question without a verdict is not let through.
pub(super) fn fallback(
    said: Option<Fallback>,
    actions: &BTreeMap<String, ActionSpec>,
    is_question: bool,
) -> Fallback {
    said.unwrap_or_else(|| {
        let quiet = if is_question {
            "block"
        } else if actions.contains_key("compile") {
            "compile"
        } else {
            "log"
        };
        Fallback::Action(quiet.to_owned())
    })
}
