//! `POST /thrall/reload`: reads the folders again, as `serve` does by itself
//! when a file changes. It widens nothing: what lies in the folders is held
//! against the grants all the same. Answers what there is after it.

use axum::Json;
use axum::extract::State;

use super::DoorState;
use crate::app::listings::RecipesListing;

pub(super) async fn post(State(state): State<DoorState>) -> Json<RecipesListing> {
    (state.shared.reload)().await;
    Json((state.shared.recipes)())
}
