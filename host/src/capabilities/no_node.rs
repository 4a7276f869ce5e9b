//! The node, where none is connected.

use async_trait::async_trait;

use crate::pipeline::ports::Cockpit;
use crate::stage::HostError;

/// Answers every route with the same sentence.
pub struct NoNode;

#[async_trait]
impl Cockpit for NoNode {
    async fn get(&self, _: &str, _: &str) -> Result<String, HostError> {
        Err(HostError::Failed("no node is connected".to_owned()))
    }
}
