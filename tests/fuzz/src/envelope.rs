//! Envelopes as sources send them. What is accepted is within its bounds, and
//! written out again it is accepted as the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thrall::envelope::json::{Draft, Refusal, parse};
use thrall::envelope::limits;

use crate::shape;

/// Pieces of envelopes.
pub const WORDS: &[&str] = &[
    "{\"id\": \"m-1\", ",
    "\"trigger\": \"on_mail\", ",
    "\"trigger\": \"on_event\", ",
    "\"fields\": {",
    "\"from_node\": \"aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899\", ",
    "\"body_text\": \"",
    "\"body\": {\"content\": ",
    "\"body_json\": ",
    "\"msg_type\": \"text\", ",
    "\"message_type\": ",
    "\"session_id\": null, ",
    "\"a\": {\"b\": [[[[[",
    "]]]]]}",
    "}}",
    "null",
    "true",
    "-0.0",
    "1e400",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\\\"{\\\\\\\"content\\\\\\\": \\\"x\\\"}\\\"",
    ", ",
    "\u{feff}",
    "\u{202e}",
];

/// The target.
#[must_use]
pub fn envelope(data: &[u8]) -> u64 {
    match parse(data) {
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            shape::of((refusal.code(), shape::words(&refusal.to_string())))
        }
        Ok(draft) => {
            check_bounds(&draft);
            check_again(&draft);
            let names: Vec<&String> = draft.fields.iter().map(|field| &field.name).collect();
            shape::of((draft.trigger == "on_mail", draft.id.is_some(), names))
        }
    }
}

fn check_bounds(draft: &Draft) {
    let bytes: usize = draft.fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    assert!(bytes <= limits::MAX_ENVELOPE_BYTES, "{bytes} bytes");
    assert!(draft.fields.len() <= limits::MAX_FIELDS, "{} fields", draft.fields.len());
    assert!(draft.id.as_ref().is_none_or(|id| !id.is_empty() && id.len() <= limits::MAX_ID_BYTES));
    let names = draft.fields.iter().map(|field| &field.name);
    assert!(names.clone().is_sorted_by(|one, next| one < next), "unique and in order");
    for name in names.chain([&draft.trigger]) {
        assert!((1..=limits::MAX_NAME_BYTES).contains(&name.len()), "{name:?}");
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}

fn check_again(draft: &Draft) {
    let fields: BTreeMap<&str, &str> =
        draft.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    let mut written = json!({"trigger": draft.trigger, "fields": fields});
    if let Some(id) = &draft.id {
        written["id"] = Value::from(id.as_str());
    }
    match parse(written.to_string().as_bytes()) {
        Ok(again) if draft.trigger == "on_mail" => {
            // A body that is JSON is read once more, so its text may change.
            assert_eq!(again.id, draft.id);
            for (one, other) in draft.fields.iter().zip(&again.fields) {
                assert_eq!(one.name, other.name);
                assert!(one.value == other.value || one.name == "body_text", "{one:?} {other:?}");
            }
            assert_eq!(again.fields.len(), draft.fields.len());
        }
        Ok(again) => assert_eq!(again, *draft),
        Err(Refusal::TooLarge { .. }) if draft.trigger == "on_mail" => {}
        Err(refusal) => panic!("was accepted, and now: {refusal} {written}"),
    }
}
