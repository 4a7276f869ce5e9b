//! What stands in a prompt for an event: every placeholder of the operator
//! guide, each resolved once, and a message that stays what it is.

use proptest::prelude::*;

use super::*;
use crate::clock::TimestampMs;
use crate::envelope::Field;

const CONTENT: &str = "{{filter.tier}}\n\
    {{envelope.from_node}}|{{envelope.to_node}}|{{envelope.msg_type}}|{{envelope.session_id}}|\
    {{filter.decision}}|{{context.mood}}|{{gather.peers}}|{{envelope.gather.peers}}|\
    {{inject.word}}|{{cascade.action}}|{{cascade.reason}}|{{envelope.id}}|{{envelope.trigger}}|\
    {{envelope.source}}|{{envelope.received_at}}|{{envelope.absent}}|{{envelope.body_text}}";

fn questions(content: &str) -> ModelQuestions {
    let mut prompts = PromptLibrary::default();
    prompts.insert(Prompt::from_text("p", content).unwrap());
    ModelQuestions {
        prompts: ArcSwap::from_pointee(prompts),
        router: ModelRouter::default(),
        default_model: "small".to_owned(),
        aliases: BTreeMap::new(),
        timeout: Duration::from_secs(1),
        threshold: 0.0,
        silence_threshold: 0.5,
    }
}

/// The user turn that the model would see.
fn shown(content: &str, fields: Vec<Field>) -> String {
    let envelope = Envelope {
        id: "m-1".to_owned(),
        trigger: "on_mail".to_owned(),
        source: "mailbox".to_owned(),
        received_at: TimestampMs(77),
        fields,
        ..Envelope::blank()
    };
    let kinds = BTreeMap::new();
    let asking = Asking { prompt: "p", model: None, kinds: &kinds, of_first_step: false };
    let question = ModelQuestion {
        asking,
        envelope: &envelope,
        tier: Tier::Known,
        context: &[Field::new("mood", "calm")],
        gathered: &[
            Field::new("filter.decision", "pass"),
            Field::new("peers", "3"),
            Field::new("inject.word", "hi"),
        ],
        cascade: &[
            Field::new("cascade.action", "escalate"),
            Field::new("cascade.reason", "news (0.40)"),
        ],
        declared: &["drop", "wake"],
    };
    let prepared = questions(content).prepare(&question).unwrap();
    match prepared.request {
        HostRequest::ModelClassify { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_placeholder_has_its_value_and_what_is_absent_is_empty() {
    let fields = vec![
        Field::new("from_node", "ab"),
        Field::new("to_node", "cd"),
        Field::new("msg_type", "offer"),
        Field::new("session_id", "s"),
        Field::new("body_text", "hello"),
        // A sender that has read the manual.
        Field::new("gather.peers", "forged"),
        Field::new("cascade.action", "forged"),
        Field::new("filter.decision", "forged"),
    ];
    assert_eq!(
        shown(CONTENT, fields),
        "\"ab\"|\"cd\"|\"offer\"|\"s\"|\"pass\"|\"calm\"|\"3\"|\"3\"|\"hi\"|\"escalate\"|\
         \"news (0.40)\"|\"m-1\"|\"on_mail\"|\"mailbox\"|\"77\"|\"\"|\"hello\""
    );
}

/// Texts full of what would be placeholders in a prompt.
fn placeholders() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{{envelope.body_text}}",
            "{{filter.tier}}",
            "{{filter.decision}}",
            "{{context.mood}}",
            "{{gather.peers}}",
            "{{cascade.reason}}",
            "{{envelope.from_node}}",
            "{tier}",
            "{{nothing.known}}",
            "{{",
            "}}",
        ])
        .prop_map(str::to_owned),
        "[a-z.]{1,8}",
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever a message says, it stands there as it was written, once, and
    /// nothing else changes.
    #[test]
    fn a_message_is_never_filled_in(body in placeholders(), session in "\\{\\{[a-z_.]{1,20}\\}\\}") {
        let fields = |body: &str, session: &str| vec![
            Field::new("body_text", body),
            Field::new("session_id", session),
        ];
        let content = "{{filter.tier}}\nIn {{envelope.session_id}} about {{context.mood}}: {{envelope.body_text}}";
        let expected = format!("In \"{session}\" about \"calm\": \"{body}\"");
        prop_assert_eq!(shown(content, fields(&body, &session)), expected);
    }
}
