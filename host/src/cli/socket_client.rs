//! Talks to a running service over its operator socket.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::app::prompt_listings::{PromptStory, PromptsListing};
use crate::home::Home;
use crate::model::PromptForm;
use crate::server::{EventAnswer, Said};
use crate::store::PromptChange;

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

    /// All prompts.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses; so for all of these.
    pub(super) async fn prompts(&self) -> anyhow::Result<PromptsListing> {
        told(self.request(Method::GET, "/thrall/prompts", Vec::new()).await?)?
            .map_err(anyhow::Error::msg)
    }

    /// One version of a prompt; the inner error says that there is none.
    pub(super) async fn prompt(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> anyhow::Result<Result<PromptStory, String>> {
        let query = version.map_or_else(String::new, |one| format!("?version={}", quoted(one)));
        let path = format!("/thrall/prompts/{}{query}", quoted(name));
        told(self.request(Method::GET, &path, Vec::new()).await?)
    }

    /// Puts a prompt in use; the inner error says why not.
    pub(super) async fn load_prompt(
        &self,
        name: Option<&str>,
        form: PromptForm,
        content: Vec<u8>,
    ) -> anyhow::Result<Result<PromptChange, String>> {
        let name = name.map_or_else(String::new, |name| format!("&name={}", quoted(name)));
        let path = format!("/thrall/prompts?form={}{name}", form.as_str());
        told(self.request(Method::POST, &path, content).await?)
    }

    /// Puts an earlier version of a prompt in use again.
    pub(super) async fn roll_prompt_back(
        &self,
        name: &str,
        to: Option<&str>,
    ) -> anyhow::Result<Result<PromptChange, String>> {
        let query = to.map_or_else(String::new, |to| format!("?to={}", quoted(to)));
        let path = format!("/thrall/prompts/{}/rollback{query}", quoted(name));
        told(self.request(Method::POST, &path, Vec::new()).await?)
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

/// A document, or the detail of what was refused about it.
fn told<T: DeserializeOwned>(
    (status, body): (StatusCode, Bytes),
) -> anyhow::Result<Result<T, String>> {
    if status.is_success() {
        return Ok(Ok(serde_json::from_slice(&body)?));
    }
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Ok(Err(OPERATORS.to_owned())),
        StatusCode::NOT_FOUND if detail.ends_with("for this role") => Ok(Err(OPERATORS.to_owned())),
        StatusCode::NOT_FOUND
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::PAYLOAD_TOO_LARGE => Ok(Err(detail.to_owned())),
        _ => bail!("the service answered {status}: {detail}"),
    }
}

const OPERATORS: &str = "only the operator may do this: the service let this user in as the agent";

/// A text as a part of a path or a query.
fn quoted(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What became of a batch.
pub(super) enum Sent {
    Answered(Vec<EventAnswer>),
    /// A lane is full: try again in a moment.
    Busy,
}
