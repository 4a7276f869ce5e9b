//! What the recipe remembers between events: WIT interface `context-read`.
//!
//! The rows of the envelope's own session come with the
//! [`Situation`](crate::Situation); this is for other sessions and for flags.
//! Written by the operations `set-context` and `set-flag`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::context_read as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::context_read as host;

use crate::HostError;

/// The value of a session's context row, unless absent or expired.
///
/// # Errors
/// Denied unless `context-read` is granted and the session is within its scope.
pub fn get(session: &str, key: &str) -> Result<Option<String>, HostError> {
    host::get(session, key)
}

/// The value of a flag, unless absent or expired.
///
/// # Errors
/// Denied unless `context-read` and the flag's prefix are granted.
pub fn flag(key: &str) -> Result<Option<String>, HostError> {
    host::flag(key)
}
