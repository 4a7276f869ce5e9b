//! The small model: WIT interface `model`. Calls count against the recipe's
//! budget and are recorded, so that a replay gets the same answers.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::model as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::model as host;

use crate::HostError;

pub use crate::bindings::host::thrall::recipe::model::{Classification, Completion, Score, Usage};

/// Chooses one label of a label set that the recipe declares.
///
/// # Errors
/// Denied without a grant for the prompt, `budget` when the day's calls are
/// spent, `unavailable` (with milliseconds to wait) when the model is busy.
pub fn classify(prompt: &str, label_set: &str, text: &str) -> Result<Classification, HostError> {
    host::classify(prompt, label_set, text)
}

/// Writes on from a prompt. The text is the model's: treat it as untrusted.
///
/// # Errors
/// As [`classify`].
pub fn complete(prompt: &str, text: &str, max_tokens: u32) -> Result<Completion, HostError> {
    host::complete(prompt, text, max_tokens)
}

/// The text as a vector of length 1: texts that mean the same have vectors whose
/// sum of products is near 1, unrelated ones near 0.
///
/// # Errors
/// As [`classify`].
pub fn embed(text: &str) -> Result<Vec<f32>, HostError> {
    host::embed(text)
}
