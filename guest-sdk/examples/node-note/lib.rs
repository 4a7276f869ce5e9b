//! An action that reads the node's own state and puts it beside the message.

use serde_json::Value;
use thrall_sdk::operations::CompileOp;
use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict, cockpit};

pub struct NodeNote;

impl Action for NodeNote {
    fn plan(
        envelope: &Envelope,
        _: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        let peers = match cockpit::get("status", "{}") {
            // The answer is another program's: read it as carefully as a message.
            Ok(json) => serde_json::from_str::<Value>(&json)
                .ok()
                .and_then(|status| status.get("peer_count")?.as_u64())
                .map_or_else(|| "unknown".to_owned(), |count| count.to_string()),
            Err(refusal) => refusal.message(),
        };
        let body = envelope.field("body_text").unwrap_or_default();
        Ok(vec![Operation::Compile(CompileOp {
            buffer: "mail-digest".into(),
            note: format!("{} [peers: {peers}] {body}", verdict.reason),
            summon_threshold: 0,
            summon_keywords: Vec::new(),
        })])
    }
}

thrall_sdk::export_action!(NodeNote);

#[cfg(test)]
mod tests {
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    fn note(host: FakeHost) -> String {
        let _host = host.install();
        let verdict = Verdict::new("collect", "news");
        let plan = NodeNote::plan(&Envelope::default(), &Situation::default(), &verdict).unwrap();
        match plan.as_slice() {
            [Operation::Compile(compile)] => compile.note.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_nodes_peers_stand_beside_the_message() {
        let host = FakeHost::new().cockpit("status", r#"{"peer_count": 7}"#);
        assert!(note(host).contains("[peers: 7]"));
        assert!(note(FakeHost::new().cockpit("status", "nonsense")).contains("[peers: unknown]"));
    }

    #[test]
    fn without_an_answer_the_note_says_why() {
        assert!(note(FakeHost::new()).contains("not a valid question"));
    }
}
