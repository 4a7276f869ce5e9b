//! A Unix socket whose connections carry who is at the other end, as the
//! system says it, and the gate that turns away whoever the socket is not for
//! before anything of the request's body is read.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::{UnixListener, UnixStream};

use super::problem::Problem;
use super::{Door, ServerState, connections, router};
use crate::roles::accounts::Accounts;
use crate::roles::{Peer, Role, Roles};

/// Serves one socket until `stop` resolves; requests under way are finished.
pub async fn listen(
    listener: UnixListener,
    shared: ServerState,
    door: &Door,
    roles: Arc<Roles>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let gate = Gate { socket: door.role, roles: Arc::clone(&roles) };
    let router = router(shared, door).layer(middleware::from_fn_with_state(gate, turn_away_others));
    let listener = PeerListener { listener, roles };
    connections::serve(listener, |caller| router.clone().layer(Extension(caller)), stop).await;
}

/// Who is at the other end; `None` if the system does not say.
#[derive(Clone, Debug)]
struct Caller(Option<Peer>);

struct PeerListener {
    listener: UnixListener,
    roles: Arc<Roles>,
}

impl axum::serve::Listener for PeerListener {
    type Io = UnixStream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The trait's, which retries; the listener's own does not.
        let (stream, _) = axum::serve::Listener::accept(&mut self.listener).await;
        let caller = Caller(peer_of(&stream, &self.roles));
        (stream, caller)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Caller(None))
    }
}

/// The peer with its groups: the one that the connection carries, and those
/// that the accounts give its user. Looked up for each connection, so that a
/// user who was taken out of a group is out with the next one.
fn peer_of(stream: &UnixStream, roles: &Roles) -> Option<Peer> {
    let credentials = match stream.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => {
            tracing::warn!(%error, "the system does not say who is connected");
            return None;
        }
    };
    let uid = credentials.uid();
    let mut gids = vec![credentials.gid()];
    if roles.uses_groups() {
        gids.extend(Accounts::of_machine().groups_of(uid));
    }
    Some(Peer { uid, gids })
}

#[derive(Clone)]
struct Gate {
    socket: Role,
    roles: Arc<Roles>,
}

async fn turn_away_others(
    State(gate): State<Gate>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match gate.roles.role_of(gate.socket, caller.0.as_ref()) {
        Ok(_) => next.run(request).await,
        Err(refused) => {
            tracing::info!(code = refused.code, uid = ?caller.0.map(|peer| peer.uid), "turned away");
            Problem::new(StatusCode::FORBIDDEN, refused.code, refused.detail).into_response()
        }
    }
}
