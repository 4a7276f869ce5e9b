//! Another node at a known address: somebody moved, was set up anew, or poses as
//! the one that was there. What is known of an address is a flag of its own.

use thrall_sdk::{Envelope, Field, Verdict};

const FULL_ID_LEN: usize = 64;
const MOST_HOST_BYTES: usize = 64;

pub(crate) fn judge(envelope: &Envelope, remembered: &dyn Fn(&str) -> Option<String>) -> Verdict {
    let Some((address, id)) = parts(envelope) else {
        return Verdict::new("log", "the event names no peer and no address");
    };
    let mut verdict = match remembered(&["at:", &address].concat()) {
        Some(known) if known != id => {
            let mut verdict = Verdict::new("changed", "another node at a known address");
            verdict.fields.push(Field::new("known", known));
            verdict
        }
        Some(_) => Verdict::new("remember", "the same node as before"),
        None => Verdict::new("remember", "a new address"),
    };
    verdict.fields.push(Field::new("address", address));
    verdict.fields.push(Field::new("id", id));
    verdict
}

/// Host and port, and the node's id; all of a form that cannot be mistaken for
/// anything else, since a peer says them itself.
fn parts(envelope: &Envelope) -> Option<(String, String)> {
    let id = envelope.field("node_id")?.to_ascii_lowercase();
    let host = envelope.field("host")?.to_ascii_lowercase();
    let port: u16 = envelope.field("port")?.parse().ok()?;
    let is_id = id.len() == FULL_ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_host = (1..=MOST_HOST_BYTES).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_'));
    (is_id && is_host).then(|| ([&host, ":", &port.to_string()].concat(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(fields: [(&str, &str); 3], known: Option<&str>) -> Verdict {
        let fields = fields.iter().map(|(name, value)| Field::new(*name, *value)).collect();
        let envelope = Envelope { trigger: "on_event".into(), fields, ..Envelope::default() };
        judge(&envelope, &|key| {
            assert_eq!(key, "at:relay.example.org:9000");
            known.map(str::to_owned)
        })
    }

    #[test]
    fn another_id_at_the_same_address_is_a_change() {
        let (old, new) = ("ab".repeat(32), "CD".repeat(32));
        let added = |id| [("node_id", id), ("host", "Relay.example.org"), ("port", "9000")];
        let first = judged(added(old.as_str()), None);
        assert_eq!((first.action.as_str(), first.field("id")), ("remember", Some(old.as_str())));
        assert_eq!(judged(added(&old), Some(&old)).action, "remember");
        let changed = judged(added(&new), Some(&old));
        assert_eq!(
            (changed.action.as_str(), changed.field("known")),
            ("changed", Some(old.as_str()))
        );
        assert_eq!(changed.field("id"), Some(new.to_lowercase().as_str()));
    }

    #[test]
    fn an_event_that_names_no_address_is_only_noted() {
        let id = "ab".repeat(32);
        let long = "h".repeat(65);
        for fields in [
            [("node_id", "batch"), ("host", "h"), ("port", "9000")],
            [("node_id", id.as_str()), ("host", ""), ("port", "9000")],
            [("node_id", id.as_str()), ("host", "a b"), ("port", "9000")],
            [("node_id", id.as_str()), ("host", long.as_str()), ("port", "9000")],
            [("node_id", id.as_str()), ("host", "h"), ("port", "90000")],
            [("node_id", id.as_str()), ("host", "h"), ("reason", "x")],
        ] {
            assert_eq!(judged(fields, None).action, "log", "{fields:?}");
        }
    }
}
