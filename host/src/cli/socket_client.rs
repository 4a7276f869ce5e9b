//! Talks to a running service over its operator socket.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::app::breaker_desk::{BreakersListing, ListedBreaker, TripRequest};
use crate::home::Home;
use crate::server::{EventAnswer, Said};

const BREAKERS: &str = "/thrall/breakers";

/// A running service, found by its socket.
pub(super) struct SocketClient {
    socket: PathBuf,
}

impl SocketClient {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The service, as whom this user may speak to it: the operator, else the
    /// agent. `None` when nobody answers.
    pub(super) async fn of_role(home: &Home) -> Option<Self> {
        for role in ["operator", "agent"] {
            let client = Self::new(&home.socket(role));
            if client.is_alive().await {
                return Some(client);
            }
        }
        None
    }

    /// The service, for what only the operator may. `None` when there is none.
    ///
    /// # Errors
    /// There is one, and this user may not speak to it as the operator.
    pub(super) async fn of_operator(home: &Home) -> anyhow::Result<Option<Self>> {
        let client = Self::new(&home.socket("operator"));
        if client.is_alive().await {
            return Ok(Some(client));
        }
        if Self::new(&home.socket("agent")).is_alive().await {
            bail!(
                "a service is running, and this is the operator's to do: see {}",
                client.socket.display()
            );
        }
        Ok(None)
    }

    /// What is stopped.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub(super) async fn breakers(&self) -> anyhow::Result<BreakersListing> {
        let (status, body) = self.request(Method::GET, BREAKERS, Vec::new()).await?;
        match status {
            StatusCode::OK => Ok(serde_json::from_slice(&body)?),
            _ => bail!("the service answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Trips a breaker; why not, if it is refused for what it is.
    ///
    /// # Errors
    /// When the service cannot be reached or cannot do it.
    pub(super) async fn trip_breaker(
        &self,
        asked: &TripRequest,
    ) -> anyhow::Result<Result<ListedBreaker, String>> {
        let (status, body) =
            self.request(Method::POST, BREAKERS, serde_json::to_vec(asked)?).await?;
        match status {
            StatusCode::OK => Ok(Ok(serde_json::from_slice(&body)?)),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Err(detail(&body))),
            _ => bail!("the service answered {status}: {}", detail(&body)),
        }
    }

    /// Clears a breaker; as [`Self::trip_breaker`].
    ///
    /// # Errors
    /// As [`Self::trip_breaker`].
    pub(super) async fn clear_breaker(&self, target: &str) -> anyhow::Result<Result<(), String>> {
        let path = format!("{BREAKERS}/{}", escaped(target));
        let (status, body) = self.request(Method::DELETE, &path, Vec::new()).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(Ok(())),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => Ok(Err(detail(&body))),
            _ => bail!("the service answered {status}: {}", detail(&body)),
        }
    }

    /// Says something about a run. False: there is no such decision.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub(super) async fn review(&self, id: i64, said: &Said) -> anyhow::Result<bool> {
        let path = format!("/thrall/review/{id}");
        let (status, body) = self.request(Method::POST, &path, serde_json::to_vec(said)?).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => bail!("the service answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Whether anybody answers.
    pub(super) async fn is_alive(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    /// Sends envelopes, one JSON object a line.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses the whole request.
    pub(super) async fn send_events(&self, lines: Vec<u8>) -> anyhow::Result<Sent> {
        let (status, body) = self.request(Method::POST, "/thrall/events", lines).await?;
        match status {
            StatusCode::ACCEPTED | StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(Sent::Answered(serde_json::from_slice(&body)?))
            }
            StatusCode::TOO_MANY_REQUESTS => Ok(Sent::Busy),
            _ => bail!("the service answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .with_context(|| format!("no service answers on {}", self.socket.display()))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "localhost")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        Ok((status, bytes))
    }
}

/// What a problem document says, or the whole of what is none.
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = problem.as_ref().and_then(|one| one.get("detail")?.as_str());
    said.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

/// As one part of a path.
fn escaped(text: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let escape = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}

/// What became of a batch.
pub(super) enum Sent {
    Answered(Vec<EventAnswer>),
    /// A lane is full: try again in a moment.
    Busy,
}
