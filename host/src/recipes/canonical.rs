//! The canonical form of a file: JSON with sorted keys and nothing between
//! them. What reads the same has the same digest, however it is written.

use serde_json::{Map, Value};

use crate::ids::Digest;

/// JSON text with the keys of every object in order.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            // Not left to the map: whether it sorts is a feature that another
            // dependency may change.
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The canonical text of a recipe file. The mode is left out: raising and
/// lowering it is no change of what the recipe does.
pub fn recipe_text(document: &Value) -> String {
    let body = match document {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, _)| *key != "mode");
            Value::Object(
                kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>(),
            )
        }
        other => other.clone(),
    };
    text(&body)
}

/// Digest of the sections that decide which events a recipe takes.
pub fn reach(document: &Value) -> Digest {
    let part = |key: &str| document.get(key).map(text).unwrap_or_default();
    Digest::of_parts(&[b"thrall reach 1", part("trigger").as_bytes(), part("filter").as_bytes()])
}

/// Digest of a recipe's canonical text.
pub fn recipe_digest(canonical_text: &str) -> Digest {
    Digest::of_parts(&[b"thrall recipe 1", canonical_text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": 1.0}], "a": "\"\u{7}"});
        assert_eq!(text(&value), r#"{"a":"\"\u0007","b":[{"a":1.0,"z":1}]}"#);
    }

    #[test]
    fn only_the_mode_is_left_out() {
        let digest = |document: &Value| recipe_digest(&recipe_text(document));
        let with =
            |mode: &str, ttl: u32| json!({"mode": mode, "filter": {"cache_ttl": ttl, "mode": "x"}});
        assert_eq!(digest(&with("manual", 1)), digest(&with("automated", 1)));
        assert_ne!(digest(&with("manual", 1)), digest(&with("manual", 2)));
        assert_ne!(digest(&json!({"a": 1})), digest(&json!({"a": 1.0})));
    }
}
