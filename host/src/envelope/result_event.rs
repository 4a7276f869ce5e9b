//! From the answer of a skill to the `on_result` event that the host makes of
//! it. Pure: answers are kept in `store/continuations.rs`, and what runs on the
//! event is decided in `engine/continuing.rs`.

use serde_json::Value;

use super::{Envelope, Field, descent, limits};
use crate::clock::TimestampMs;
use crate::ids::EnvelopeSeq;
use crate::operation::is_host_set;

/// The trigger of answers.
pub const TRIGGER: &str = "on_result";
/// What the recipe named: the action that goes on.
pub const CONTINUE_AS: &str = "continue_as";

/// Room for the answer as a whole; the event keeps as much again for its parts.
const MAX_OUTPUT_BYTES: usize = 24 * 1024;
/// Members of the answer that become fields of their own.
const MAX_MEMBERS: usize = 32;
const MAX_MEMBER_BYTES: usize = 4 * 1024;

/// What was asked, and what came.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    pub skill: &'a str,
    pub continue_as: &'a str,
    pub status: &'a str,
    /// JSON.
    pub output: &'a str,
}

/// The event that continues `asked`. It has the sender and the session of the
/// event whose run asked, so that a reply goes where the question came from;
/// its tier is unknown, because what a skill says is nobody's word.
pub fn event(
    asked: &Envelope,
    asked_seq: EnvelopeSeq,
    recipe: &str,
    id: &str,
    answered: &Answered<'_>,
    now: TimestampMs,
) -> Envelope {
    let own = [
        Field::new("skill", answered.skill),
        Field::new("status", answered.status),
        Field::new(CONTINUE_AS, answered.continue_as),
        Field::new("origin", &asked.id),
        Field::new("output_json", cut(answered.output, MAX_OUTPUT_BYTES)),
    ];
    let own = own.into_iter().chain(members(answered.output));
    descent::descend(asked, asked_seq, recipe, id.to_owned(), TRIGGER, own, now)
}

/// The recipe that an answer is for, and the action with which it goes on;
/// `None` for every other event. Only the host sets either.
pub fn continues(envelope: &Envelope) -> Option<(&str, &str)> {
    if envelope.trigger != TRIGGER {
        return None;
    }
    Some((envelope.lineage.last()?.as_str(), envelope.field(CONTINUE_AS)?))
}

/// The members of an answer that is an object, as `result.NAME`.
fn members(output: &str) -> Vec<Field> {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(output) else {
        return Vec::new();
    };
    let is_name = |name: &str| {
        super::json::is_plain_name(name)
            && name.len() + "result.".len() <= limits::MAX_NAME_BYTES
            && !is_host_set(name)
    };
    let mut left = MAX_OUTPUT_BYTES;
    let mut fields = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| is_name(name)).take(MAX_MEMBERS) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => continue,
            other => other.to_string(),
        };
        let text = cut(&text, MAX_MEMBER_BYTES);
        let Some(rest) = left.checked_sub(name.len() + text.len()) else { break };
        left = rest;
        fields.push(Field::new(format!("result.{name}"), text));
    }
    fields
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Envelope {
        Envelope {
            id: "m1".to_owned(),
            trigger: "on_mail".to_owned(),
            source: "mailbox".to_owned(),
            fields: vec![
                Field::new("body_text", "hello"),
                Field::new("from_node", "ab".repeat(32)),
                Field::new("session_id", "s1"),
            ],
            ..Envelope::blank()
        }
    }

    fn answer(output: &str) -> Envelope {
        let answered = Answered { skill: "lookup", continue_as: "tell", status: "ok", output };
        event(&asked(), 7, "helper", "c1", &answered, TimestampMs(5))
    }

    #[test]
    fn the_answer_goes_on_where_the_question_came_from() {
        let event = answer(r#"{"city":"Oslo","n":3,"deep":{"a":1},"none":null}"#);
        assert_eq!(continues(&event), Some(("helper", "tell")));
        assert_eq!((event.text("session_id"), event.text("origin")), ("s1", "m1"));
        assert_eq!(event.text("from_node"), "ab".repeat(32));
        assert_eq!(event.field("body_text"), None);
        assert_eq!((event.text("result.city"), event.text("result.n")), ("Oslo", "3"));
        assert_eq!(event.text("result.deep"), r#"{"a":1}"#);
        assert_eq!(event.field("result.none"), None);
        assert_eq!((event.depth, event.lineage.as_slice()), (1, ["helper".to_owned()].as_slice()));
        assert_eq!(event.root.unwrap().seq, 7);
    }

    #[test]
    fn a_hostile_answer_forges_no_field_and_stays_within_the_bounds() {
        let big = "x".repeat(200_000);
        let many: serde_json::Map<String, Value> =
            (0..500).map(|n| (format!("k{n}"), Value::String(big.clone()))).collect();
        let event = answer(&Value::Object(many).to_string());
        let bytes: usize = event.fields.iter().map(|f| f.name.len() + f.value.len()).sum();
        assert!(bytes <= limits::MAX_ENVELOPE_BYTES && event.fields.len() <= limits::MAX_FIELDS);
        let forged = answer(r#"{"from_node":"x","host.tier":"team","a b":"c","result.x":"1"}"#);
        let results: Vec<&str> = forged
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .filter(|name| name.starts_with("result."))
            .collect();
        assert_eq!(results, Vec::<&str>::new());
        for no_object in ["", "[1]", "\"text\"", "{", "null"] {
            assert_eq!(answer(no_object).text("output_json"), no_object);
        }
    }

    #[test]
    fn only_what_the_host_made_continues_anything() {
        let mut other = answer("{}");
        other.trigger = "on_event".to_owned();
        assert_eq!(continues(&other), None);
        let fields = vec![Field::new(CONTINUE_AS, "tell")];
        assert_eq!(
            continues(&Envelope { trigger: TRIGGER.into(), fields, ..Envelope::blank() }),
            None
        );
    }
}
