//! `GET /thrall/grants`: what the operator granted. For looking only: grants
//! are files, and no route writes one.

use axum::Json;
use axum::extract::State;

use super::DoorState;
use crate::app::listings::GrantsListing;

pub(super) async fn get(State(state): State<DoorState>) -> Json<GrantsListing> {
    Json((state.shared.grants)())
}
