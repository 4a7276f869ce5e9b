//! Performing what decisions left to do, once each. The rows and their states
//! are the store's (`store/outbox_rows.rs`); here is what is done with them:
//! briefings and breakers become files, the rest goes to the node; without one
//! wakes are recorded and mail and skills are held. What a breaker stops is held
//! until it goes (`outbox/breaker_rows.rs`).

mod artifacts;
pub mod breaker_rows;
pub mod node;
mod performer;
mod sending;
#[cfg(test)]
mod tests;

pub use artifacts::{Artifacts, Readers};
pub use node::Node;
pub use performer::{Performed, Performer};
