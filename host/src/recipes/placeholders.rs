//! `{{root.name}}` in recipe files: which may stand where, and the one kind
//! that the host fills itself, the cooldown key. The language is the SDK's, so
//! that what loads here renders in the bundled components.

use std::borrow::Cow;

use thrall_sdk::template::{Root, Template};

use super::reading::Reading;
use crate::envelope::Envelope;
use crate::ids::Digest;
use crate::strict_toml::Placed;

/// The stage in which a text is rendered: what exists by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Filter,
    Evaluate,
    Action,
}

/// The longest key that is kept as it is. A longer one becomes its digest, so
/// that nobody fills the table of cooldowns with long bodies.
const MAX_FILLED_KEY_BYTES: usize = 256;

/// Fills a cooldown key with fields of the envelope; an absent one is empty.
pub fn fill_envelope(text: &str, envelope: &Envelope) -> String {
    let Ok(template) = Template::parse_with_bare_names(text) else {
        return text.to_owned();
    };
    let filled = template.render(|place| envelope_value(envelope, place.name));
    if filled.len() > MAX_FILLED_KEY_BYTES {
        Digest::of(filled.as_bytes()).to_string()
    } else {
        filled
    }
}

fn envelope_value<'e>(envelope: &'e Envelope, name: &str) -> Option<Cow<'e, str>> {
    let stamped = || match name {
        "id" => Some(Cow::Borrowed(envelope.id.as_str())),
        "trigger" => Some(Cow::Borrowed(envelope.trigger.as_str())),
        "source" => Some(Cow::Borrowed(envelope.source.as_str())),
        _ => None,
    };
    envelope.field(name).map(Cow::Borrowed).or_else(stamped)
}

/// Checks a cooldown key: fields of the event, with or without `envelope.`.
pub(super) fn check_cooldown_key(reading: &Reading<'_>, text: Placed<&str>) {
    match Template::parse_with_bare_names(text.value) {
        Err(error) => reading.sink.error(text.at, format!("[filter] cooldown_key: {error}")),
        Ok(template) => {
            for place in template.placeholders() {
                if place.root == Root::Envelope {
                    reading.check_field(text.at, place.name, "[filter] cooldown_key");
                } else {
                    let what = format!(
                        "[filter] cooldown_key: {{{{{}.{}}}}} is not known before the filter",
                        place.root.word(),
                        place.name
                    );
                    reading.sink.error_expected(
                        text.at,
                        what,
                        "fields of the event, such as {{from_node}}",
                    );
                }
            }
        }
    }
}

/// Checks a text that a bundled component renders.
pub(super) fn check(reading: &Reading<'_>, text: Placed<&str>, stage: Stage, whose: &str) {
    match Template::parse(text.value) {
        Err(error) => reading.sink.error(text.at, format!("{whose}: {error}")),
        Ok(template) => {
            for place in template.placeholders() {
                check_name(reading, text.at, place.root, place.name, stage, whose);
            }
        }
    }
}

/// Whether there can be a value of that name when the stage runs.
pub(super) fn check_name(
    reading: &Reading<'_>,
    at: usize,
    root: Root,
    name: &str,
    stage: Stage,
    whose: &str,
) {
    let refuse = |why: &str| {
        reading
            .sink
            .error(at, format!("{whose}: {}.{name} cannot be resolved: {why}", root.word()));
    };
    match root {
        Root::Envelope => reading.check_field(at, name, whose),
        Root::Filter if matches!(name, "tier" | "decision") => {}
        Root::Filter => reading.sink.wrong_word(
            at,
            format!("{whose}: filter.{name} cannot be resolved"),
            name,
            ["tier", "decision"],
        ),
        Root::Context => {}
        Root::Verdict if stage == Stage::Action => {}
        Root::Verdict => refuse("there is no verdict yet"),
        Root::Inject if reading.may_inject(name) => {}
        Root::Inject => refuse("no filter of this recipe injects it ([filter] inject)"),
        Root::Gather if stage == Stage::Filter => refuse("gathering comes after the filter"),
        Root::Gather if reading.gathers(name) => {}
        Root::Gather => refuse("no [[gather]] entry of this recipe has that name"),
        Root::Result if reading.sees_results() => {}
        Root::Result => refuse(
            "no answer of a skill comes here: the trigger is not on_result, and no action of this recipe has continue_as",
        ),
    }
}

/// A text that names a recipient, a skill, a file or the agent's task: never
/// from a message.
pub(super) fn refuse_placeholders(reading: &Reading<'_>, text: Placed<&str>, whose: &str) {
    if text.value.contains("{{") {
        let what =
            format!("{whose} may hold no placeholder: nothing that a sender wrote gets into it");
        reading.sink.error(text.at, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TimestampMs;
    use crate::envelope::Field;

    fn event(fields: Vec<Field>) -> Envelope {
        Envelope {
            id: "m-1".to_owned(),
            trigger: "on_event".to_owned(),
            source: "bridge".to_owned(),
            parent: None,
            depth: 0,
            received_at: TimestampMs(0),
            root: None,
            lineage: Vec::new(),
            fields,
        }
    }

    #[test]
    fn keys_are_filled_once_from_the_event() {
        let envelope = event(vec![Field::new("tx_hash", "{{id}}"), Field::new("peer", "ab")]);
        assert_eq!(
            fill_envelope("paid-{{tx_hash}}-{{ envelope.peer }}", &envelope),
            "paid-{{id}}-ab"
        );
        assert_eq!(fill_envelope("{{id}}/{{absent}}", &envelope), "m-1/");
        assert_eq!(fill_envelope("health", &envelope), "health");
    }

    #[test]
    fn a_long_key_is_kept_short_and_distinct() {
        let key = |body: &str| fill_envelope("{{body}}", &event(vec![Field::new("body", body)]));
        let (first, second) = (key(&"a".repeat(60_000)), key(&"b".repeat(60_000)));
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
    }
}
