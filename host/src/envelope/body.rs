//! How the body of a mail becomes the text that stages and models read
//! (as the earlier thrall read it). Never fails: a body that is no
//! text becomes bounded JSON, `null` becomes the empty string.

use serde_json::Value;

/// The longest JSON rendering of a body that has no text in it, in characters.
const MAX_JSON_CHARS: usize = 4000;

/// Members of an object that hold its text, in the order they are looked for.
const TEXT_MEMBERS: [&str; 4] = ["content", "text", "message", "summary"];

/// The text of a body: a string as it is (a string that holds a JSON object is
/// parsed first), an object's first text member, anything else as JSON.
pub fn body_text(body: &Value) -> String {
    match body {
        Value::Null => String::new(),
        Value::String(text) => match parse_object(text) {
            Some(object) => text_of_object(&object),
            None => text.clone(),
        },
        Value::Object(_) => text_of_object(body),
        other => bounded_json(other),
    }
}

fn parse_object(text: &str) -> Option<Value> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('{') {
        return None;
    }
    serde_json::from_str::<Value>(trimmed).ok().filter(Value::is_object)
}

fn text_of_object(object: &Value) -> String {
    let member =
        TEXT_MEMBERS.iter().find_map(|name| object.get(name).filter(|value| !value.is_null()));
    match member {
        Some(Value::String(text)) => text.clone(),
        Some(other) => bounded_json(other),
        None => bounded_json(object),
    }
}

fn bounded_json(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_JSON_CHARS) {
        Some((cut, _)) => text.get(..cut).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_body_becomes_text() {
        let cases = [
            (json!("plain"), "plain"),
            (json!({"content": "hello world"}), "hello world"),
            (json!({"text": "t", "summary": "s"}), "t"),
            (json!({"message": {"a": 1}}), r#"{"a":1}"#),
            (json!({"other": 1}), r#"{"other":1}"#),
            (json!(r#"{"content": "parsed body"}"#), "parsed body"),
            (json!("{not json"), "{not json"),
            (json!([1, 2]), "[1,2]"),
            (json!(7), "7"),
            (json!(null), ""),
            (json!({"content": null, "text": "x"}), "x"),
        ];
        for (body, text) in cases {
            assert_eq!(body_text(&body), text, "{body}");
        }
    }

    #[test]
    fn json_renderings_are_bounded() {
        let long = json!(vec!["é"; 5000]);
        assert_eq!(body_text(&long).chars().count(), MAX_JSON_CHARS);
    }
}
