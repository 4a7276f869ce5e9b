//! thrall: the doorkeeper of an agent node.
//!
//! In reading order, inner layers first; each may use those before it:
//! ids, clock, envelope; verdict, operation, stage; recipes, journal, grants;
//! pipeline; wasm, capabilities, store, model; config, app; cli, server.

pub mod buffers;
pub mod clock;
pub mod envelope;
pub mod ids;
pub mod journal;
pub mod operation;
pub mod outbox;
pub mod recipes;
pub mod stage;
pub mod store;
pub mod verdict;
