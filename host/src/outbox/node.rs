//! What the performer asks of a node: mail, a skill, a wake. A node has no
//! idempotency key, so every answer says whether anything may have gone out.
//! Without a node the performer keeps wakes for the agent and holds the rest.

use crate::operation::WakeMode;
use crate::store::SkillAnswer;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The node took it.
    Done { detail: String, answer: Option<SkillAnswer> },
    /// Nothing was sent: it may be tried again.
    NotSent { why: String },
    /// The node, or the skill, says no.
    Refused { why: String, answer: Option<SkillAnswer> },
    /// Sent, and nobody knows whether it arrived.
    Uncertain { why: String },
}

/// A wake as it is delivered.
#[derive(Clone, Copy, Debug)]
pub struct WakeCall<'a> {
    /// JSON.
    pub body: &'a str,
    pub session: &'a str,
    pub capability: &'a str,
    pub priority: u8,
    pub mode: Option<WakeMode>,
}

/// A mail as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct MailCall<'a> {
    pub to_node: &'a str,
    pub session: &'a str,
    /// JSON.
    pub body: &'a str,
}

/// A node that can be reached. Calls block: the performer has a thread of its
/// own. `key` is the same for every attempt at one operation.
pub trait Node: Send + Sync {
    fn wake(&self, key: &str, call: WakeCall<'_>) -> Attempt;

    fn mail(&self, key: &str, call: MailCall<'_>) -> Attempt;

    /// `input` is a JSON object.
    fn skill(&self, key: &str, skill: &str, input: &str) -> Attempt;
}
