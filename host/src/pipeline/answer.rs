//! What a question is answered: each recipe that looked at it may pass, redact
//! or block, and the strictest word holds. Pure; who waits for it, and for how
//! long, is in `engine/questions.rs`.

use serde::{Deserialize, Serialize};

use crate::journal::Commit;
use crate::operation::{ANSWER_CODES, Operation};
use crate::verdict::FilterAnswer;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// One of [`ANSWER_CODES`].
    pub code: String,
    /// What goes out instead, of a redaction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<String>,
    pub reason: String,
    /// Whose word it is; empty for the host's own.
    pub recipe: String,
}

impl Answer {
    pub fn pass(reason: &str) -> Self {
        Self::of_host("pass", reason)
    }

    pub fn block(reason: &str) -> Self {
        Self::of_host("block", reason)
    }

    fn of_host(code: &str, reason: &str) -> Self {
        Self { code: code.to_owned(), body: None, reason: reason.to_owned(), recipe: String::new() }
    }

    fn rank(&self) -> usize {
        // A word that is none of ours is no permission.
        ANSWER_CODES.iter().position(|code| *code == self.code).unwrap_or(ANSWER_CODES.len())
    }
}

/// What a run says to the question. A recipe that acts and had no answer carried
/// out blocks: whatever kept it from answering is no permission. Only its own
/// filter component may have no opinion.
pub fn of_commit(commit: &Commit) -> Option<Answer> {
    let Commit { row, trace, .. } = commit;
    if !row.mode.acts() {
        return None;
    }
    carried_out(commit).or_else(|| {
        let has_no_opinion = matches!(trace.filter.component, Some(FilterAnswer::Skip { .. }));
        (!has_no_opinion)
            .then(|| Answer { recipe: row.recipe.clone(), ..Answer::block(&unanswered(commit)) })
    })
}

/// The strictest answer that a run had carried out.
fn carried_out(commit: &Commit) -> Option<Answer> {
    let action = &commit.trace.action;
    let answers = action.operations.iter().filter(|planned| planned.is_carried_out());
    answers
        .filter(|_| action.executed)
        .filter_map(|planned| match &planned.operation {
            Operation::Answer { code, body, reason } => Some(Answer {
                code: code.clone(),
                body: body.clone(),
                reason: reason.clone(),
                recipe: commit.row.recipe.clone(),
            }),
            _ => None,
        })
        .reduce(stricter)
}

/// Why a run that acts has no answer.
fn unanswered(commit: &Commit) -> String {
    let Commit { row, trace, .. } = commit;
    let recipe = &row.recipe;
    if trace.filter.decision == "skip" {
        return format!("{recipe} did not look at it: {}", row.reason);
    }
    let denied = trace.action.operations.iter().find_map(|planned| planned.denied_by.as_deref());
    let why = match denied {
        Some(missing) => format!("denied, missing: {missing}"),
        None => trace.action.notes.last().cloned().unwrap_or_else(|| {
            if trace.action.executed { "it answers nothing" } else { row.reason.as_str() }
                .to_owned()
        }),
    };
    format!("{recipe} decided {}, which was not carried out: {why}", row.action)
}

/// The answer to a question that several looked at, in their order.
pub fn combine(said: impl IntoIterator<Item = Answer>) -> Answer {
    said.into_iter().reduce(stricter).unwrap_or_else(|| Answer::pass("nobody objects"))
}

/// Two redactions that differ each left in what the other took out.
fn stricter(first: Answer, second: Answer) -> Answer {
    if first.code == "redact" && second.code == "redact" && first.body != second.body {
        return Answer::block(&format!(
            "{} and {} redact differently: {}; {}",
            first.recipe, second.recipe, first.reason, second.reason
        ));
    }
    if second.rank() > first.rank() { second } else { first }
}

/// Why an answer is none, if so: a word that nobody understands, a redaction
/// that leaves nothing to send, a body beside a word that takes none.
pub fn flaw(operation: &Operation) -> Option<String> {
    let Operation::Answer { code, body, .. } = operation else { return None };
    match (code.as_str(), body) {
        ("redact", None) => Some("a redaction without the body that goes out instead".to_owned()),
        ("redact", Some(_)) | ("pass" | "block", None) => None,
        ("pass" | "block", Some(_)) => Some(format!("{code} takes no body")),
        _ => Some(format!("no answer is called {:?}: {}", code, ANSWER_CODES.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(code: &str, body: Option<&str>, recipe: &str) -> Answer {
        Answer {
            code: code.to_owned(),
            body: body.map(str::to_owned),
            reason: format!("{recipe} says so"),
            recipe: recipe.to_owned(),
        }
    }

    #[test]
    fn the_strictest_word_holds() {
        assert_eq!(combine([]).code, "pass");
        let mild = [said("pass", None, "a"), said("redact", Some("x"), "b")];
        assert_eq!(combine(mild.clone()).recipe, "b");
        assert_eq!(combine(mild.into_iter().chain([said("block", None, "c")])).recipe, "c");
    }

    #[test]
    fn redactions_that_differ_let_nothing_out() {
        let both =
            combine([said("redact", Some("a ***"), "a"), said("redact", Some("*** b"), "b")]);
        assert_eq!((both.code.as_str(), both.body), ("block", None));
        let same = combine([said("redact", Some("***"), "a"), said("redact", Some("***"), "b")]);
        assert_eq!(same.body.as_deref(), Some("***"));
    }

    #[test]
    fn an_answer_says_one_of_three_words() {
        let answer = |code: &str, body: Option<&str>| {
            flaw(&Operation::Answer {
                code: code.to_owned(),
                body: body.map(str::to_owned),
                reason: String::new(),
            })
        };
        assert_eq!((answer("pass", None), answer("block", None)), (None, None));
        assert_eq!(answer("redact", Some("x")), None);
        for (code, body) in [("redact", None), ("pass", Some("x")), ("allow", None), ("", None)] {
            assert!(answer(code, body).is_some(), "{code:?} {body:?}");
        }
    }

    proptest! {
        /// Whoever is asked more can only make it stricter, and nothing but a
        /// redaction ever has a body.
        #[test]
        fn another_opinion_never_loosens(words in proptest::collection::vec(0..3usize, 1..6)) {
            let answers: Vec<Answer> = words
                .iter()
                .map(|word| said(ANSWER_CODES[*word], (*word == 1).then_some("***"), "r"))
                .collect();
            let strictest = words.iter().max().unwrap();
            let all = combine(answers);
            prop_assert_eq!(all.rank(), *strictest);
            prop_assert_eq!(all.body.is_some(), all.code == "redact");
        }
    }
}
