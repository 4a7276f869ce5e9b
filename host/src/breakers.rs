//! Breakers: stops for a target, one JSON file each. Here is what such a file
//! says, when it has expired, and how it is called. Reading and writing the
//! folder is in `capabilities/breaker_folder.rs`. Pure.

pub mod breaker_file;
pub mod target;

pub use breaker_file::{BreakerFile, MAX_BREAKER_BYTES, Trip};
pub use target::{Target, TargetError};
