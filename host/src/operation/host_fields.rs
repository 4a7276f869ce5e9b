//! What a trigger may not ask for: fields that are the host's to set, names
//! that name nothing, more than an event may hold. Pure, and without a grant:
//! no grant gives this. What depends on the event at hand is in
//! `pipeline/descent.rs`.

use std::collections::HashSet;

use super::Operation;
use crate::envelope::{descent, json, limits};
use crate::ids::is_valid_name;

/// Fields that only the host sets, and the envelope's own members: a field of
/// such a name would be read in place of the stamp.
const HOST_SET: [&str; 14] = [
    "from_node",
    "to_node",
    "session_id",
    "msg_type",
    descent::EVENT_NAME,
    "id",
    "trigger",
    "source",
    "parent",
    "depth",
    "root",
    "lineage",
    "received_at",
    "host",
];

/// Names that begin like this are given by the host: its own marks, what a
/// filter injected, what was gathered, what a skill answered.
const HOST_PREFIXES: [&str; 6] = ["host.", "parent.", "root.", "inject.", "gather.", "result."];

/// Whether only the host gives a field this name, however it is spelt.
pub fn is_host_set(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    HOST_SET.contains(&lower.as_str())
        || HOST_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

/// The first field of a trigger that is the host's to set. `None` for every
/// other kind of operation: they bring no fields.
pub fn host_set_field(operation: &Operation) -> Option<&str> {
    let Operation::Trigger { fields, .. } = operation else { return None };
    fields.iter().map(|field| field.name.as_str()).find(|name| is_host_set(name))
}

/// What is wrong with a trigger, whatever the event and the grant: a forged
/// field, a bad name, a field that stands twice, too many of them.
pub fn trigger_flaw(operation: &Operation) -> Option<String> {
    let Operation::Trigger { trigger, fields } = operation else { return None };
    if !is_valid_name(trigger) {
        return Some(format!(
            "trigger {:?} is not a name: at most 64 of a-z, 0-9, - and _, a letter or digit first",
            shown(trigger)
        ));
    }
    if let Some(forged) = host_set_field(operation) {
        return Some(format!("field {:?} is the host's to set", shown(forged)));
    }
    let most = limits::MAX_FIELDS - descent::MAX_INHERITED - 1;
    if fields.len() > most {
        return Some(format!("{} fields, a triggered event takes {most}", fields.len()));
    }
    if let Some(field) = fields.iter().find(|field| !json::is_plain_name(&field.name)) {
        return Some(format!(
            "field name {:?} is not a name: use letters, digits, `_`, `-`, `.`, at most {} bytes",
            shown(&field.name),
            limits::MAX_NAME_BYTES
        ));
    }
    let mut seen = HashSet::new();
    let twice = fields.iter().find(|field| !seen.insert(field.name.as_str()))?;
    Some(format!("field {:?} stands twice", twice.name))
}

/// As much of a guest's name as a message needs.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::{Envelope, Field};

    fn trigger(fields: Vec<Field>) -> Operation {
        Operation::Trigger { trigger: "follow-up".to_owned(), fields }
    }

    fn named(names: &[&str]) -> Operation {
        trigger(names.iter().map(|name| Field::new(*name, "x")).collect())
    }

    #[test]
    fn what_the_host_sets_cannot_be_brought() {
        for forged in [
            "from_node",
            "to_node",
            "session_id",
            "msg_type",
            "event_name",
            "host.tier",
            "host.",
            "host",
            "parent",
            "parent.id",
            "depth",
            "lineage",
            "root",
            "source",
            "trigger",
            "id",
            "received_at",
            "inject.x",
            "result.x",
            "gather.x",
            "From_Node",
            "HOST.tier",
        ] {
            let operation = named(&["body_text", forged, "msg_type"]);
            assert_eq!(host_set_field(&operation), Some(forged));
            assert!(trigger_flaw(&operation).unwrap().contains(forged), "{forged}");
        }
        for free in [
            "body_text",
            "kind",
            "hosts",
            "parents",
            "result",
            "from_node2",
            "my.host.x",
            "sources",
        ] {
            assert_eq!(host_set_field(&named(&[free])), None, "{free}");
        }
    }

    #[test]
    fn only_triggers_bring_fields() {
        let wake =
            Operation::SetFlag { key: "from_node".to_owned(), value: None, expires_in_s: None };
        assert_eq!((host_set_field(&wake), trigger_flaw(&wake)), (None, None));
    }

    #[test]
    fn a_flaw_is_named() {
        let flaw = |operation: &Operation| trigger_flaw(operation).unwrap_or_default();
        assert!(flaw(&named(&["a", "b", "a"])).contains("\"a\" stands twice"));
        assert!(flaw(&named(&["a b"])).contains("is not a name"));
        assert!(flaw(&named(&[""])).contains("is not a name"));
        let many: Vec<String> = (0..62).map(|n| format!("f{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(flaw(&named(&many)).contains("62 fields, a triggered event takes 61"));
        assert_eq!(trigger_flaw(&named(&many[1..])), None);
        for bad in ["", "On Mail", "../x", "a.b"] {
            let operation = Operation::Trigger { trigger: bad.to_owned(), fields: Vec::new() };
            assert!(flaw(&operation).contains("is not a name"), "{bad:?}");
        }
    }

    proptest! {
        /// Whatever passes makes an event whose host-set fields are the
        /// host's, whose names are unique and whose bounds hold.
        #[test]
        fn what_passes_makes_a_sound_event(
            usual in proptest::collection::vec("[a-z_.]{4,12}", 0..62),
            odd in proptest::collection::vec("[a-zA-Z. ]{0,3}|From_Node|from_node|host\\.x", 0..2),
        ) {
            let fields: Vec<Field> =
                usual.into_iter().chain(odd).map(|name| Field::new(name, "x")).collect();
            let operation = trigger(fields.clone());
            if trigger_flaw(&operation).is_some() {
                return Ok(());
            }
            let parent = Envelope {
                fields: vec![Field::new("from_node", "ab".repeat(32)), Field::new("session_id", "s")],
                ..Envelope::blank()
            };
            let child = descent::child(
                &parent, 1, "r", "c".to_owned(), "follow-up", &fields, crate::clock::TimestampMs(0),
            );
            prop_assert_eq!(child.text("from_node"), parent.text("from_node"));
            prop_assert_eq!(child.text("event_name"), "follow-up");
            prop_assert!(child.fields.len() <= limits::MAX_FIELDS);
            let sorted = child.fields.windows(2).all(|pair| pair[0].name < pair[1].name);
            prop_assert!(sorted, "{:?}", child.fields);
        }
    }
}
