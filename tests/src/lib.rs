//! What the tests share: a home in a temporary folder, the real binary, and
//! the guests. The promises themselves are in `it/`, one module each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use it, and a failing helper is a failing test"
)]

pub mod authoring_page;
pub mod events;
pub mod guests;
pub mod http;
pub mod models;
pub mod operators_things;
pub mod scenario;
pub mod serving;
pub mod test_home;
pub mod wait_for;
