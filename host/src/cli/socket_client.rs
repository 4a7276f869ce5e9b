//! Talks to a running service over its socket for this user.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::app::breaker_desk::{BreakersListing, ListedBreaker, TripRequest};
use crate::app::prompt_listings::{PromptStory, PromptsListing};
use crate::home::Home;
use crate::model::PromptForm;
use crate::server::{EventAnswer, Said};
use crate::store::{PromptChange, Reviewed};

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

    /// Asks for something.
    ///
    /// # Errors
    /// When the service cannot be reached, or cannot answer now.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Told<T>> {
        told(self.request(Method::GET, path, Vec::new()).await?)
    }

    /// Wants something done.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Told<T>> {
        told(self.request(Method::POST, path, body).await?)
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
        self.get(BREAKERS).await?.into_result().map_err(anyhow::Error::msg)
    }

    /// Trips a breaker; why not, if it is refused for what it is.
    ///
    /// # Errors
    /// When the service cannot be reached or cannot do it.
    pub(super) async fn trip_breaker(
        &self,
        asked: &TripRequest,
    ) -> anyhow::Result<Result<ListedBreaker, String>> {
        Ok(self.post(BREAKERS, serde_json::to_vec(asked)?).await?.into_result())
    }

    /// Clears a breaker; as [`Self::trip_breaker`].
    ///
    /// # Errors
    /// As [`Self::trip_breaker`].
    pub(super) async fn clear_breaker(&self, target: &str) -> anyhow::Result<Result<(), String>> {
        let path = format!("{BREAKERS}/{}", encoded(target));
        let (status, body) = self.request(Method::DELETE, &path, Vec::new()).await?;
        if status == StatusCode::NO_CONTENT {
            return Ok(Ok(()));
        }
        Ok(told((status, body))?.into_result())
    }

    /// Says something about a run.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub(super) async fn review(&self, id: i64, said: &Said) -> anyhow::Result<Reviewed> {
        let path = format!("/thrall/review/{id}");
        let (status, body) = self.request(Method::POST, &path, serde_json::to_vec(said)?).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(Reviewed::Kept),
            StatusCode::NOT_FOUND => Ok(Reviewed::NoSuchDecision),
            _ => match told::<()>((status, body))? {
                Told::No(why) => Ok(Reviewed::NoSuchAction(why)),
                Told::Answer(()) => bail!("the service answered {status}"),
            },
        }
    }

    /// All prompts.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses; so for all of these.
    pub(super) async fn prompts(&self) -> anyhow::Result<PromptsListing> {
        let told: Told<PromptsListing> =
            told(self.request(Method::GET, "/thrall/prompts", Vec::new()).await?)?;
        told.into_result().map_err(anyhow::Error::msg)
    }

    /// One version of a prompt; the inner error says that there is none.
    pub(super) async fn prompt(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> anyhow::Result<Result<PromptStory, String>> {
        let query = version.map_or_else(String::new, |one| format!("?version={}", encoded(one)));
        let path = format!("/thrall/prompts/{}{query}", encoded(name));
        Ok(told(self.request(Method::GET, &path, Vec::new()).await?)?.into_result())
    }

    /// Puts a prompt in use; the inner error says why not.
    pub(super) async fn load_prompt(
        &self,
        name: Option<&str>,
        form: PromptForm,
        content: Vec<u8>,
    ) -> anyhow::Result<Result<PromptChange, String>> {
        let name = name.map_or_else(String::new, |name| format!("&name={}", encoded(name)));
        let path = format!("/thrall/prompts?form={}{name}", form.as_str());
        Ok(told(self.request(Method::POST, &path, content).await?)?.into_result())
    }

    /// Puts an earlier version of a prompt in use again.
    pub(super) async fn roll_prompt_back(
        &self,
        name: &str,
        to: Option<&str>,
    ) -> anyhow::Result<Result<PromptChange, String>> {
        let query = to.map_or_else(String::new, |to| format!("?to={}", encoded(to)));
        let path = format!("/thrall/prompts/{}/rollback{query}", encoded(name));
        Ok(told(self.request(Method::POST, &path, Vec::new()).await?)?.into_result())
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

/// What a service answered.
pub(super) enum Told<T> {
    Answer(T),
    /// It says no, in a sentence for the user.
    No(String),
}

impl<T> Told<T> {
    fn into_result(self) -> Result<T, String> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::No(why) => Err(why),
        }
    }
}

fn told<T: DeserializeOwned>((status, body): (StatusCode, Bytes)) -> anyhow::Result<Told<T>> {
    if status.is_success() {
        let answer = serde_json::from_slice(&body)
            .context("the service's answer cannot be read: is it of another version?")?;
        return Ok(Told::Answer(answer));
    }
    let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        StatusCode::NOT_FOUND if problem.kind.ends_with(":no_such_route") => {
            Ok(Told::No(OPERATORS.to_owned()))
        }
        StatusCode::METHOD_NOT_ALLOWED => Ok(Told::No(OPERATORS.to_owned())),
        StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::PAYLOAD_TOO_LARGE => Ok(Told::No(problem.detail)),
        _ => bail!("the service answered {status}: {}", String::from_utf8_lossy(&body)),
    }
}

const OPERATORS: &str = "only the operator may do that, over run/operator.sock";

/// What is read of an error's document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

/// A path with a question behind it; absent parts are left out.
pub(super) fn target(path: &str, query: &[(&str, Option<String>)]) -> String {
    let mut target = path.to_owned();
    let given = query.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    for (index, (key, value)) in given.enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(&format!("{key}={}", encoded(value)));
    }
    target
}

/// A text as a part of a path or of a question.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// What became of a batch.
pub(super) enum Sent {
    Answered(Vec<EventAnswer>),
    /// A lane is full: try again in a moment.
    Busy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_stays_one_part_of_a_path() {
        assert_eq!(encoded("mail-digest"), "mail-digest");
        assert_eq!(encoded("../a b?c=\u{e9}"), "%2E%2E%2Fa%20b%3Fc%3D%C3%A9");
        let query =
            [("recipe", None), ("state", Some("a&b".to_owned())), ("limit", Some("5".to_owned()))];
        assert_eq!(target("/x", &query), "/x?state=a%26b&limit=5");
        assert_eq!(target("/x", &[("recipe", None)]), "/x");
    }
}
