//! HTTP on the home's sockets: `router(state, role)` gives the routes that a
//! role may use, so that what a role may not do is not even there. Each route
//! is a file in `server/`; errors are RFC 9457 problem documents.

mod events;
mod health;
mod problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::UnixListener;

use crate::app::health::Health;
use crate::config::Source;
use crate::engine::Engine;

pub use events::EventAnswer;

/// The largest request body: a batch of envelopes at their largest.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Who stands at the other end of a socket. It follows from the socket alone,
/// never from what the request says.
#[derive(Clone, Debug)]
pub enum Role {
    /// Everything.
    Operator,
    /// Reads; brings no events.
    Agent,
    /// Brings events as this source, nothing else.
    Source(Source),
}

/// What handlers need.
#[derive(Clone)]
pub struct ServerState {
    pub engine: Engine,
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// As which source this socket's events come in.
    pub source: Option<Source>,
}

/// Serves one socket until `stop` resolves; requests under way are finished.
///
/// # Errors
/// When the socket stops accepting.
pub async fn listen(
    listener: UnixListener,
    state: ServerState,
    role: &Role,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state, role)).with_graceful_shutdown(stop).await
}

/// The routes of one socket.
pub fn router(mut state: ServerState, role: &Role) -> Router {
    let mut router = Router::new();
    if !matches!(role, Role::Source(_)) {
        router = router.route("/health", get(health::get));
    }
    state.source = match role {
        Role::Operator => Some(Source {
            name: "operator".to_owned(),
            triggers: Vec::new(),
            may_assert_sender: true,
        }),
        Role::Source(source) => Some(source.clone()),
        Role::Agent => None,
    };
    if state.source.is_some() {
        router = router.route("/thrall/events", post(events::post));
    }
    router
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}
