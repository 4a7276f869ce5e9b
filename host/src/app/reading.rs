//! What a reading of the home came to: what was taken over, what counts only at the
//! next start, and what could not be used.

use serde::{Deserialize, Serialize};

/// See the module's documentation. A part of the answer of `POST /thrall/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Keys of thrall.toml and recipes that are different now.
    pub taken_over: Vec<String>,
    /// Keys of thrall.toml that changed and are read at the start alone.
    pub needs_restart: Vec<String>,
    /// What is left as it was, because it cannot be used.
    pub problems: Vec<String>,
}
