//! What is decided before any recipe runs, at the cost of a comparison: the
//! own node's mail, mail that poses as the own node's, ignored types, senders that
//! are no node, what a breaker stops, blank mail; in this order. Pure.

mod spoofed;

use std::borrow::Cow;

use crate::breakers::{Standing, Stopped, met};
use crate::clock::TimestampMs;
use crate::envelope::Envelope;
use crate::envelope::sender;
pub use spoofed::Pose;

/// The operator's settings that the guard looks at.
#[derive(Clone, Debug, Default)]
pub struct GuardRules {
    /// The node's own id; its mail never enters a recipe.
    pub own_node: Option<String>,
    pub ignored_msg_types: Vec<String>,
}

/// Why no recipe runs on an event. Journaled in these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    OwnNode,
    Spoofed(Pose),
    IgnoredType,
    InvalidSender,
    Breaker(Stopped),
    Blank,
}

/// The `action_name` of what a breaker stopped.
pub const BREAKER_BLOCKED: &str = "breaker_blocked";

/// The `action_name` of mail that posed as the host's own.
pub const QUARANTINED: &str = "quarantined";

impl Stop {
    /// The `action_name` of the row.
    pub fn action_name(&self) -> &'static str {
        match self {
            Self::OwnNode => "skip_own",
            Self::Spoofed(_) => QUARANTINED,
            Self::IgnoredType => "skip_ignored",
            Self::InvalidSender => "skip_invalid",
            Self::Breaker(_) => BREAKER_BLOCKED,
            Self::Blank => "unclassified",
        }
    }

    pub fn reason(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::OwnNode => "mail of the own node",
            Self::IgnoredType => "message type is ignored by configuration",
            Self::InvalidSender => "sender is not a node id",
            Self::Spoofed(pose) => return Cow::Owned(pose.to_string()),
            Self::Breaker(stopped) => return Cow::Owned(stopped.to_string()),
            Self::Blank => "blank message",
        })
    }
}

/// Looks at an event; `None` lets it on.
pub fn check(
    rules: &GuardRules,
    breakers: &Standing,
    envelope: &Envelope,
    now: TimestampMs,
) -> Option<Stop> {
    let is_mail = envelope.trigger == "on_mail";
    let before = if is_mail { unwanted(rules, envelope) } else { None };
    before
        .or_else(|| {
            // Nearly always: nothing has to be named to find nothing.
            let targets = (!breakers.is_empty()).then(|| met::by_event(envelope))?;
            breakers.stop(&targets, now).map(Stop::Breaker)
        })
        .or_else(|| {
            let is_blank = is_mail && envelope.text("body_text").trim().is_empty();
            is_blank.then_some(Stop::Blank)
        })
}

/// Mail that is nobody's business whatever is stopped.
fn unwanted(rules: &GuardRules, envelope: &Envelope) -> Option<Stop> {
    let from_node = envelope.text("from_node");
    let msg_type = envelope.text("msg_type");
    if rules.own_node.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(from_node)) {
        Some(Stop::OwnNode)
    } else if let Some(pose) = spoofed::pose(envelope) {
        // Before the ignored types, so that it is seen whatever they are.
        Some(Stop::Spoofed(pose))
    } else if rules.ignored_msg_types.iter().any(|ignored| ignored == msg_type) {
        Some(Stop::IgnoredType)
    } else if !sender::is_node_id(from_node) {
        Some(Stop::InvalidSender)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breakers::{Target, Trip};
    use crate::envelope::Field;

    fn mail(from_node: &str, msg_type: &str, body: &str) -> Envelope {
        Envelope {
            id: "1".to_owned(),
            trigger: "on_mail".to_owned(),
            source: "test".to_owned(),
            parent: None,
            depth: 0,
            received_at: TimestampMs(0),
            root: None,
            lineage: Vec::new(),
            fields: vec![
                Field::new("from_node", from_node),
                Field::new("msg_type", msg_type),
                Field::new("body_text", body),
            ],
        }
    }

    #[test]
    fn what_is_stopped_says_by_what_in_a_fixed_order() {
        let rules = GuardRules {
            own_node: Some("aa".repeat(32)),
            ignored_msg_types: vec!["ack".to_owned(), "system".to_owned()],
        };
        let open = Standing::default();
        let mut closed = Standing::default();
        let target = Target::parse("global").unwrap();
        let (reason, operation) = ("too much", "1");
        let at = TimestampMs(0);
        closed.trip(&Trip { target: &target, reason, at, expires_in_s: 0, operation });
        let stopped = |breakers: &Standing, envelope: Envelope| {
            check(&rules, breakers, &envelope, at).map(|stop| stop.action_name())
        };
        for (from, msg_type, body, without, with) in [
            ("AA", "text", "hi", Some("skip_own"), Some("skip_own")),
            ("aa", "system", "hi", Some("skip_own"), Some("skip_own")),
            ("bb", "system", "hi", Some("quarantined"), Some("quarantined")),
            ("x", "thrall_digest", "hi", Some("quarantined"), Some("quarantined")),
            ("bb", "ack", "hi", Some("skip_ignored"), Some("skip_ignored")),
            ("x", "text", "hi", Some("skip_invalid"), Some("skip_invalid")),
            ("bb", "text", " \n", Some("unclassified"), Some("breaker_blocked")),
            ("bb", "text", "hi", None, Some("breaker_blocked")),
        ] {
            let event = || mail(&from.repeat(32), msg_type, body);
            assert_eq!((stopped(&open, event()), stopped(&closed, event())), (without, with));
        }
        let tick = Envelope { trigger: "on_tick".to_owned(), ..Envelope::blank() };
        assert_eq!(check(&rules, &open, &tick, at), None);
        let stop = check(&rules, &closed, &tick, at).unwrap();
        assert_eq!(stop.reason(), "breaker global: too much");
    }
}
