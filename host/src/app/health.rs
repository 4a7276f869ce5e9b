//! Whether this thrall works, in one small document.

use serde::{Deserialize, Serialize};

/// The answer of `GET /health`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `degraded` when something named below does not work.
    pub status: String,
    pub version: String,
    pub recipes_live: usize,
    /// Events that wait for a decision.
    pub waiting: usize,
    pub model: String,
    /// `strict`, or `advisory` where agent, operator and service are told apart
    /// by socket only and nothing really separates them.
    pub separation: String,
    /// Why it is not strict; empty if it is.
    pub separation_reason: String,
    /// The highest mode that a recipe may have here.
    pub mode_ceiling: String,
    /// The operator's switches that hold something back, with what.
    #[serde(default)]
    pub switches: Vec<String>,
    /// Files of prompts/ that nobody has loaded, with the line that would.
    #[serde(default)]
    pub prompt_candidates: Vec<String>,
    pub problems: Vec<String>,
}
