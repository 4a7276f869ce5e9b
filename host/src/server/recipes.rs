//! `GET /thrall/recipes`: every recipe with its state and modes.

use axum::Json;
use axum::extract::State;

use super::DoorState;
use crate::app::listings::RecipesListing;

pub(super) async fn get(State(state): State<DoorState>) -> Json<RecipesListing> {
    Json((state.shared.recipes)())
}
