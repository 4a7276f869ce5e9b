//! `GET /health`: whether this thrall works, in one small document.

use axum::Json;
use axum::extract::State;

use super::DoorState;
use crate::app::health::Health;

pub(super) async fn get(State(state): State<DoorState>) -> Json<Health> {
    Json((state.shared.health)())
}
