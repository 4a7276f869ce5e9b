//! The seam between the pipeline and the sandbox: what a stage is called with,
//! what comes back, and how a guest can fail. No wasmtime here; the sandbox in
//! `wasm.rs` implements [`Sandbox`], the choke point in `pipeline/gate.rs`
//! implements [`HostCalls`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::TimestampMs;
use crate::envelope::Envelope;
use crate::ids::Digest;
use crate::operation::Operation;
use crate::verdict::{FilterAnswer, Situation, Verdict};

/// Limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StageLimits {
    /// Linear memory of all memories together, in bytes.
    pub memory_bytes: usize,
    /// Units of wasmtime fuel: roughly one per instruction.
    pub fuel: u64,
    /// Time in the guest itself, host calls not counted.
    pub guest_time: Duration,
    pub host_calls: u32,
}

impl StageLimits {
    pub const MAX_MEMORY_BYTES: usize = 128 * 1024 * 1024;
    pub const MAX_LOG_LINES: usize = 100;
    pub const MAX_LOG_LINE_BYTES: usize = 4 * 1024;
    /// Bytes that a guest may make the host copy in one call, results included.
    pub const MAX_COPY_BYTES: usize = 4 * 1024 * 1024;
    pub const MAX_TABLE_ENTRIES: usize = 256;
    /// Questions to the host in a whole run.
    pub const MAX_HOST_CALLS: u32 = 64;
    /// Elements of all tables together; one table may have half of them. A
    /// bundled language runtime needs some thousands.
    pub const MAX_TABLE_ELEMENTS: usize = 64 * 1024;
    /// The longest run of random bytes in one call: enough to seed anything.
    pub const MAX_RANDOM_BYTES: u64 = 64 * 1024;
    /// A component's file.
    pub const MAX_COMPONENT_BYTES: usize = 32 * 1024 * 1024;
    /// The whole run of a recipe on an event, host calls included.
    pub const RUN_TIME: Duration = Duration::from_secs(60);

    pub const fn decider() -> Self {
        Self {
            memory_bytes: 16 * 1024 * 1024,
            fuel: 50_000_000,
            guest_time: Duration::from_secs(2),
            host_calls: Self::MAX_HOST_CALLS,
        }
    }

    pub const fn action() -> Self {
        Self { fuel: 500_000_000, ..Self::decider() }
    }
}

/// How a guest failed. A value, never a panic: it is journaled, and the
/// stage's `on_failure` says what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", content = "detail", rename_all = "kebab-case")]
pub enum GuestFault {
    #[error("trapped: {0}")]
    Trapped(String),
    #[error("out of fuel after {0} units")]
    OutOfFuel(u64),
    #[error("out of memory: asked for more than {0} bytes")]
    OutOfMemory(u64),
    #[error("timed out: {0}")]
    TimedOut(String),
    /// The component itself answered with an error.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer breaks a limit or a rule of the contract.
    #[error("bad answer: {0}")]
    BadAnswer(String),
    /// It could not be loaded or started.
    #[error("not loaded: {0}")]
    NotLoaded(String),
}

impl GuestFault {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trapped(_) => "trapped",
            Self::OutOfFuel(_) => "out-of-fuel",
            Self::OutOfMemory(_) => "out-of-memory",
            Self::TimedOut(_) => "timed-out",
            Self::Refused(_) => "refused",
            Self::BadAnswer(_) => "bad-answer",
            Self::NotLoaded(_) => "not-loaded",
        }
    }
}

/// What a call used. Fuel and memory repeat exactly; time does not and stays
/// out of every hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub fuel: u64,
    pub memory_bytes: u64,
    pub wall_us: u64,
}

/// A line that a guest logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// The outcome of one guest call.
#[derive(Clone, Debug)]
pub struct StageOutcome<T> {
    pub answer: Result<T, GuestFault>,
    pub usage: Usage,
    pub logs: Vec<LogLine>,
}

/// Which world a component serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    Filter,
    Hotwire,
    Action,
}

impl World {
    pub const ALL: [Self; 3] = [Self::Filter, Self::Hotwire, Self::Action];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Hotwire => "hotwire",
            Self::Action => "action",
        }
    }
}

/// A component that was checked and compiled. `id` is the digest of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComponentId(pub Digest);

/// Calls components. A fresh instance for each call.
#[async_trait]
pub trait Sandbox: Send + Sync {
    async fn filter(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<FilterAnswer>;

    async fn hotwire(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<Option<Verdict>>;

    async fn action(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<Vec<Operation>>;
}

/// A question of a guest to the host: one closed list for all interfaces.
/// `log` is not among them, it is kept by the sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum HostRequest {
    ContextGet { session: String, key: String },
    ContextFlag { key: String },
    JournalCount { query: JournalQuery },
    JournalRecent { query: JournalQuery },
    BreakerState { target: String },
    ModelClassify { prompt: String, label_set: String, text: String },
    ModelComplete { prompt: String, text: String, max_tokens: u32 },
    ModelEmbed { text: String },
    CockpitGet { route: String, params: String },
}

impl HostRequest {
    /// Names, keys, targets and sessions, in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;
    /// A text for the model, or a route's parameters, in bytes: what one event
    /// may have.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;

    /// Every argument that a guest made, with the most that it may have.
    fn arguments(&mut self) -> Vec<(&mut String, usize)> {
        const NAME: usize = HostRequest::MAX_NAME_BYTES;
        const TEXT: usize = HostRequest::MAX_TEXT_BYTES;
        match self {
            Self::ContextGet { session, key } => vec![(session, NAME), (key, NAME)],
            Self::ContextFlag { key } => vec![(key, NAME)],
            Self::JournalCount { query } | Self::JournalRecent { query } => {
                [&mut query.recipe, &mut query.from_node, &mut query.session, &mut query.action]
                    .into_iter()
                    .flatten()
                    .map(|text| (text, NAME))
                    .collect()
            }
            Self::BreakerState { target } => vec![(target, NAME)],
            Self::ModelClassify { prompt, label_set, text } => {
                vec![(prompt, NAME), (label_set, TEXT), (text, TEXT)]
            }
            Self::ModelComplete { prompt, text, .. } => vec![(prompt, NAME), (text, TEXT)],
            Self::ModelEmbed { text } => vec![(text, TEXT)],
            Self::CockpitGet { route, params } => vec![(route, NAME), (params, TEXT)],
        }
    }

    /// Cuts every argument to its bound. True if one was beyond it: such a
    /// question is recorded so and not answered.
    pub fn cut_to_bounds(&mut self) -> bool {
        let mut was_cut = false;
        for (text, most) in self.arguments() {
            if text.len() > most {
                was_cut = true;
                let mut end = most.min(256);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
                text.push_str("... [cut]");
            }
        }
        was_cut
    }

    /// The WIT interface and function, as grants and records name them.
    pub fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::ContextGet { .. } => ("context-read", "get"),
            Self::ContextFlag { .. } => ("context-read", "flag"),
            Self::JournalCount { .. } => ("journal-read", "count"),
            Self::JournalRecent { .. } => ("journal-read", "recent"),
            Self::BreakerState { .. } => ("breaker-read", "state"),
            Self::ModelClassify { .. } => ("model", "classify"),
            Self::ModelComplete { .. } => ("model", "complete"),
            Self::ModelEmbed { .. } => ("model", "embed"),
            Self::CockpitGet { .. } => ("cockpit-read", "get"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalQuery {
    pub recipe: Option<String>,
    pub from_node: Option<String>,
    pub session: Option<String>,
    pub action: Option<String>,
    pub since: TimestampMs,
    pub limit: u32,
}

impl JournalQuery {
    pub const MAX_LIMIT: u32 = 200;
    pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalFact {
    pub id: u64,
    pub at: TimestampMs,
    pub recipe: String,
    pub action: String,
    pub reason: String,
    pub from_node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerFact {
    pub target: String,
    pub reason: String,
    pub tripped_at: TimestampMs,
    pub expires_at: Option<TimestampMs>,
    pub trip_count: u32,
}

/// The host's answer to a [`HostRequest`], one variant for each shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "value", rename_all = "kebab-case")]
pub enum HostAnswer {
    Text(Option<String>),
    Count(u64),
    Entries(Vec<JournalFact>),
    Breaker(Option<BreakerFact>),
    Classification { best: String, abstained: bool, scores: Vec<(String, f32)>, tokens: u32 },
    Completion { text: String, tokens: u32 },
    Embedding(Vec<f32>),
    Json(String),
}

/// Why the host did not answer. A denial is a value, never a trap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum HostError {
    /// The grant line that is missing, ready to paste.
    #[error("denied: {0}")]
    Denied(String),
    #[error("budget: {0}")]
    Budget(String),
    #[error("unavailable, try again in {0} ms")]
    Unavailable(u64),
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("failed: {0}")]
    Failed(String),
}

/// A host call with its answer, kept with the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostCallRecord {
    pub stage: String,
    /// As the guest asked it: what a grant is planned from.
    pub request: HostRequest,
    /// The question that was answered, where the grant made it narrower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_as: Option<HostRequest>,
    pub answer: Result<HostAnswer, HostError>,
    pub wall_us: u64,
}

impl HostCallRecord {
    /// The question that the answer is one to.
    pub fn effective(&self) -> &HostRequest {
        self.answered_as.as_ref().unwrap_or(&self.request)
    }
}

/// The one door from a guest to the host: authorise, budget, record, answer.
#[async_trait]
pub trait HostCalls: Send + Sync {
    async fn call(&self, request: HostRequest) -> Result<HostAnswer, HostError>;
}
