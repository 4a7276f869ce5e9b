//! One step: its keys, and the operation that they ask for. Keys of other
//! kinds are passed over, as are the host's own (`task`, `error_buffer`,
//! `component`, `on_failure`); the host has checked the file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thrall_sdk::Field;
use thrall_sdk::operations::{
    AnswerOp, BreakerOp, CompileOp, ContextOp, FlagOp, MailOp, Operation, ReplyOp, SkillOp,
    TriggerOp, WakeMode, WakeOp,
};

use crate::kind::Kind;
use crate::render::Render;

/// In the middle, so that both more and less urgent can be said.
const USUAL_PRIORITY: u8 = 5;

/// The `[actions.NAME]` table, or one entry of its `steps`.
#[derive(Deserialize)]
pub(crate) struct Step<'a> {
    #[serde(borrow)]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) steps: Option<Vec<Step<'a>>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    buffer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    note: Option<Cow<'a, str>>,
    #[serde(default)]
    summon_threshold: u32,
    #[serde(default)]
    summon_keywords: Vec<String>,
    mode: Option<Mode>,
    #[serde(default)]
    capability: String,
    priority: Option<u8>,
    #[serde(borrow)]
    template: Option<Cow<'a, str>>,
    body: Option<Value>,
    #[serde(borrow)]
    to_node: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session: Option<Cow<'a, str>>,
    #[serde(borrow)]
    skill: Option<Cow<'a, str>>,
    input: Option<Value>,
    continue_as: Option<String>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    expires_in_s: Option<u64>,
    #[serde(borrow)]
    target: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    trigger: Option<Cow<'a, str>>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Respond,
    Process,
}

impl Step<'_> {
    /// By `type`, else by the action's name, else because there is a skill.
    pub(crate) fn kind(&self, action: Option<&str>) -> Result<Kind, String> {
        if action.is_none() && self.steps.is_some() {
            return Err("steps hold no steps of their own".into());
        }
        if let Some(word) = &self.kind {
            return Kind::from_word(word).ok_or_else(|| {
                ["`", word, "` is no type of step; ", &Kind::suggestion(word)].concat()
            });
        }
        if let Some(kind) = action.and_then(Kind::from_word) {
            return Ok(kind);
        }
        if self.skill.is_some() {
            return Ok(Kind::Skill);
        }
        Err(match action {
            Some(name) => {
                ["it has no `type`, and its name is none; ", &Kind::suggestion(name)].concat()
            }
            None => ["it has no `type`; ", &Kind::suggestion("")].concat(),
        })
    }

    pub(crate) fn operation(&self, kind: Kind, render: &Render) -> Result<Operation, String> {
        Ok(match kind {
            Kind::Log => Operation::Log(render.text_or_reason("message", self.message.as_deref())?),
            Kind::Drop => Operation::Drop(render.text_or_reason("reason", self.reason.as_deref())?),
            Kind::Compile => self.compile(render)?,
            Kind::Wake => self.wake(render),
            Kind::Reply => {
                let body = render.text_or_reason("template", self.template.as_deref())?;
                Operation::Reply(ReplyOp { body })
            }
            Kind::Mail => self.mail(render)?,
            Kind::Skill => self.skill(render)?,
            Kind::SetContext => self.set_context(render)?,
            Kind::SetFlag => Operation::SetFlag(FlagOp {
                key: render.needed("key", self.key.as_deref())?,
                value: render.optional("value", self.value.as_deref())?,
                expires_in_s: self.expires_in_s,
            }),
            Kind::TripBreaker => Operation::TripBreaker(BreakerOp {
                target: render.needed("target", self.target.as_deref())?,
                reason: render.text_or_reason("reason", self.reason.as_deref())?,
                expires_in_s: self.expires_in_s,
            }),
            Kind::Trigger => self.trigger(render)?,
            Kind::Answer => Operation::Answer(AnswerOp {
                code: plain("code", self.code.as_deref())?,
                body: render.optional("template", self.template.as_deref())?,
                reason: render.text_or_reason("reason", self.reason.as_deref())?,
            }),
        })
    }

    fn compile(&self, render: &Render) -> Result<Operation, String> {
        Ok(Operation::Compile(CompileOp {
            buffer: self.buffer.as_deref().unwrap_or("default").into(),
            note: render.text_or_reason("note", self.note.as_deref())?,
            summon_threshold: self.summon_threshold,
            summon_keywords: self.summon_keywords.clone(),
        }))
    }

    /// The task's words are the host's: it takes them from the granted file,
    /// by the action's name. The event travels beside them as data.
    fn wake(&self, render: &Render) -> Operation {
        let mode = match self.mode {
            Some(Mode::Process) => WakeMode::Process,
            Some(Mode::Respond) | None => WakeMode::Respond,
        };
        Operation::Wake(WakeOp {
            mode,
            template: render.action.into(),
            data: render.wake_data(),
            capability: self.capability.clone(),
            priority: self.priority.unwrap_or(USUAL_PRIORITY),
        })
    }

    fn mail(&self, render: &Render) -> Result<Operation, String> {
        let body = match (&self.body, &self.template) {
            (Some(Value::String(text)), _) => render.text_message(&render.text("body", text)?),
            (None, Some(text)) => render.text_message(&render.text("template", text)?),
            (Some(value), _) => render.json("body", value)?,
            (None, None) => render.text_message(&render.verdict.reason),
        };
        Ok(Operation::Mail(MailOp {
            to_node: render.recipient(self.to_node.as_deref())?,
            body_json: body.to_string(),
            session: render.optional("session", self.session.as_deref())?.unwrap_or_default(),
        }))
    }

    fn skill(&self, render: &Render) -> Result<Operation, String> {
        let input = match &self.input {
            Some(input) => render.json("input", input)?,
            None => Value::Object(serde_json::Map::new()),
        };
        Ok(Operation::Skill(SkillOp {
            skill: plain("skill", self.skill.as_deref())?,
            input_json: input.to_string(),
            continue_as: self.continue_as.clone(),
        }))
    }

    fn set_context(&self, render: &Render) -> Result<Operation, String> {
        let session = match &self.session {
            Some(session) => render.text("session", session)?,
            None => render.envelope.field("session_id").unwrap_or_default().into(),
        };
        if session.is_empty() {
            return Err("the event has no session_id; give `session`".into());
        }
        Ok(Operation::SetContext(ContextOp {
            session,
            key: render.needed("key", self.key.as_deref())?,
            value: render.optional("value", self.value.as_deref())?,
            expires_in_s: self.expires_in_s,
        }))
    }

    fn trigger(&self, render: &Render) -> Result<Operation, String> {
        let fields = self
            .fields
            .iter()
            .map(|(name, template)| Ok(Field::new(name.as_str(), render.text(name, template)?)))
            .collect::<Result<_, String>>()?;
        let trigger = plain("trigger", self.trigger.as_deref())?;
        Ok(Operation::Trigger(TriggerOp { trigger, fields }))
    }
}

/// A key that names a thing: taken as written, so that no text of a message
/// can get into it.
fn plain(key: &str, value: Option<&str>) -> Result<String, String> {
    match value {
        Some(value) if !value.is_empty() => Ok(value.into()),
        _ => Err(["`", key, "` is missing"].concat()),
    }
}
