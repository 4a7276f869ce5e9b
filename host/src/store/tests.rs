//! What others may rely on, tried on real files.

mod accepting;
mod committing;
mod crash;
pub(crate) mod fixtures;
mod log_lines;
mod old_views;
mod opening;
mod ordering;
mod performing;
mod query_plans;
mod reading;
mod tampering;
mod throughput;
mod triggering;
