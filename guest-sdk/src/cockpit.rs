//! The node's own state, read-only: WIT interface `cockpit-read`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::cockpit_read as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::cockpit_read as host;

use crate::HostError;

/// The answer of a named route (`status`, `peers`, ...) as JSON of at most
/// 256 KiB. `params` is a JSON object that fits the route's schema.
///
/// # Errors
/// Denied unless `cockpit-read` and the route are granted, `invalid` when the
/// parameters do not fit, `unavailable` when the node does not answer.
pub fn get(route: &str, params: &str) -> Result<String, HostError> {
    host::get(route, params)
}
