//! Talks to a running service over its operator socket.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::home::Home;
use crate::server::{EventAnswer, Said};

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

/// What became of a batch.
pub(super) enum Sent {
    Answered(Vec<EventAnswer>),
    /// A lane is full: try again in a moment.
    Busy,
}
