//! `GET /thrall/review`: runs that a person should look at, newest first, with
//! `recipe`, `state` and `limit`. `POST /thrall/review/{id}`: what somebody says
//! about one, `{"correction": "ACTION", "note": "..."}`, one of the recipe's own;
//! without a correction the decision was right. The operator's word counts, the agent's is a proposal.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::DoorState;
use super::problem::{Problem, unavailable};
use crate::roles::Role;
use crate::store::{Review, ReviewEntry, Reviewed};

const USUAL_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1000;
/// An action's name at its longest.
const MAX_CORRECTION_BYTES: usize = 64;
const MAX_NOTE_BYTES: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    recipe: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(DoorState { shared, .. }): State<DoorState>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<ReviewEntry>>, Problem> {
    let limit = asked.limit.unwrap_or(USUAL_LIMIT).min(MAX_LIMIT);
    let found =
        shared.engine.reader().reviews(asked.recipe.as_deref(), asked.state.as_deref(), limit);
    found.map(Json).map_err(|error| unavailable(&error))
}

/// What is said about a run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    #[serde(default)]
    pub correction: Option<String>,
    #[serde(default)]
    pub note: String,
}

pub(super) async fn post(
    State(DoorState { shared, role, .. }): State<DoorState>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let said: Said = if body.is_empty() {
        Said::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_review", error.to_string())
        })?
    };
    let is_too_long = said.note.len() > MAX_NOTE_BYTES
        || said.correction.as_ref().is_some_and(|action| action.len() > MAX_CORRECTION_BYTES);
    if is_too_long {
        let what = format!(
            "a correction has at most {MAX_CORRECTION_BYTES} bytes, a note {MAX_NOTE_BYTES}"
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_review", what));
    }
    let review = Review {
        journal_id: id,
        correction: said.correction,
        note: said.note,
        is_operator: role == Role::Operator,
        at: shared.engine.now(),
    };
    match shared.engine.review(review).await {
        Ok(Reviewed::Kept) => Ok(StatusCode::NO_CONTENT),
        Ok(Reviewed::NoSuchAction(why)) => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_action", why))
        }
        Ok(Reviewed::NoSuchDecision) => {
            let what = format!("journal row {id} is no decision of a recipe");
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_decision", what))
        }
        Err(error) => Err(unavailable(&error)),
    }
}
