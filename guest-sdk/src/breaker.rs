//! Whether a target is stopped: WIT interface `breaker-read`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::breaker_read as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::breaker_read as host;

use crate::HostError;

pub use crate::bindings::host::thrall::recipe::breaker_read::Breaker;

/// The breaker on a target (a node, a skill, both), if it is tripped.
///
/// # Errors
/// Denied unless `breaker-read` is granted.
pub fn state(target: &str) -> Result<Option<Breaker>, HostError> {
    host::state(target)
}
