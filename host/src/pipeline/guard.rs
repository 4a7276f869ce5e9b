//! What is decided before any recipe runs, at the cost of a comparison: the
//! own node's mail, ignored types, senders that are no node, blank mail. Pure.

use crate::envelope::Envelope;
use crate::envelope::sender;

/// The operator's settings that the guard looks at.
#[derive(Clone, Debug, Default)]
pub struct GuardRules {
    /// The node's own id; its mail never enters a recipe.
    pub own_node: Option<String>,
    pub ignored_msg_types: Vec<String>,
}

/// Why no recipe runs on an event. Journaled in these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    OwnNode,
    IgnoredType,
    InvalidSender,
    Blank,
}

impl Stop {
    /// The `action_name` of the row.
    pub fn action_name(self) -> &'static str {
        match self {
            Self::OwnNode => "skip_own",
            Self::IgnoredType => "skip_ignored",
            Self::InvalidSender => "skip_invalid",
            Self::Blank => "unclassified",
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Self::OwnNode => "mail of the own node",
            Self::IgnoredType => "message type is ignored by configuration",
            Self::InvalidSender => "sender is not a node id",
            Self::Blank => "blank message",
        }
    }
}

/// Looks at an event; `None` lets it on.
pub fn check(rules: &GuardRules, envelope: &Envelope) -> Option<Stop> {
    if envelope.trigger != "on_mail" {
        return None;
    }
    let from_node = envelope.text("from_node");
    let msg_type = envelope.text("msg_type");
    if rules.own_node.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(from_node)) {
        Some(Stop::OwnNode)
    } else if rules.ignored_msg_types.iter().any(|ignored| ignored == msg_type) {
        Some(Stop::IgnoredType)
    } else if !sender::is_node_id(from_node) {
        Some(Stop::InvalidSender)
    } else if envelope.text("body_text").trim().is_empty() {
        Some(Stop::Blank)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TimestampMs;
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
    fn own_ignored_and_invalid_are_stopped() {
        let rules = GuardRules {
            own_node: Some("aa".repeat(32)),
            ignored_msg_types: vec!["ack".to_owned()],
        };
        assert_eq!(check(&rules, &mail(&"AA".repeat(32), "text", "hi")), Some(Stop::OwnNode));
        assert_eq!(check(&rules, &mail(&"bb".repeat(32), "ack", "hi")), Some(Stop::IgnoredType));
        assert_eq!(check(&rules, &mail("nobody", "text", "hi")), Some(Stop::InvalidSender));
        assert_eq!(check(&rules, &mail(&"bb".repeat(32), "text", " \n")), Some(Stop::Blank));
        assert_eq!(check(&rules, &mail(&"bb".repeat(32), "text", "hi")), None);
    }
}
