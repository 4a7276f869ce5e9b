//! Events in the JSON Lines form, built by hand for tests.

use serde_json::{Value, json};

/// A full node id made of one repeated byte.
pub fn node(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

/// A full node id, another one for each number.
pub fn many(number: usize) -> String {
    format!("{:016x}{}", number + 1, "0".repeat(48))
}

/// A mail with an id.
pub fn mail(id: &str, from_node: &str, body: &str) -> Value {
    json!({"id": id, "trigger": "on_mail", "fields": {
        "from_node": from_node, "msg_type": "text", "body_text": body, "session_id": format!("s-{from_node}")
    }})
}

/// JSON Lines.
pub fn lines(events: impl IntoIterator<Item = Value>) -> String {
    events.into_iter().map(|event| format!("{event}\n")).collect()
}
