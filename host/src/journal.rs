//! The journal's nouns: the row that a run leaves, the trace behind it (one
//! schema for live runs, dry runs and replays), and what a commit asks of the
//! writer. The hash that pins a decision is in `journal/decision_hash.rs`; the
//! chain over rows in `journal/hash_chain.rs`; SQL is in `store/`.

pub mod decision_hash;
pub mod hash_chain;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::breakers::Stopped;
use crate::clock::{TimestampMs, Window};
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, Field, log_line};
use crate::ids::{Digest, EnvelopeSeq};
use crate::operation::PlannedOperation;
use crate::recipes::Mode;
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{HostCallRecord, LogLine, Usage};
use crate::verdict::{FilterAnswer, Verdict};

/// One run of one recipe on one envelope, or the guard's refusal to run any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    pub envelope_seq: EnvelopeSeq,
    pub at: TimestampMs,
    /// Empty where the guard decided before any recipe.
    pub recipe: String,
    pub revision: Digest,
    pub trigger: String,
    pub source: String,
    pub from_node: String,
    pub sender_key: String,
    pub session_id: String,
    pub tier: Tier,
    pub mode: Mode,
    pub eval_type: EvalType,
    /// What was decided: the verdict's action after the fallback rule.
    pub action: String,
    /// What was done, in the words that scripts read: `summon`,
    /// `compile+summon`, `manual_skip`, `rate_limited`, `skip_invalid`, ...
    pub action_name: String,
    pub reason: String,
    pub confidence: Option<f32>,
    pub prompt_hash: Option<String>,
    pub model: Option<String>,
    /// Whether the sender's rate limit counts this run (skips do not).
    pub counted: bool,
    pub wall_us: u64,
    pub decision_hash: Digest,
}

/// Which rung of the ladder decided. Words as in the old `eval_type` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalType {
    Llm,
    Hotwire,
    Bypass,
    Cache,
    RateLimit,
    Skip,
    Learned,
    Cascade,
    Fallback,
    /// The filter component decided.
    Filter,
    /// A skill's answer came, and the recipe goes on where it said.
    Continuation,
}

impl EvalType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Hotwire => "hotwire",
            Self::Bypass => "bypass",
            Self::Cache => "cache",
            Self::RateLimit => "rate_limit",
            Self::Skip => "skip",
            Self::Learned => "learned",
            Self::Cascade => "cascade",
            Self::Fallback => "fallback",
            Self::Filter => "filter",
            Self::Continuation => "continuation",
        }
    }
}

/// The whole story of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub trigger: String,
    pub filter: FilterTrace,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gather: Vec<GatherTrace>,
    pub evaluate: EvaluateTrace,
    pub action: ActionTrace,
    pub host_calls: Vec<HostCallRecord>,
    pub host_inputs: HostInputs,
    pub logs: Vec<LogLine>,
    pub usage: UsageTrace,
    /// Stages whose guest failed, with the fault's code.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<(String, String)>,
    pub recipe: RecipeTrace,
    pub decision_hash: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterTrace {
    /// pass, bypass, skip, rate_limited, cache_hit, inject, decide.
    pub decision: String,
    pub tier: Tier,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<FilterAnswer>,
}

/// One source that the recipe gathers. The content is in
/// [`HostInputs::gathered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherTrace {
    pub name: String,
    /// `file /path`.
    pub source: String,
    /// Of the text that later stages see, and so is the digest.
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Digest>,
    /// Only the end was taken.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub truncated: bool,
    /// What was no UTF-8 was replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub replaced: bool,
    /// Why there is nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluateTrace {
    #[serde(rename = "type")]
    pub eval_type: EvalType,
    /// The stage that decided: `evaluate`, `hotwire-0`, ... or empty.
    pub stage: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt_hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scores: Vec<(String, f32)>,
    pub result: Verdict,
    /// What each evaluator before the deciding one said, and failures.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionTrace {
    pub name: String,
    pub operations: Vec<PlannedOperation>,
    pub executed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTrace {
    /// One entry for each guest call, in order.
    pub stages: Vec<(String, Usage)>,
    pub model_tokens: u32,
    pub wall_us: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecipeTrace {
    pub name: String,
    pub revision: Digest,
    pub grant_revision: Digest,
    pub mode: Mode,
}

/// What the host knew and the run depended on. With the envelope and the
/// recorded host calls it makes the run repeatable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostInputs {
    pub tier: Option<Tier>,
    pub cooldown_last: Option<TimestampMs>,
    /// Counted events of the sender in the window, the present one excluded.
    pub rate_count: Option<u32>,
    pub cached: Option<CachedVerdict>,
    pub context: Vec<Field>,
    /// What was gathered, by name.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gathered: Vec<Field>,
    /// An earlier recipe had woken the agent or replied for this envelope.
    #[serde(default)]
    pub answered: bool,
    /// Operations done in the hour before, by `recipe/kind`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub operation_counts: BTreeMap<String, u32>,
    /// What the sender had caused, where the run wakes or writes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sender_history: Option<SenderHistory>,
    /// Events that recipes had triggered below the same root.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub descendants: Option<u32>,
    /// Breakers that stopped an operation of the plan.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub breakers: Vec<Stopped>,
    /// Recipes on the way to the event: their grants bound this run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lineage: Vec<String>,
    pub engine: String,
}

/// A model's verdict kept for reuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedVerdict {
    pub verdict: Verdict,
    pub model: Option<String>,
    pub prompt_hash: Option<String>,
}

/// Everything that one run wants written, in one transaction.
#[derive(Clone, Debug)]
pub struct Commit {
    pub row: DecisionRow,
    pub trace: Trace,
    /// Host-set fields for operations that need them (reply, wake).
    pub delivery: Delivery,
    /// Set when the action stage succeeded and the mode acts.
    pub cooldown: Option<(String, TimestampMs)>,
    pub cache: Option<CacheEntry>,
    /// Facts that the decision rests on and that a neighbour may have changed
    /// meanwhile. Checked again by the writer.
    pub assumptions: Vec<Assumption>,
    /// One for each trigger that is carried out, in the plan's order; written
    /// with the row.
    pub children: Vec<Child>,
    pub guarding: Guarding,
    /// The envelope is done with this row: it is the last that is expected, or
    /// the recipe ends the list.
    pub closes_envelope: bool,
}

/// What a run means for the limits of its sender; see [`crate::sender_limits`].
#[derive(Clone, Debug, Default)]
pub struct Guarding {
    /// Wakes, replies and mails that the event led to.
    pub answers: Vec<Answering>,
    /// The row beside the run's own that stops the sender.
    pub looped: Option<Box<Commit>>,
    /// Of a drop: drops in an hour at which the agent is told of the sender.
    pub knock_threshold: Option<u32>,
    /// What the agent is told besides; never anything of a plan.
    pub alert: Option<Alert>,
}

/// A wake, reply or mail as it counts against its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answering {
    pub kind: &'static str,
    /// No limit and no switch held it back.
    pub let_through: bool,
}

/// Something that the host itself wakes the agent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// `node`, `knock`, `global`, `skill`.
    pub breaker_type: &'static str,
    pub target: String,
    pub reason: String,
}

impl Alert {
    /// A sender was dropped again and again.
    pub fn knock(row: &DecisionRow, reason: String) -> Self {
        Self { breaker_type: "knock", target: row.sender_key.clone(), reason }
    }
}

/// An event that a run triggers.
#[derive(Clone, Debug)]
pub struct Child {
    pub envelope: Envelope,
    /// The recipes that will run on it, with their revisions, in order.
    pub matched: Vec<(String, Digest)>,
}

/// What follows when a step of a plan comes to nothing, besides that the later
/// steps are not performed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterFailure {
    /// The agent is woken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wake: bool,
    /// Wakes an hour, by recipe, beyond which it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wake_bounds: Vec<(String, u32)>,
    /// The buffer that collects what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<String>,
}

impl AfterFailure {
    pub fn is_nothing(&self) -> bool {
        !self.wake && self.buffer.is_none()
    }
}

/// What the outbox needs besides the operation itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What the event is about; see [`Envelope::body`].
    pub body_text: String,
    /// Of a line of a log: what makes it one of many.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub like: Option<LikeLines>,
    pub msg_type: String,
    /// Task words by action name, from the recipe's own TOML.
    pub task: Option<String>,
    /// Whose context and flags are set; empty is what recipes share.
    pub context_namespace: String,
    pub flag_namespace: String,
    /// Wakes an hour that the run's grants allow, by recipe: a buffer that
    /// would pass them waits for its timer.
    pub wake_bounds: Vec<(String, u32)>,
    /// What is collected makes no buffer flush: a limit on how often led to it.
    #[serde(default)]
    pub never_summons: bool,
    /// The agent is woken when a step of the plan comes to nothing.
    pub wake_on_failure: bool,
    /// Where a skill's failures are collected, by skill.
    pub error_buffers: BTreeMap<String, String>,
    /// The event at the beginning of the chain, which answers of skills count
    /// against.
    pub root: EnvelopeSeq,
    /// The operator's switch: wakes say that they are only to be reported on.
    pub dry_run: bool,
}

/// Lines that are collected as one: of one file, with one template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikeLines {
    pub file: String,
    pub template: String,
}

impl LikeLines {
    pub fn of(envelope: &Envelope) -> Option<Self> {
        let template = envelope.field(log_line::TEMPLATE).filter(|text| !text.is_empty())?;
        (envelope.trigger == log_line::TRIGGER).then(|| Self {
            file: envelope.text(log_line::SOURCE_FILE).to_owned(),
            template: template.to_owned(),
        })
    }
}

#[derive(Clone, Debug)]
pub struct CacheEntry {
    pub key: Digest,
    pub value: CachedVerdict,
    pub expires_at: TimestampMs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// Fewer than `below` counted runs of this recipe for this sender.
    RateBelow { recipe: String, sender_key: String, window: Window, below: u32 },
    /// Fewer than `below` operations of a kind of this recipe.
    OperationsBelow { recipe: String, kind: String, window: Window, below: u32 },
    /// Fewer than `below` wakes and replies that a sender caused by other events
    /// than `root`, in one session or in all.
    AnswersBelow {
        sender_key: String,
        session: Option<String>,
        root: EnvelopeSeq,
        window: Window,
        below: u32,
    },
    /// Fewer than `below` of what a sender caused were let through.
    LetThroughBelow { sender_key: String, window: Window, below: u32 },
    /// The cooldown has not been set since.
    CooldownUnchanged { recipe: String, key: String, last: Option<TimestampMs> },
    /// Fewer than `below` events descend from this one.
    DescendantsBelow { root: EnvelopeSeq, below: u32 },
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed {
        id: crate::ids::JournalId,
        /// The row's `action_name` as it was written: a compile that flushed
        /// its buffer is a `compile+summon`.
        action_name: String,
        /// The numbers of the events that it triggered, in order.
        children: Vec<EnvelopeSeq>,
        /// What the agent was told of a sender that knocks.
        knock: Option<String>,
        /// The row that stops a sender, beside the run's own.
        looped: Option<crate::ids::JournalId>,
    },
    /// An assumption no longer holds; nothing was written. Decide again.
    Stale,
    /// This (envelope, recipe) has its row already.
    AlreadyDecided(crate::ids::JournalId),
}
