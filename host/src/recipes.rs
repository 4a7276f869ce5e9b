//! A recipe in its validated form: later code only ever sees this one. The
//! TOML that people write is read in `recipes/manifest.rs`, section by section,
//! and held together in `recipes/validate.rs`; which recipes are loaded is in
//! `recipes/registry.rs`. Pure: only `recipes/folder.rs` opens files.

mod action_kinds;
mod action_section;
mod asking;
pub mod canonical;
mod cascade_section;
mod evaluate_section;
mod filter_section;
pub mod folder;
mod gather_catalog;
mod gather_section;
mod gathering;
mod llm_section;
pub mod manifest;
pub mod matching;
pub mod placeholders;
mod plain_path;
mod prompt_choice;
mod reading;
pub mod reference;
pub mod registry;
mod thresholds;
mod trigger_section;
pub mod trip_wire;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thrall_sdk::template::{Root, Template};

use crate::ids::Digest;
use crate::stage::World;
pub use action_section::action_words;
pub use asking::{Asking, CascadeSpec, FirstStep, LlmSpec};
pub use gathering::{
    COCKPIT_ROUTES, Fact, GatherSource, GatherSpec, JournalAsk, JournalWhat, Take,
};
pub use prompt_choice::{PromptChoice, SenderPrompts};
pub use reading::{Known, MAX_PATTERN_BYTES, canonical_action};
pub use thresholds::Thresholds;

/// How far a recipe may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Never matched.
    Disabled,
    /// Runs and says what it would have done.
    Manual,
    /// Acts, and asks for review.
    Supervised,
    Automated,
}

impl Mode {
    pub const WORDS: [&'static str; 4] = ["disabled", "manual", "supervised", "automated"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Manual => "manual",
            Self::Supervised => "supervised",
            Self::Automated => "automated",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Disabled, Self::Manual, Self::Supervised, Self::Automated]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }

    /// Whether operations are carried out at all.
    pub fn acts(self) -> bool {
        self >= Self::Supervised
    }
}

/// A recipe that passed every check.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub name: String,
    /// What the author wants; the effective mode is the lower of this and the
    /// grant's.
    pub mode: Mode,
    /// Higher runs first; then by name.
    pub priority: i32,
    /// Ends the list of matching recipes after a run that was not skipped.
    pub stop: bool,
    pub trigger: TriggerSpec,
    pub filter: FilterSpec,
    /// What the host fetches between filter and evaluators.
    pub gather: Vec<GatherSpec>,
    /// Highest priority first; the first verdict with enough confidence wins.
    pub evaluators: Vec<Evaluator>,
    pub fallback: Fallback,
    /// Every action that the recipe declares, `log` and `drop` included.
    pub actions: BTreeMap<String, ActionSpec>,
    /// SHA-256 of the canonical form: parsed TOML, keys sorted, comments and
    /// mode left out.
    pub canonical: Digest,
    /// The canonical form itself: JSON with sorted keys.
    pub canonical_text: String,
    /// SHA-256 of trigger and filter alone: which events it takes.
    pub reach: Digest,
    /// Worth saying, not worth refusing.
    pub warnings: Vec<String>,
}

/// Where a stage's component comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentSource {
    /// Built into the binary, by name: `declarative-rules`.
    Bundled(String),
    /// A file in `recipes/`, by name: `repeat-offender.wasm`.
    File(String),
}

impl ComponentSource {
    /// The bundled component of each stage.
    pub const FILTER: &'static str = "declarative-filter";
    pub const RULES: &'static str = "declarative-rules";
    pub const STEPS: &'static str = "declarative-steps";
}

impl fmt::Display for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) | Self::File(name) => f.write_str(name),
        }
    }
}

/// What a failing stage leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// As if the stage were not there.
    Pass,
    /// The event is not acted on by this recipe.
    Block,
    /// The verdict becomes this action.
    Action(String),
}

/// A stage that runs in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    pub component: ComponentSource,
    /// `{"config": ..., "stage": ...}`, canonical JSON.
    pub config: String,
    pub on_failure: OnFailure,
}

/// A regular expression that was checked; matched case-insensitively, anywhere
/// in the value, in linear time.
#[derive(Clone, Debug)]
pub struct FieldPattern {
    pub field: String,
    pub pattern: regex::Regex,
}

#[derive(Clone, Debug)]
pub struct TriggerSpec {
    /// One of [`TriggerSpec::KINDS`].
    pub kind: String,
    /// on_mail: empty means every type.
    pub msg_types: Vec<String>,
    /// on_event, on_action: a glob on the event's name; `None` means every
    /// event.
    pub event_pattern: Option<String>,
    pub field_match: Option<FieldPattern>,
    /// on_tick: only the first tick of each interval of so many seconds.
    pub interval_s: Option<u64>,
    /// Questions: see [`TriggerSpec::deadline`].
    pub deadline_ms: Option<u32>,
    /// on_log: the file, and which of its lines.
    pub log: Option<LogTrigger>,
    /// on_bus: which event names; never all of them.
    pub subscribe: Option<regex::Regex>,
}

impl TriggerSpec {
    pub const KINDS: [&'static str; 9] = [
        "on_mail",
        "on_tick",
        "on_event",
        "on_action",
        "on_result",
        "on_mail_send",
        "on_skill_request",
        "on_log",
        "on_bus",
    ];
    /// How long who asks waits for an answer, if the recipe does not say.
    pub const USUAL_DEADLINE: Duration = Duration::from_millis(800);

    /// How long who asks waits for this recipe.
    pub fn deadline(&self) -> Duration {
        self.deadline_ms.map_or(Self::USUAL_DEADLINE, |ms| Duration::from_millis(ms.into()))
    }
}

/// The lines that an on_log recipe sees.
#[derive(Clone, Debug)]
pub struct LogTrigger {
    /// An absolute path, written in the one plain way.
    pub path: String,
    /// `None` means every line. Its groups become fields of the event.
    pub pattern: Option<regex::Regex>,
}

impl LogTrigger {
    /// Groups of a pattern, the whole match not counted.
    pub const MAX_GROUPS: usize = 32;

    pub fn takes(&self, line: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(line))
    }
}

/// The host's filter stages, in the order in which they are applied, and the
/// filter component behind them.
#[derive(Clone, Debug, Default)]
pub struct FilterSpec {
    pub bypass: Option<Bypass>,
    pub cooldown: Option<Cooldown>,
    pub rate_limit: Option<RateLimit>,
    /// Seconds for which a model's verdict is reused; `None` means never.
    pub cache_ttl_s: Option<u64>,
    pub component: Option<StageSpec>,
}

#[derive(Clone, Debug)]
pub struct Bypass {
    /// What team mail leads to without evaluation.
    pub action: String,
}

#[derive(Clone, Debug)]
pub struct Cooldown {
    /// May hold placeholders of envelope fields.
    pub key: String,
    pub seconds: u64,
}

#[derive(Clone, Debug)]
pub struct RateLimit {
    pub window_s: u64,
    /// Events of one sender in the window, the present one included.
    pub max: u32,
    pub action: String,
}

/// One evaluator of the chain.
#[derive(Clone, Debug)]
pub struct Evaluator {
    /// `evaluate`, `hotwire-0`, ...: names the stage in traces and seeds.
    pub stage: String,
    pub priority: i32,
    /// Below this confidence the verdict is left to the next evaluator.
    pub threshold: Thresholds,
    pub kind: EvaluatorKind,
}

impl Evaluator {
    pub const PRIORITY_HOTWIRE: i32 = 100;
    pub const PRIORITY_MODEL: i32 = 50;
}

#[derive(Clone, Debug)]
pub enum EvaluatorKind {
    Component(StageSpec),
    Llm(LlmSpec),
    Cascade(CascadeSpec),
}

impl EvaluatorKind {
    /// Every question that it can put to the model.
    pub fn questions(&self) -> Vec<Asking<'_>> {
        match self {
            Self::Component(_) => Vec::new(),
            Self::Llm(spec) => spec.questions().collect(),
            Self::Cascade(spec) => {
                std::iter::once(spec.first.asking()).chain(spec.second.questions()).collect()
            }
        }
    }
}

impl Recipe {
    /// The actions that a question without kinds chooses from.
    pub fn answers_to(&self, asking: Asking<'_>) -> Vec<&str> {
        if asking.of_first_step {
            return vec![FirstStep::DROP, FirstStep::ESCALATE];
        }
        self.actions.keys().map(String::as_str).collect()
    }
}

/// What happens when no evaluator reached a verdict, or reached one that the
/// recipe does not declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    Action(String),
    /// Team and known wake, unknown drops.
    Tier,
}

impl Recipe {
    /// Every sandboxed stage by its name in traces, with the world it needs.
    pub fn stages(&self) -> Vec<(String, World, &StageSpec)> {
        let filter =
            self.filter.component.iter().map(|stage| ("filter".to_owned(), World::Filter, stage));
        let evaluators = self.evaluators.iter().filter_map(|evaluator| match &evaluator.kind {
            EvaluatorKind::Component(stage) => {
                Some((evaluator.stage.clone(), World::Hotwire, stage))
            }
            EvaluatorKind::Llm(_) | EvaluatorKind::Cascade(_) => None,
        });
        let actions = self
            .actions
            .values()
            .map(|action| (format!("action-{}", action.name), World::Action, &action.stage));
        filter.chain(evaluators).chain(actions).collect()
    }
}

impl ActionSpec {
    /// Whether the action ends a message or speaks in the node's name: it
    /// drops or replies, alone or as a step.
    pub fn silences(&self) -> bool {
        let kinds: Vec<Value> = self.declared_steps();
        let is_silencing = |step: &Value| {
            step.get("type").and_then(Value::as_str).is_some_and(|kind| SILENCING.contains(&kind))
        };
        kinds.iter().any(is_silencing) || SILENCING.contains(&self.name.as_str())
    }

    /// Whether it can answer a question. What an own component returns is not
    /// known before it runs.
    pub fn may_answer(&self) -> bool {
        let answers = |step: &Value| step.get("type").and_then(Value::as_str) == Some("answer");
        !self.runs_declared_steps() || self.declared_steps().iter().any(answers)
    }

    /// Whether the bundled component runs it, so that what is written is what
    /// is asked for.
    pub fn runs_declared_steps(&self) -> bool {
        self.stage.component == ComponentSource::Bundled(ComponentSource::STEPS.to_owned())
    }

    /// Whether a template is the author's words and the event's own, and nothing
    /// that a component, the journal or a file could have put in.
    pub fn is_plain_template(template: &str) -> bool {
        Template::parse(template).is_ok_and(|parsed| {
            parsed.placeholders().all(|place| matches!(place.root, Root::Envelope | Root::Filter))
        })
    }

    /// The tables that stand in the file for it: the action's own, or its
    /// `steps`, each with its `type` written out.
    pub fn declared_steps(&self) -> Vec<Value> {
        declared_steps(&self.stage)
    }
}

fn declared_steps(stage: &StageSpec) -> Vec<Value> {
    let config: Value = serde_json::from_str(&stage.config).unwrap_or_default();
    let Some(stage) = config.get("stage") else { return Vec::new() };
    match stage.get("steps").and_then(Value::as_array) {
        Some(steps) => steps.clone(),
        None => vec![stage.clone()],
    }
}

/// Where failures of skills are collected, by skill.
fn error_buffers(stage: &StageSpec) -> BTreeMap<String, String> {
    let text = |step: &Value, key: &str| step.get(key)?.as_str().map(str::to_owned);
    declared_steps(stage)
        .iter()
        .filter_map(|step| Some((text(step, "skill")?, text(step, "error_buffer")?)))
        .collect()
}

/// Kinds after which nobody looks at the message any more, or which answer it.
const SILENCING: [&str; 2] = ["drop", "reply"];

/// One declared action.
#[derive(Clone, Debug)]
pub struct ActionSpec {
    pub name: String,
    pub stage: StageSpec,
    /// The task's words for a wake, by template name (the action's own name);
    /// the agent never gets task words from anywhere else.
    pub task: Option<String>,
    /// The agent is woken when a step that was sent on its way comes to nothing.
    pub wake_on_failure: bool,
    /// Where failures of skills are collected, by skill.
    pub error_buffers: BTreeMap<String, String>,
    /// False for `log` and `drop` where the file does not mention them.
    pub is_declared: bool,
}
