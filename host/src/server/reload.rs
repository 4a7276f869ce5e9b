//! `POST /thrall/reload`: reads thrall.toml and the folders again, as `serve` does by
//! itself when a file of a folder changes. It widens nothing: what lies in the folders
//! is held against the grants all the same. Answers what there is after it, what
//! was taken over, and what could not be.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::DoorState;
use crate::app::listings::RecipesListing;
use crate::app::reading::Reading;

#[derive(Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    recipes: RecipesListing,
    #[serde(flatten)]
    reading: Reading,
}

pub(super) async fn post(State(state): State<DoorState>) -> Json<Answer> {
    let reading = (state.shared.reload)().await;
    Json(Answer { recipes: (state.shared.recipes)(), reading })
}
