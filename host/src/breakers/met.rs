//! Which breakers an event or an operation meets, in the order in which they are
//! looked at: everything, the node, the skill, the skill for the node. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::target::{GLOBAL, MAX_NAME_BYTES};
use crate::envelope::{Envelope, MAIL_SEND, SKILL_REQUEST, sender};

/// The breaker that stops something. Displayed, it is the reason that is
/// journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    pub target: String,
    pub reason: String,
}

/// Texts of targets, the first to be looked at first.
pub type Targets = Vec<Cow<'static, str>>;

const EVERYTHING: Cow<'static, str> = Cow::Borrowed(GLOBAL);

/// How every [`Stopped`] begins.
pub const PREFIX: &str = "breaker ";

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}: {}", self.target, self.reason)
    }
}

/// Of a text that a [`Stopped`] wrote, the target.
pub fn target_of(text: &str) -> Option<&str> {
    // A recipe's own target holds a colon, but none with a space behind it.
    text.strip_prefix(PREFIX)?.split_once(": ").map(|(target, _)| target)
}

/// The targets that an event meets. A skill's answer is let through whatever
/// stops the skill: it was asked before, and whoever asked waits for it.
pub fn by_event(envelope: &Envelope) -> Targets {
    let mut targets = vec![EVERYTHING];
    match envelope.trigger.as_str() {
        SKILL_REQUEST => {
            let caller = node(envelope.text("caller_node"));
            let skill = skill(envelope.text("skill_name"));
            targets.extend(caller.clone());
            if let Some(skill) = skill {
                let for_caller = caller.map(|caller| format!("{caller}+{skill}").into());
                targets.push(skill);
                targets.extend(for_caller);
            }
        }
        MAIL_SEND => {
            targets.extend(node(envelope.text("to_node")));
            targets.extend(node(envelope.text("from_node")));
        }
        _ => targets.extend(node(envelope.text("from_node"))),
    }
    targets
}

/// The targets that mail to a node meets.
pub fn by_mail(to_node: &str) -> Targets {
    std::iter::once(EVERYTHING).chain(node(to_node)).collect()
}

/// The targets that a call of a skill meets.
pub fn by_call(name: &str) -> Targets {
    std::iter::once(EVERYTHING).chain(skill(name)).collect()
}

fn node(id: &str) -> Option<Cow<'static, str>> {
    let key = sender::sender_key(id);
    (key != sender::INVALID).then_some(Cow::Owned(key))
}

/// Another spelling of a stopped skill is stopped as well.
fn skill(name: &str) -> Option<Cow<'static, str>> {
    (1..=MAX_NAME_BYTES)
        .contains(&name.len())
        .then(|| format!("skill:{}", name.to_ascii_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Field;

    fn event(trigger: &str, fields: &[(&str, &str)]) -> Targets {
        by_event(&Envelope {
            trigger: trigger.to_owned(),
            fields: fields.iter().map(|(name, value)| Field::new(*name, *value)).collect(),
            ..Envelope::blank()
        })
    }

    #[test]
    fn each_event_meets_what_it_is_about() {
        let (a, b) = ("AB".repeat(32), "cd".repeat(32));
        let (key_a, key_b) = ("ab".repeat(8), "cd".repeat(8));
        assert_eq!(event("on_tick", &[]), ["global"]);
        assert_eq!(event("on_mail", &[("from_node", &a)]), ["global", key_a.as_str()]);
        assert_eq!(event("on_mail", &[("from_node", "short")]), ["global"]);
        assert_eq!(
            event("on_skill_request", &[("caller_node", &a), ("skill_name", "Look-Up")]),
            ["global", key_a.as_str(), "skill:look-up", &format!("{key_a}+skill:look-up")]
        );
        assert_eq!(
            event("on_mail_send", &[("to_node", &b), ("from_node", &a)]),
            ["global", key_b.as_str(), key_a.as_str()]
        );
        let answer = [("from_node", a.as_str()), ("skill", "look-up")];
        assert_eq!(event("on_result", &answer), ["global", key_a.as_str()]);
    }

    #[test]
    fn a_reason_says_which_breaker_it_was() {
        for target in ["global", "aabbccddeeff0011+skill:x", "own:thing"] {
            let stopped = Stopped { target: target.to_owned(), reason: "a: b".to_owned() };
            assert_eq!(target_of(&stopped.to_string()), Some(target));
        }
        assert_eq!(target_of("no node is connected"), None);
    }
}
