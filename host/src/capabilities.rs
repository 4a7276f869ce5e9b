//! What guests can ask, answered from the live world. Whether they may ask is
//! decided before, in `pipeline/gate.rs`.

pub mod live;
pub mod meter;
pub mod model_questions;
