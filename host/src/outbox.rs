//! Performing what decisions left to do, once each. The rows and their states
//! are the store's (`store/outbox_rows.rs`); here is what is done with them:
//! briefings and breakers become files, wakes are recorded, and what needs a node is held
//! until there is one.

mod artifacts;
mod performer;
#[cfg(test)]
mod tests;

pub use artifacts::Artifacts;
pub use performer::{Performed, Performer};
