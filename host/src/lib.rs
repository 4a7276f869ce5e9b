//! thrall: the doorkeeper of an agent node.
//!
//! In reading order, inner layers first; each may use those before it:
//! ids, clock, envelope, verdict, operation, stage; strict_toml, plain_file,
//! recipes, grants, journal, buffers, breakers, log_tail, model; pipeline, rehearsal; wasm,
//! capabilities, store, outbox; config, home, roles, telemetry, shipped, model_files, engine, app;
//! server, cli. The map of all of it is ARCHITECTURE.md.

pub mod app;
pub mod breakers;
pub mod buffers;
pub mod capabilities;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod envelope;
pub mod fault_points;
pub mod grants;
pub mod home;
pub mod ids;
pub mod journal;
pub mod log_tail;
pub mod model;
pub mod model_files;
pub mod operation;
pub mod outbox;
pub mod pipeline;
pub mod plain_file;
pub mod recipes;
pub mod rehearsal;
pub mod roles;
pub mod sender_limits;
pub mod server;
pub mod shipped;
pub mod stage;
pub mod store;
pub mod strict_toml;
pub mod telemetry;
pub mod verdict;
pub mod wasm;
