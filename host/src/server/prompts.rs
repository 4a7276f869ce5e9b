//! Prompts: `GET /thrall/prompts` lists them, `GET /thrall/prompts/{name}` shows
//! one (`version`, the beginning of one, for another than the version in use).
//! `POST /thrall/prompts` puts one in use; its body is the prompt itself, a
//! prompt file, or with `form=text` bare text, which needs `name`. `POST
//! /thrall/prompts/{name}/rollback` puts an earlier version (`to`) in use again.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::DoorState;
use super::problem::Problem;
use crate::app::prompt_desk::{Back, NewPrompt, PromptRefusal};
use crate::app::prompt_listings::{self, PromptStory, PromptsListing};
use crate::ids::nearest;
use crate::model::PromptForm;
use crate::model::prompt::PromptError;
use crate::store::PromptChange;

pub(super) async fn list(
    State(DoorState { shared, .. }): State<DoorState>,
) -> Result<Json<PromptsListing>, Problem> {
    (shared.prompts)().map(Json).map_err(|error| problem(&error.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    version: Option<String>,
}

pub(super) async fn get(
    State(DoorState { shared, .. }): State<DoorState>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<PromptStory>, Problem> {
    prompt_listings::one(shared.engine.reader(), &name, which.version.as_deref())
        .map(Json)
        .map_err(|error| problem(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    name: Option<String>,
    form: Option<String>,
}

pub(super) async fn post(
    State(DoorState { shared, role, .. }): State<DoorState>,
    Query(load): Query<Load>,
    body: Bytes,
) -> Result<Json<PromptChange>, Problem> {
    let word = load.form.as_deref().unwrap_or(PromptForm::Toml.as_str());
    let form = PromptForm::from_word(word).ok_or_else(|| {
        let near = nearest(word, PromptForm::WORDS);
        let hint = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
        let words = PromptForm::WORDS.join(" or ");
        let what = format!("a prompt's form is {words}{hint}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_prompt", what)
    })?;
    let new =
        NewPrompt { name: load.name, form, content: body.to_vec(), by: role.as_str().to_owned() };
    (shared.load_prompt)(new).await.map(Json).map_err(|error| problem(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct To {
    to: Option<String>,
}

pub(super) async fn roll_back(
    State(DoorState { shared, role, .. }): State<DoorState>,
    Path(name): Path<String>,
    Query(To { to }): Query<To>,
) -> Result<Json<PromptChange>, Problem> {
    let back = Back { name, to, by: role.as_str().to_owned() };
    (shared.roll_prompt_back)(back).await.map(Json).map_err(|error| problem(&error))
}

fn problem(refusal: &PromptRefusal) -> Problem {
    let (status, code) = match refusal {
        PromptRefusal::Bad(PromptError::Name(_)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "bad_prompt_name")
        }
        PromptRefusal::Bad(_) | PromptRefusal::NotText | PromptRefusal::NoName => {
            (StatusCode::UNPROCESSABLE_ENTITY, "bad_prompt")
        }
        PromptRefusal::Unknown(_) => (StatusCode::NOT_FOUND, "no_such_prompt"),
        PromptRefusal::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    };
    Problem::new(status, code, refusal.to_string())
}
