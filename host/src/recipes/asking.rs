//! What a recipe asks the model: one question, or a cheap one before it. How a
//! file says it is in `llm_section.rs` and `cascade_section.rs`.

use std::collections::BTreeMap;

use super::{PromptChoice, Thresholds};
use crate::envelope::sender::Tier;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlmSpec {
    pub prompts: PromptChoice,
    /// Name in the model catalogue; `None` is the configured default.
    pub model: Option<String>,
    /// Kind of message to action. Empty: the prompt's own mapping.
    pub kinds: BTreeMap<String, String>,
}

impl LlmSpec {
    /// What is asked about a message from this sender.
    pub fn asking(&self, tier: Tier, from_node: &str) -> Asking<'_> {
        self.with_prompt(self.prompts.of(tier, from_node))
    }

    pub(super) fn questions(&self) -> impl Iterator<Item = Asking<'_>> {
        self.prompts.all().into_iter().map(|prompt| self.with_prompt(prompt))
    }

    fn with_prompt<'a>(&'a self, prompt: &'a str) -> Asking<'a> {
        Asking { prompt, model: self.model.as_deref(), kinds: &self.kinds, of_first_step: false }
    }
}

/// A cheap question before the real one: it may end a message, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct CascadeSpec {
    pub first: FirstStep,
    pub second: LlmSpec,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FirstStep {
    pub prompt: String,
    pub model: Option<String>,
    /// How sure it has to be to drop; never less than the operator's
    /// `silence_threshold`.
    pub threshold: Thresholds,
}

impl FirstStep {
    /// What it can lead to; the labels of a prompt that declares no kinds.
    pub const DROP: &'static str = "drop";
    pub const ESCALATE: &'static str = "escalate";

    pub fn asking(&self) -> Asking<'_> {
        Asking {
            prompt: &self.prompt,
            model: self.model.as_deref(),
            kinds: &NO_KINDS,
            of_first_step: true,
        }
    }
}

static NO_KINDS: BTreeMap<String, String> = BTreeMap::new();

/// A question to the model, as far as the recipe fixes it.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub prompt: &'a str,
    pub model: Option<&'a str>,
    /// The recipe's mapping of kinds to actions, over the prompt's.
    pub kinds: &'a BTreeMap<String, String>,
    /// Its answers lead to [`FirstStep::DROP`] or on, not to a recipe's actions.
    pub of_first_step: bool,
}
