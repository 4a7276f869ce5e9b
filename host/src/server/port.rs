//! HTTP on a port of this machine, where the operator asks for one. There is
//! no peer to look at, so the role follows from the token alone. Checked in
//! this order, before any body is read: host, origin, token.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::port_checks::{bearer, is_own_host, is_own_origin};
use super::problem::Problem;
use super::tokens::Tokens;
use super::{ServerState, connections, router};

struct Port {
    own: SocketAddr,
    tokens: Tokens,
    /// In the order of the tokens' doors.
    routers: Vec<Router>,
}

/// Serves the port until `stop` resolves; requests under way are finished.
///
/// # Errors
/// When the port has no address.
pub async fn listen_port(
    listener: TcpListener,
    shared: ServerState,
    tokens: Tokens,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let own = listener.local_addr()?;
    let routers = tokens.doors().map(|door| router(shared.clone(), door)).collect();
    let port = Arc::new(Port { own, tokens, routers });
    let router = Router::new().fallback(dispatch).with_state(port);
    connections::serve(listener, |_| router.clone(), stop).await;
    Ok(())
}

async fn dispatch(State(port): State<Arc<Port>>, request: Request) -> Response {
    match port.router_of(&request) {
        // A router's error is never there; this says so to the compiler.
        Ok(router) => router.oneshot(request).await.unwrap_or_else(|never| match never {}),
        Err(problem) => problem.into_response(),
    }
}

const ASK: &str = "Bearer realm=\"thrall\"";
const ASK_AGAIN: &str = "Bearer realm=\"thrall\", error=\"invalid_token\"";

impl Port {
    fn router_of(&self, request: &Request) -> Result<Router, Problem> {
        let headers = request.headers();
        let host = only(headers, &header::HOST);
        let in_uri = request.uri().authority();
        if !host.is_some_and(|host| is_own_host(host, self.own))
            || in_uri.is_some_and(|host| !is_own_host(host.as_str(), self.own))
        {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                format!("the Host header must be {} or localhost:{}", self.own, self.own.port()),
            ));
        }
        if headers.contains_key(header::ORIGIN)
            && !only(headers, &header::ORIGIN).is_some_and(|origin| is_own_origin(origin, self.own))
        {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "pages of other hosts may not send requests here",
            ));
        }
        let place = "the token of a role or a source is in state/tokens/";
        let Some(token) = only(headers, &header::AUTHORIZATION).and_then(bearer) else {
            let what = format!("send one header `Authorization: Bearer TOKEN`; {place}");
            return Err(Problem::unauthorized(ASK, what));
        };
        let router = self.tokens.find(token).and_then(|index| self.routers.get(index)).cloned();
        router.ok_or_else(|| {
            Problem::unauthorized(ASK_AGAIN, format!("this token opens nothing; {place}"))
        })
    }
}

/// A header that stands there once, as text. Of two, somebody before us may
/// have believed the other one.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
