//! The promises, one module each, kept against the real program, real SQLite,
//! real components and a real model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper is a failing test"
)]

mod adversity;
mod authoring;
mod bad_input;
mod bounds;
mod breakers;
mod buffers;
mod connections;
mod context;
mod dryrun_changes_nothing;
mod ending;
mod evaluators;
mod fault_points;
mod folders;
mod gather;
mod grants;
mod hostile;
mod hostile_guests;
mod import;
mod ingest_twice;
mod kill_nine;
mod layers;
mod limits;
mod lineage;
mod log_tail;
mod measuring;
mod message_is_data;
mod mistyped;
mod modes;
mod old_scripts;
mod outbox;
mod pair;
mod prompts;
mod python_recipe;
mod questions;
mod reloading;
mod roles;
mod roles_links;
mod roles_port;
mod roles_users;
mod sandbox;
mod scenarios;
mod seed_recipes;
mod shipped;
mod side_by_side;
mod sockets;
mod stage;
mod wasi;
