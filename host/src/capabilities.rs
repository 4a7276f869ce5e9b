//! What guests can ask, answered from the live world. Whether they may ask is
//! decided before, in `pipeline/gate.rs`.

pub mod breaker_folder;
pub mod busy_model;
pub mod gathered_files;
pub mod live;
pub mod log_files;
pub mod meter;
pub mod model_questions;
pub mod model_turns;
pub mod no_node;
pub mod standing_breakers;
