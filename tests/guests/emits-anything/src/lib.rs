//! An action that asks for whatever operations its recipe lists, with whatever
//! arguments: what a grant or a limit forbids has to be stopped by the host.
//!
//! ```toml
//! [config]
//! operations = [
//!   { type = "mail", to_node = "...", body_json = "{}", session = "s" },
//!   { type = "log", message = { text = "x", times = 70000 } },   # a long text
//!   { type = "drop", reason = "r", times = 33 },                 # so often
//! ]
//! refuse = "answers with this error instead"
//! ```
//! Keys are those of `wit/worlds.wit` with underscores; one that is left out
//! is empty, zero or absent. A value that is itself from the event is written
//! `"$NAME"`, NAME being a field of the envelope.

mod named_text;
mod text;

use serde::Deserialize;
use thrall_sdk::operations::{
    AnswerOp, BreakerOp, CompileOp, ContextOp, ExtensionOp, FlagOp, MailOp, ReplyOp, SkillOp,
    TriggerOp, WakeMode, WakeOp,
};
use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict, config};

use named_text::{NamedText, fields};
use text::Text;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    operations: Vec<Asked>,
    refuse: Option<String>,
}

/// Every argument of every operation.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    r#type: String,
    times: Option<usize>,
    body: Option<Text>,
    body_json: Text,
    buffer: Text,
    capability: Text,
    code: Text,
    continue_as: Option<String>,
    data: Vec<NamedText>,
    expires_in_s: Option<u64>,
    fields: Vec<NamedText>,
    input_json: Text,
    key: Text,
    message: Text,
    mode: String,
    note: Text,
    priority: u8,
    reason: Text,
    session: Text,
    skill: Text,
    summon_keywords: Vec<Text>,
    summon_threshold: u32,
    target: Text,
    template: Text,
    to_node: Text,
    trigger: Text,
    value: Option<Text>,
}

struct Emits;

impl Action for Emits {
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        _: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        let config: Config = config::user(situation)?;
        if let Some(reason) = config.refuse {
            return Err(reason);
        }
        let mut plan = Vec::new();
        for asked in &config.operations {
            for _ in 0..asked.times.unwrap_or(1) {
                plan.push(operation(asked, envelope)?);
            }
        }
        Ok(plan)
    }
}

thrall_sdk::export_action!(Emits);

fn operation(asked: &Asked, envelope: &Envelope) -> Result<Operation, String> {
    let text = |given: &Text| {
        let plain = given.get();
        match plain.strip_prefix('$').and_then(|name| envelope.field(name)) {
            Some(value) => value.to_owned(),
            None => plain,
        }
    };
    let optional = |given: &Option<Text>| given.as_ref().map(&text);
    Ok(match asked.r#type.as_str() {
        "log" => Operation::Log(text(&asked.message)),
        "drop" => Operation::Drop(text(&asked.reason)),
        "compile" => Operation::Compile(CompileOp {
            buffer: text(&asked.buffer),
            note: text(&asked.note),
            summon_threshold: asked.summon_threshold,
            summon_keywords: asked.summon_keywords.iter().map(Text::get).collect(),
        }),
        "wake" => Operation::Wake(WakeOp {
            mode: if asked.mode == "process" { WakeMode::Process } else { WakeMode::Respond },
            template: text(&asked.template),
            data: fields(&asked.data),
            capability: text(&asked.capability),
            priority: asked.priority,
        }),
        "reply" => Operation::Reply(ReplyOp { body: optional(&asked.body).unwrap_or_default() }),
        "mail" => Operation::Mail(MailOp {
            to_node: text(&asked.to_node),
            body_json: text(&asked.body_json),
            session: text(&asked.session),
        }),
        "skill" => Operation::Skill(SkillOp {
            skill: text(&asked.skill),
            input_json: text(&asked.input_json),
            continue_as: asked.continue_as.clone(),
        }),
        "set-context" => Operation::SetContext(ContextOp {
            session: text(&asked.session),
            key: text(&asked.key),
            value: optional(&asked.value),
            expires_in_s: asked.expires_in_s,
        }),
        "set-flag" => Operation::SetFlag(FlagOp {
            key: text(&asked.key),
            value: optional(&asked.value),
            expires_in_s: asked.expires_in_s,
        }),
        "trip-breaker" => Operation::TripBreaker(BreakerOp {
            target: text(&asked.target),
            reason: text(&asked.reason),
            expires_in_s: asked.expires_in_s,
        }),
        "trigger" => Operation::Trigger(TriggerOp {
            trigger: text(&asked.trigger),
            fields: fields(&asked.fields),
        }),
        "answer" => Operation::Answer(AnswerOp {
            code: text(&asked.code),
            body: optional(&asked.body),
            reason: text(&asked.reason),
        }),
        "extension" => Operation::Extension(ExtensionOp {
            code: text(&asked.code),
            input_json: text(&asked.input_json),
        }),
        other => return Err(format!("no operation is of type {other:?}")),
    })
}
