//! `GET /thrall/context`: what recipes remember, with `recipe`, `session` and
//! `limit`. Values by session, and flags, which belong to none.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::DoorState;
use super::problem::{Problem, unavailable};
use crate::store::{Memories, MemoryFilter};

const USUAL_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    recipe: Option<String>,
    session: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn get(
    State(DoorState { shared, .. }): State<DoorState>,
    Query(Asked { recipe, session, limit }): Query<Asked>,
) -> Result<Json<Memories>, Problem> {
    let limit = limit.unwrap_or(USUAL_LIMIT).min(MAX_LIMIT);
    let filter = MemoryFilter { recipe, session, limit };
    let found = shared.engine.reader().memories(&filter, shared.engine.now());
    found.map(Json).map_err(|error| unavailable(&error))
}
