//! `GET /health`: whether this thrall works, in one small document.

use axum::Json;
use axum::extract::State;

use super::ServerState;
use crate::app::health::Health;

pub(super) async fn get(State(state): State<ServerState>) -> Json<Health> {
    Json((state.health)())
}
