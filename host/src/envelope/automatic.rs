//! The mark of mail that no person and no agent wrote: replies that a recipe
//! gives by itself carry it, and mail that carries it is not answered by itself.
//! So two doorkeepers that face each other fall silent after one reply.

use serde_json::{Value, json};

use super::Envelope;

const KEY: &str = "automatic";
const BY: &str = "thrall";

/// The body of a mail that is sent by itself.
pub fn mark(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.insert(KEY.to_owned(), json!(BY));
    }
    body
}

/// Whether a mail says that nobody wrote it.
pub fn is_marked(envelope: &Envelope) -> bool {
    let Some(body) = envelope.field("body_json").filter(|body| body.contains(KEY)) else {
        return false;
    };
    serde_json::from_str::<Value>(body)
        .is_ok_and(|body| body.get(KEY).is_some_and(|by| by.as_str() == Some(BY)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Field;

    #[test]
    fn what_is_marked_is_known_again_and_nothing_else_is() {
        let mail = |body: &str| Envelope {
            fields: vec![Field::new("body_json", body)],
            ..Envelope::blank()
        };
        let marked = mark(json!({"type": "text", "content": "hello"})).to_string();
        assert!(is_marked(&mail(&marked)));
        for other in [
            "",
            "{}",
            "[\"automatic\"]",
            "{\"automatic\": true}",
            "{\"x\": {\"automatic\": \"thrall\"}}",
        ] {
            assert!(!is_marked(&mail(other)), "{other}");
        }
        assert!(!is_marked(&Envelope::blank()));
    }
}
