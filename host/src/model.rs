//! The model service.

pub mod catalogue;
pub mod pull;
