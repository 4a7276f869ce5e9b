//! What a plan may ask of the host, and what the host made of each request.
//! The twins of `wit/worlds.wit`, interface `operations`. Nothing here acts:
//! checking is in `grants.rs`, performing in `outbox.rs`; what no trigger may
//! bring is in `operation/host_fields.rs`.

mod host_fields;

use serde::{Deserialize, Serialize};

use crate::envelope::Field;
pub use host_fields::{host_set_field, is_host_set, trigger_flaw};

/// The largest plan that is looked at; a longer one is a bad answer.
pub const MAX_OPERATIONS: usize = 32;
/// The largest operation, in bytes of its JSON form.
pub const MAX_OPERATION_BYTES: usize = 64 * 1024;

/// The words that answer a question, the mildest first.
pub const ANSWER_CODES: [&str; 3] = ["pass", "redact", "block"];

/// How the agent is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WakeMode {
    /// The briefing holds all that is needed to answer.
    Respond,
    /// The briefing orients; the agent reads the artifact.
    Process,
}

/// One thing a plan asks the host to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Operation {
    Log { message: String },
    Drop { reason: String },
    Compile { buffer: String, note: String, summon_threshold: u32, summon_keywords: Vec<String> },
    Wake { mode: WakeMode, template: String, data: Vec<Field>, capability: String, priority: u8 },
    Reply { body: String },
    Mail { to_node: String, body_json: String, session: String },
    Skill { skill: String, input_json: String, continue_as: Option<String> },
    SetContext { session: String, key: String, value: Option<String>, expires_in_s: Option<u64> },
    SetFlag { key: String, value: Option<String>, expires_in_s: Option<u64> },
    TripBreaker { target: String, reason: String, expires_in_s: Option<u64> },
    Trigger { trigger: String, fields: Vec<Field> },
    Answer { code: String, body: Option<String>, reason: String },
    Extension { code: String, input_json: String },
}

/// What happens to an operation after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationClass {
    /// Done in the commit's own transaction, exactly once.
    Local,
    /// Done at least once, deduplicated by a key.
    Keyed,
    /// The peer has no idempotency key: attempted at most once, else uncertain.
    Unkeyed,
}

impl Operation {
    /// Every kind, as grants and plans name it.
    pub const KINDS: [&'static str; 13] = [
        "log",
        "drop",
        "compile",
        "wake",
        "reply",
        "mail",
        "skill",
        "set-context",
        "set-flag",
        "trip-breaker",
        "trigger",
        "answer",
        "extension",
    ];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Log { .. } => "log",
            Self::Drop { .. } => "drop",
            Self::Compile { .. } => "compile",
            Self::Wake { .. } => "wake",
            Self::Reply { .. } => "reply",
            Self::Mail { .. } => "mail",
            Self::Skill { .. } => "skill",
            Self::SetContext { .. } => "set-context",
            Self::SetFlag { .. } => "set-flag",
            Self::TripBreaker { .. } => "trip-breaker",
            Self::Trigger { .. } => "trigger",
            Self::Answer { .. } => "answer",
            Self::Extension { .. } => "extension",
        }
    }

    pub fn class(&self) -> OperationClass {
        match self {
            Self::Log { .. }
            | Self::Drop { .. }
            | Self::Compile { .. }
            | Self::SetContext { .. }
            | Self::SetFlag { .. }
            | Self::Trigger { .. }
            | Self::Answer { .. } => OperationClass::Local,
            Self::TripBreaker { .. } => OperationClass::Keyed,
            Self::Wake { .. }
            | Self::Reply { .. }
            | Self::Mail { .. }
            | Self::Skill { .. }
            | Self::Extension { .. } => OperationClass::Unkeyed,
        }
    }
}

/// An operation with the host's ruling on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedOperation {
    #[serde(flatten)]
    pub operation: Operation,
    /// The grant line that is missing; absent means allowed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub denied_by: Option<String>,
    /// The operator's switch that holds it back although it is allowed: it
    /// would be executed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub would_execute: Option<String>,
}

impl PlannedOperation {
    /// Allowed, and no switch holds it back.
    pub fn is_carried_out(&self) -> bool {
        self.denied_by.is_none() && self.would_execute.is_none()
    }
}
