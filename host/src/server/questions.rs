//! `POST /thrall/questions`: one `on_mail_send` or `on_skill_request` as a JSON
//! object, answered with pass, redact or block when that is written down, and
//! with block when it takes too long. Who gets no answer at all must take it
//! for a block.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::DoorState;
use super::events::to_problem;
use super::problem::Problem;
use crate::envelope::{QUESTIONS, json};
use crate::pipeline::answer::Answer;

/// What somebody who asks is told.
#[derive(Serialize)]
pub(super) struct Answered {
    seq: i64,
    #[serde(flatten)]
    answer: Answer,
}

pub(super) async fn post(
    State(DoorState { shared, source, .. }): State<DoorState>,
    body: Bytes,
) -> Result<Json<Answered>, Problem> {
    let draft = json::parse(&body).map_err(|refusal| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), refusal.to_string())
    })?;
    if !QUESTIONS.contains(&draft.trigger.as_str()) {
        let what = format!("{:?} is no question: {}", draft.trigger, QUESTIONS.join(", "));
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_question", what));
    }
    let (seq, answer) = shared.engine.ask(&source, draft).await.map_err(to_problem)?;
    Ok(Json(Answered { seq, answer }))
}
