//! From an event and a recipe's trigger to the event that the host makes of
//! them. Pure: whether the trigger is allowed is decided in `operation/` and
//! `pipeline/descent.rs`, the new event is written in `store/children.rs`.

use super::{Envelope, Field, RootEvent, limits};
use crate::clock::TimestampMs;
use crate::ids::EnvelopeSeq;

/// The trigger of events that recipes made.
pub const TRIGGER: &str = "on_action";
/// Their source: the host itself. No declared source has this name.
pub const SOURCE: &str = "thrall";
/// The field that holds the name which the recipe gave.
pub const EVENT_NAME: &str = "event_name";
/// Fields that a triggered event takes over from the one before it, at most.
pub const MAX_INHERITED: usize = 2;
/// What it takes over besides its sender.
const SESSION: &str = "session_id";

/// The sender and the session that a triggered event has from the one before it.
fn inherited(parent: &Envelope) -> impl Iterator<Item = Field> + '_ {
    let sender = parent.sender().map(|value| Field::new("from_node", value));
    sender.into_iter().chain(parent.field(SESSION).map(|value| Field::new(SESSION, value)))
}

/// The next event of the chain. `fields` hold nothing that is the host's to
/// set: `operation::host_set_field` has seen them.
pub fn child(
    parent: &Envelope,
    parent_seq: EnvelopeSeq,
    recipe: &str,
    id: String,
    name: &str,
    fields: &[Field],
    now: TimestampMs,
) -> Envelope {
    let own = std::iter::once(Field::new(EVENT_NAME, name)).chain(fields.iter().cloned());
    descend(parent, parent_seq, recipe, id, TRIGGER, own, now)
}

/// An event that the host makes after another: with its sender and session, one
/// deeper, and `recipe` at the end of the way.
pub(super) fn descend(
    parent: &Envelope,
    parent_seq: EnvelopeSeq,
    recipe: &str,
    id: String,
    trigger: &str,
    own: impl Iterator<Item = Field>,
    now: TimestampMs,
) -> Envelope {
    let mut fields: Vec<Field> = inherited(parent).chain(own).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let root = parent
        .root
        .clone()
        .unwrap_or_else(|| RootEvent { seq: parent_seq, source: parent.source.clone() });
    let mut lineage = parent.lineage.clone();
    lineage.push(recipe.to_owned());
    Envelope {
        id,
        trigger: trigger.to_owned(),
        source: SOURCE.to_owned(),
        parent: Some(parent.id.clone()),
        depth: parent.depth.saturating_add(1),
        received_at: now,
        root: Some(root),
        lineage,
        fields,
    }
}

/// Why no event may be triggered on this one, if so.
pub fn too_deep(parent: &Envelope) -> Option<String> {
    let limit = limits::MAX_TRIGGER_DEPTH;
    (parent.depth >= limit).then(|| {
        format!(
            "depth {}: a chain of triggered events ends at depth {limit}",
            u16::from(parent.depth) + 1
        )
    })
}

/// Why the new event would be larger than any event may be, if so.
pub fn too_large(parent: &Envelope, name: &str, fields: &[Field]) -> Option<String> {
    let own = fields.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>();
    let inherited =
        inherited(parent).map(|field| field.name.len() + field.value.len()).sum::<usize>();
    let bytes = own + inherited + EVENT_NAME.len() + name.len();
    let limit = limits::MAX_ENVELOPE_BYTES;
    (bytes > limit).then(|| format!("the event would be {bytes} bytes, the limit is {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Envelope {
        Envelope {
            id: "m1".to_owned(),
            trigger: "on_mail".to_owned(),
            source: "mailbox".to_owned(),
            fields: vec![
                Field::new("body_text", "hello"),
                Field::new("from_node", "ab".repeat(32)),
                Field::new("msg_type", "text"),
                Field::new("session_id", "s1"),
                Field::new("to_node", "cd".repeat(32)),
            ],
            ..Envelope::blank()
        }
    }

    fn next(parent: &Envelope, seq: EnvelopeSeq, recipe: &str) -> Envelope {
        let fields = [Field::new("zone", "eu"), Field::new("body_text", "seen")];
        child(parent, seq, recipe, format!("{recipe}-1"), "follow-up", &fields, TimestampMs(7))
    }

    #[test]
    fn sender_and_session_are_inherited_and_nothing_else() {
        let one = next(&mail(), 12, "first");
        let names: Vec<&str> = one.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["body_text", "event_name", "from_node", "session_id", "zone"]);
        assert_eq!((one.text("body_text"), one.text("event_name")), ("seen", "follow-up"));
        assert_eq!(
            (one.text("from_node"), one.text("session_id")),
            (mail().text("from_node"), "s1")
        );
        assert_eq!((one.trigger.as_str(), one.source.as_str()), (TRIGGER, SOURCE));
        assert_eq!((one.parent.as_deref(), one.depth), (Some("m1"), 1));
        let tick = Envelope { trigger: "on_tick".to_owned(), ..Envelope::blank() };
        assert_eq!(next(&tick, 1, "first").field("from_node"), None);
    }

    #[test]
    fn the_root_stays_and_the_way_grows() {
        let one = next(&mail(), 12, "first");
        let two = next(&one, 13, "second");
        let root = RootEvent { seq: 12, source: "mailbox".to_owned() };
        assert_eq!((one.root.as_ref(), two.root.as_ref()), (Some(&root), Some(&root)));
        assert_eq!(two.lineage, ["first", "second"]);
        assert_eq!((two.parent.as_deref(), two.depth), (Some("first-1"), 2));
        assert_eq!(two.vouching_source(), "mailbox");
        assert_eq!(one.lane(), mail().children_lane());
        assert_eq!(two.lane(), one.lane());
    }

    #[test]
    fn a_chain_ends_at_its_depth() {
        let at = |depth| too_deep(&Envelope { depth, ..mail() });
        assert_eq!(at(3), None);
        assert!(at(4).unwrap().starts_with("depth 5: "));
        assert!(at(255).is_some());
    }

    #[test]
    fn what_is_inherited_counts_as_well() {
        let fields = [Field::new("a", "x".repeat(limits::MAX_ENVELOPE_BYTES - 20))];
        let silent = Envelope { fields: Vec::new(), ..mail() };
        assert_eq!(too_large(&silent, "b", &fields), None);
        assert!(too_large(&mail(), "b", &fields).unwrap().contains("the limit is 65536"));
    }
}
