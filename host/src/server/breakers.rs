//! `GET /thrall/breakers`: what is stopped, and why. `POST /thrall/breakers`:
//! stop something, `{"target": "node:HEX", "reason": "...", "expires_in_s": 3600}`.
//! `DELETE /thrall/breakers/{target}`: let it go. Tripping and clearing by hand
//! are the operator's; a recipe trips what its grant allows.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::DoorState;
use super::problem::Problem;
use crate::app::breaker_desk::{
    BreakerDesk, BreakerError, BreakersListing, ListedBreaker, TripRequest,
};

/// Who did it, in the journal.
const OPERATOR: &str = "operator";

pub(super) async fn list(
    State(DoorState { shared, .. }): State<DoorState>,
) -> Result<Json<BreakersListing>, Problem> {
    at_desk(&shared.breakers, BreakerDesk::list).await.map(Json)
}

pub(super) async fn trip(
    State(DoorState { shared, .. }): State<DoorState>,
    body: Bytes,
) -> Result<Json<ListedBreaker>, Problem> {
    let asked: TripRequest = serde_json::from_slice(&body).map_err(|error| {
        let what = format!("expected {{\"target\": ..., \"reason\": ...}}: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_breaker", what)
    })?;
    at_desk(&shared.breakers, move |desk| desk.trip(&asked, OPERATOR)).await.map(Json)
}

pub(super) async fn clear(
    State(DoorState { shared, .. }): State<DoorState>,
    Path(target): Path<String>,
) -> Result<StatusCode, Problem> {
    at_desk(&shared.breakers, move |desk| desk.clear(&target, OPERATOR)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Off the threads that serve: files are written.
async fn at_desk<T: Send + 'static>(
    desk: &Arc<BreakerDesk>,
    work: impl FnOnce(&BreakerDesk) -> Result<T, BreakerError> + Send + 'static,
) -> Result<T, Problem> {
    let for_work = Arc::clone(desk);
    let done = tokio::task::spawn_blocking(move || work(&for_work)).await;
    desk.keep_history().await;
    match done {
        Ok(outcome) => outcome.map_err(|error| problem(&error)),
        Err(error) => {
            let what = error.to_string();
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", what))
        }
    }
}

fn problem(error: &BreakerError) -> Problem {
    let (status, code) = match error {
        BreakerError::Target(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_target"),
        BreakerError::NoReason => (StatusCode::UNPROCESSABLE_ENTITY, "bad_breaker"),
        BreakerError::NotThere(..) => (StatusCode::NOT_FOUND, "no_such_breaker"),
        BreakerError::NotWritten(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_written"),
        BreakerError::NotRemoved(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_removed"),
        BreakerError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    };
    Problem::new(status, code, error.to_string())
}
