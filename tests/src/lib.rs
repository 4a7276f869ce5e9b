//! What the tests share: a home in a temporary folder, the real binary, and
//! the guests. The promises themselves are in `it/`, one module each.

pub mod events;
pub mod guests;
pub mod models;
pub mod test_home;
pub mod wait_for;
