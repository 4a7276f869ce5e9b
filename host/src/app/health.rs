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
    /// `advisory` where agent and service are one user and nothing really
    /// separates them; roles by user come with the grants.
    pub separation: String,
    pub problems: Vec<String>,
}
