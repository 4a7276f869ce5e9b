//! Lines that are kept with the run: WIT interface `log`.
//!
//! At most 100 lines of 4 KiB; the host cuts what is longer and drops the
//! rest. The level of a line is for the reader, it filters nothing here.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::log as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::log as host;

pub use crate::bindings::host::thrall::recipe::log::Level;

/// Something only the recipe's author wants to see.
pub fn debug(message: &str) {
    host::write(Level::Debug, message);
}

/// Something that happened as intended.
pub fn info(message: &str) {
    host::write(Level::Info, message);
}

/// Something odd that did not change the answer.
pub fn warn(message: &str) {
    host::write(Level::Warn, message);
}

/// Something that made the answer worse.
pub fn error(message: &str) {
    host::write(Level::Error, message);
}
