//! `GET /thrall/outbox`: what waits to be performed and what became of it,
//! newest first, with `state`, `recipe` and `limit`. `POST /thrall/outbox/{id}`
//! with `{"do": "retry"}` or `{"do": "drop"}` is the operator's word on one row.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::DoorState;
use super::problem::{Problem, unavailable};
use crate::ids::nearest;
use crate::store::{Ordered, OutboxEntry, OutboxFilter, OutboxOrder, OutboxState};

const USUAL_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    state: Option<String>,
    recipe: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(DoorState { shared, .. }): State<DoorState>,
    Query(Asked { state, recipe, limit }): Query<Asked>,
) -> Result<Json<Vec<OutboxEntry>>, Problem> {
    let state = state.map(|word| word.parse()).transpose().map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_state", format!("{error}"))
    })?;
    let filter = OutboxFilter { state, recipe, limit: limit.unwrap_or(USUAL_LIMIT).min(MAX_LIMIT) };
    shared.engine.reader().outbox_list(&filter).map(Json).map_err(|error| unavailable(&error))
}

/// What is to be done with a row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxWish {
    #[serde(rename = "do")]
    pub what: String,
}

/// How a row stands after it.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutboxStand {
    pub id: i64,
    pub state: OutboxState,
}

pub(super) async fn post(
    State(DoorState { shared, .. }): State<DoorState>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Result<Json<OutboxStand>, Problem> {
    let bad = |what: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_order", what);
    let wish: OutboxWish = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let Some(order) = OutboxOrder::from_word(&wish.what) else {
        let near = nearest(&wish.what, OutboxOrder::WORDS)
            .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        let words = OutboxOrder::WORDS.join(" or ");
        return Err(bad(format!("{:?} cannot be done with a row: {words}{near}", wish.what)));
    };
    match shared.engine.order(id, order).await {
        Ok(Ordered::Done(state)) => Ok(Json(OutboxStand { id, state })),
        Ok(Ordered::NoSuchRow) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_row", OutboxOrder::no_such(id)))
        }
        Ok(Ordered::Refused(state)) => {
            Err(Problem::new(StatusCode::CONFLICT, "wrong_state", order.refusal(id, state)))
        }
        Err(error) => Err(unavailable(&error)),
    }
}
