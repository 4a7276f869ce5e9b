//! What a stage may know (the situation) and what it may conclude (filter
//! decision, verdict). Domain twins of the WIT records in `wit/types.wit` and
//! `wit/worlds.wit`; the conversion is in `wasm/convert.rs`.

use serde::{Deserialize, Serialize};

use crate::clock::TimestampMs;
use crate::envelope::Field;
use crate::envelope::sender::Tier;
use crate::ids::Digest;

/// Everything besides the envelope that a stage may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    pub now: TimestampMs,
    pub seed: u64,
    pub tier: Tier,
    pub context: Vec<Field>,
    pub gathered: Vec<Field>,
    /// `{"stage": ..., "config": ...}` as canonical JSON.
    pub config: String,
}

impl Situation {
    /// The longest `config` that a stage is given, in bytes.
    pub const MAX_CONFIG_BYTES: usize = 64 * 1024;
}

/// Repeatable randomness: from SHA-256 of (envelope id, recipe, stage).
pub fn seed(envelope_id: &str, recipe: &str, stage: &str) -> u64 {
    let digest = Digest::of_parts(&[envelope_id.as_bytes(), recipe.as_bytes(), stage.as_bytes()]);
    digest.0.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// What an evaluator concluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub action: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fields: Vec<Field>,
}

impl Verdict {
    /// A verdict of the host itself or of a rule: certain.
    pub fn certain(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into(), confidence: None, fields: Vec::new() }
    }
}

/// What a filter component answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum FilterAnswer {
    Pass,
    Inject { fields: Vec<Field> },
    Decide { verdict: Verdict },
    Skip { reason: String },
}
