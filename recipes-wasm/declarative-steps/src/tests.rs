use thrall_sdk::operations::{
    BreakerOp, CompileOp, ContextOp, FlagOp, MailOp, ReplyOp, SkillOp, TriggerOp, WakeMode, WakeOp,
};
use thrall_sdk::{Field, Tier};

use super::*;

fn mail() -> Envelope {
    Envelope {
        id: "m-1".into(),
        fields: [
            ("from_node", "aa11"),
            ("to_node", "bb22"),
            ("msg_type", "text"),
            ("body_text", "say {{filter.tier}} \"now\""),
            ("body_json", "{}"),
            ("session_id", "s-7"),
        ]
        .map(|(name, value)| Field::new(name, value))
        .to_vec(),
        ..Envelope::default()
    }
}

fn plan_for(envelope: &Envelope, stage: &str) -> Result<Vec<Operation>, String> {
    let situation = Situation {
        tier: Tier::Known,
        gathered: vec![Field::new("status", "up")],
        config: format!("{{\"config\": {{}}, \"stage\": {stage}}}"),
        ..Situation::default()
    };
    let mut verdict = Verdict::new("chosen", "question: asks for help");
    verdict.fields.push(Field::new("kind", "question"));
    DeclarativeSteps::plan(envelope, &situation, &verdict)
}

fn one(stage: &str) -> Operation {
    plan_for(&mail(), stage).unwrap().pop().unwrap()
}

fn error(stage: &str) -> String {
    plan_for(&mail(), stage).unwrap_err()
}

#[test]
fn log_and_drop_carry_the_reason() {
    let reason = "question: asks for help".to_string();
    assert_eq!(one(r#"{"name": "log"}"#), Operation::Log(reason.clone()));
    assert_eq!(one(r#"{"name": "drop"}"#), Operation::Drop(reason));
    assert_eq!(
        one(r#"{"name": "note", "type": "log", "message": "{{gather.status}}/{{eval.kind}}"}"#),
        Operation::Log("up/question".into())
    );
}

#[test]
fn compile_reads_the_keys_of_the_operator_guide() {
    let stage = r#"{"name": "compile", "buffer": "mail-digest", "summon_threshold": 10,
                    "summon_keywords": ["BUG", "DOWN"]}"#;
    assert_eq!(
        one(stage),
        Operation::Compile(CompileOp {
            buffer: "mail-digest".into(),
            note: "question: asks for help".into(),
            summon_threshold: 10,
            summon_keywords: vec!["BUG".into(), "DOWN".into()],
        })
    );
    let Operation::Compile(op) = one(r#"{"name": "compile"}"#) else { panic!() };
    assert_eq!((op.buffer.as_str(), op.summon_threshold), ("default", 0));
}

#[test]
fn wake_and_summon_are_one_and_name_their_template() {
    let expected = |name: &str, mode, capability: &str, priority| {
        Operation::Wake(WakeOp {
            mode,
            template: name.into(),
            data: [
                ("from_node", "aa11"),
                ("msg_type", "text"),
                ("body_text", "say {{filter.tier}} \"now\""),
                ("session_id", "s-7"),
                ("verdict.action", "chosen"),
                ("verdict.reason", "question: asks for help"),
                ("verdict.kind", "question"),
            ]
            .map(|(name, value)| Field::new(name, value))
            .to_vec(),
            capability: capability.into(),
            priority,
        })
    };
    assert_eq!(one(r#"{"name": "wake"}"#), expected("wake", WakeMode::Respond, "", 5));
    let stage = r#"{"name": "summon", "mode": "process", "capability": "rust", "priority": 9,
                    "task": "the host's own key"}"#;
    assert_eq!(one(stage), expected("summon", WakeMode::Process, "rust", 9));
}

#[test]
fn a_huge_mail_still_wakes() {
    let mut envelope = mail();
    envelope.fields.push(Field::new("x", "y"));
    if let Some(body) = envelope.fields.iter_mut().find(|field| field.name == "body_text") {
        body.value = "ж".repeat(32_000);
    }
    let Operation::Wake(op) = plan_for(&envelope, r#"{"name": "wake"}"#).unwrap().remove(0) else {
        panic!()
    };
    let bytes: usize = op.data.iter().map(|field| field.name.len() + field.value.len()).sum();
    assert!(bytes < 33 * 1024, "{bytes}");
    let body = op.data.iter().find(|field| field.name == "body_text").unwrap();
    assert!(body.value.ends_with("[cut, 64000 bytes in all]"));
}

#[test]
fn other_events_wake_with_all_their_fields() {
    let envelope = Envelope {
        trigger: "on_log".into(),
        fields: vec![Field::new("line", "oom"), Field::new("group_1", "x")],
        ..Envelope::default()
    };
    let Operation::Wake(op) = plan_for(&envelope, r#"{"name": "wake"}"#).unwrap().remove(0) else {
        panic!()
    };
    assert!(op.data.contains(&Field::new("line", "oom")));
    assert!(op.data.contains(&Field::new("group_1", "x")));
}

#[test]
fn reply_uses_the_template_or_the_reason() {
    assert_eq!(
        one(r#"{"name": "reply", "template": "Hello {{filter.tier}}. {{verdict.reason}}"}"#),
        Operation::Reply(ReplyOp { body: "Hello known. question: asks for help".into() })
    );
    assert_eq!(
        one(r#"{"name": "reply"}"#),
        Operation::Reply(ReplyOp { body: "question: asks for help".into() })
    );
}

#[test]
fn a_skill_gets_its_input_with_text_kept_inside_its_string() {
    let stage = r#"{"name": "act", "skill": "knarr-mail", "error_buffer": "probe-errors",
        "input": {"action": "poll", "n": 1, "deep": ["{{envelope.body_text}}"]},
        "continue_as": "after"}"#;
    assert_eq!(
        one(stage),
        Operation::Skill(SkillOp {
            skill: "knarr-mail".into(),
            input_json: r#"{"action":"poll","deep":["say {{filter.tier}} \"now\""],"n":1}"#.into(),
            continue_as: Some("after".into()),
        })
    );
    let Operation::Skill(op) = one(r#"{"name": "my-probe", "skill": "probe"}"#) else { panic!() };
    assert_eq!(op.input_json, "{}");
    assert!(error(r#"{"name": "act"}"#).contains("`skill` is missing"));
}

#[test]
fn mail_goes_to_the_sender_or_a_fixed_node_only() {
    assert_eq!(
        one(r#"{"name": "mail", "template": "hi", "to_node": "{{from_node}}"}"#),
        Operation::Mail(MailOp {
            to_node: "aa11".into(),
            body_json: r#"{"content":"hi","type":"text"}"#.into(),
            session: String::new(),
        })
    );
    let stage = r#"{"name": "tell", "type": "mail", "to_node": "cc33",
                    "body": {"type": "alert", "text": "{{verdict.kind}}"}}"#;
    let Operation::Mail(op) = one(stage) else { panic!() };
    assert_eq!(
        (op.to_node.as_str(), op.body_json.as_str()),
        ("cc33", r#"{"text":"question","type":"alert"}"#)
    );
    let stage = r#"{"name": "mail", "to_node": "{{envelope.body_text}}"}"#;
    assert!(error(stage).contains("must not choose who gets mail"));
    assert!(
        error(r#"{"name": "mail", "to_node": "{{verdict.kind}}"}"#).contains("must not choose")
    );
}

#[test]
fn state_breakers_and_triggers_can_be_set() {
    let stage = r#"{"name": "several", "steps": [
        {"type": "set_context", "key": "seen", "value": "{{verdict.kind}}", "expires_in_s": 60},
        {"type": "set-flag", "key": "oom:{{envelope.from_node}}"},
        {"type": "trip_breaker", "target": "node:{{envelope.from_node}}", "expires_in_s": 3600},
        {"type": "trigger", "trigger": "follow-up", "fields": {"kind": "{{verdict.kind}}"}}]}"#;
    let reason = "question: asks for help".to_string();
    assert_eq!(
        plan_for(&mail(), stage).unwrap(),
        [
            Operation::SetContext(ContextOp {
                session: "s-7".into(),
                key: "seen".into(),
                value: Some("question".into()),
                expires_in_s: Some(60),
            }),
            Operation::SetFlag(FlagOp { key: "oom:aa11".into(), value: None, expires_in_s: None }),
            Operation::TripBreaker(BreakerOp {
                target: "node:aa11".into(),
                reason,
                expires_in_s: Some(3600),
            }),
            Operation::Trigger(TriggerOp {
                trigger: "follow-up".into(),
                fields: vec![Field::new("kind", "question")],
            }),
        ]
    );
}

#[test]
fn a_context_row_needs_a_session() {
    let tick = Envelope { trigger: "on_tick".into(), ..Envelope::default() };
    let stage = r#"{"name": "x", "type": "set_context", "key": "k", "value": "v"}"#;
    assert!(plan_for(&tick, stage).unwrap_err().contains("give `session`"));
}

#[test]
fn an_unknown_kind_names_the_action_and_the_nearest_kind() {
    assert_eq!(
        error(r#"{"name": "archive", "type": "compil"}"#),
        "action `archive`: `compil` is no type of step; did you mean `compile`?"
    );
    assert_eq!(
        error(r#"{"name": "wkae"}"#),
        "action `wkae`: it has no `type`, and its name is none; did you mean `wake`?"
    );
    assert!(
        error(r#"{"name": "x", "steps": [{"type": "log"}, {"type": "rply"}]}"#)
            .starts_with("action `x`: step 2: `rply` is no type of step; did you mean `reply`?")
    );
    assert!(error(r#"{"name": "banana"}"#).contains("the kinds are log, drop, compile"));
}

#[test]
fn a_bad_template_names_its_key_and_place() {
    assert_eq!(
        error(r#"{"name": "reply", "template": "{{envelop.x}}"}"#),
        "action `reply`: `template`: line 1, column 1: nothing is called `envelop`; did you mean `envelope`?"
    );
}

#[test]
fn an_empty_list_of_steps_is_a_plan_that_does_nothing() {
    assert_eq!(plan_for(&mail(), r#"{"name": "nothing", "steps": []}"#), Ok(vec![]));
}
