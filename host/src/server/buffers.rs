//! `GET /thrall/buffers`: every buffer with who fills it and when it is flushed.
//! `GET /thrall/buffers/{name}`: what is in one, newest first, with `limit`.
//! `POST /thrall/buffers/{name}/flush`: makes a briefing of it and wakes the
//! agent, for the operator.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::DoorState;
use super::problem::{Problem, unavailable};
use crate::app::buffer_listing::{self, Flushed, ListedBuffer};
use crate::store::ListedItem;

const USUAL_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1000;

pub(super) async fn list(
    State(DoorState { shared, .. }): State<DoorState>,
) -> Result<Json<Vec<ListedBuffer>>, Problem> {
    (shared.buffers)().map(Json).map_err(|error| unavailable(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<u32>,
}

pub(super) async fn show(
    State(state): State<DoorState>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<ListedItem>>, Problem> {
    known(&state, &name)?;
    let limit = asked.limit.unwrap_or(USUAL_LIMIT).min(MAX_LIMIT);
    let items = state.shared.engine.reader().buffer_items(&name, limit);
    items.map(Json).map_err(|error| unavailable(&error))
}

pub(super) async fn flush(
    State(state): State<DoorState>,
    Path(name): Path<String>,
) -> Result<Json<Flushed>, Problem> {
    known(&state, &name)?;
    let flushed = (state.shared.flush)(name).await.map_err(|error| unavailable(&error))?;
    if flushed.briefings.is_empty() {
        let what = buffer_listing::nothing_waits(&flushed.buffer);
        return Err(Problem::new(StatusCode::CONFLICT, "nothing_waits", what));
    }
    Ok(Json(flushed))
}

fn known(state: &DoorState, name: &str) -> Result<(), Problem> {
    let buffers = (state.shared.buffers)().map_err(|error| unavailable(&error))?;
    if buffers.iter().any(|buffer| buffer.name == name) {
        return Ok(());
    }
    let what = buffer_listing::no_such(name, &buffers);
    Err(Problem::new(StatusCode::NOT_FOUND, "no_such_buffer", what))
}
