//! RFC 9457 problem documents: the one form of every HTTP error.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{DoorState, routes};
use crate::ids::nearest;
use crate::roles::Role;
use crate::store::StoreError;

/// An error for the caller: a status, a stable word, what to try.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// Stable: scripts branch on it. Becomes the last part of `type`.
    pub(super) code: &'static str,
    pub(super) detail: String,
    /// What a 401 has to say.
    challenge: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), challenge: None }
    }

    /// 401, with the scheme that is asked for.
    pub(super) fn unauthorized(challenge: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        Self { challenge: Some(challenge), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:thrall:problem:{}", self.code),
            "title": self.code.replace('_', " "),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, headers, Json(body)).into_response();
        if let Some(challenge) = self.challenge {
            let value = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// The database cannot be read or written.
pub(super) fn unavailable(error: &StoreError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string())
}

pub(super) async fn no_such_route(State(state): State<DoorState>, uri: Uri) -> Problem {
    let path = uri.path();
    let detail = if state.role == Role::Operator {
        // Operators have every route that they could mean, but those of sources.
        let paths = routes::of_role(state.role).map(|route| route.path);
        let hint =
            nearest(path, paths).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("there is no route {path}{hint}")
    } else {
        format!("{path} is not there for this role")
    };
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", detail)
}

pub(super) async fn no_such_method(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        format!("{} takes another method", uri.path()),
    )
}
