//! Breakers: stops for a target, one JSON file each. Here is what such a file
//! says and how it is called, which of them stand, and which of those an event
//! or an operation meets. Reading and writing the folder is in
//! `capabilities/breaker_folder.rs`, keeping both together in
//! `capabilities/standing_breakers.rs`. Pure.

pub mod breaker_file;
pub mod met;
pub mod standing;
pub mod target;

pub use breaker_file::{BreakerFile, MAX_BREAKER_BYTES, Trip};
pub use met::Stopped;
pub use standing::{Held, Standing};
pub use target::{Target, TargetError};
