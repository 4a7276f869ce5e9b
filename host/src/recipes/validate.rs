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
        let Mention { at, action, by, weight } = mention;
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
