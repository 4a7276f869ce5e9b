//! Write thrall recipes in Rust.
//!
//! A recipe is a type with one function, exported with one macro:
//!
//! ```
//! use thrall_sdk::{Decision, Envelope, Filter, Situation};
//!
//! struct OnlyMail;
//!
//! impl Filter for OnlyMail {
//!     fn decide(envelope: &Envelope, _: &Situation) -> Result<Decision, String> {
//!         if envelope.trigger == "on_mail" {
//!             return Ok(Decision::Pass);
//!         }
//!         Ok(Decision::Skip("not mail".into()))
//!     }
//! }
//!
//! thrall_sdk::export_filter!(OnlyMail);
//! ```
//!
//! - [`Filter`], [`Hotwire`] and [`Action`] are the three worlds of `wit/`.
//! - [`log`], [`context`], [`journal`], [`breaker`], [`model`] and [`cockpit`]
//!   are the host's answers, one module per interface. A component imports
//!   only those that it calls, and each must be granted by the operator.
//! - [`config`] reads the recipe's own tables, [`scope`] and [`template`] find
//!   and insert values.
//! - On the developer's machine the same functions answer from
//!   [`fake_host::FakeHost`], so a recipe is tested with plain `cargo test`.
//!
//! A recipe never acts: it returns what it wants, and the host checks that
//! against the grant. Time and randomness come with the [`Situation`], so the
//! same event always gives the same answer.

pub mod bindings;
pub mod breaker;
pub mod cockpit;
pub mod config;
pub mod context;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake_host;
#[cfg(target_arch = "wasm32")]
mod heap;
pub mod journal;
pub mod log;
pub mod model;
pub mod operations;
mod recipe;
pub mod scope;
pub mod template;
mod values;
pub mod words;

pub use bindings::filter::Decision;
pub use bindings::host::thrall::recipe::types::{
    Envelope, Field, HostError, Situation, Tier, TimestampMs, Verdict,
};
pub use operations::Operation;
pub use recipe::{Action, Filter, Hotwire};
pub use scope::Scope;
