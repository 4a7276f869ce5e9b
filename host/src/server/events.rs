//! `POST /thrall/events`: one envelope as a JSON object, or several as JSON
//! Lines. Answered when they are durable (202), not when they are decided.
//! A malformed envelope is refused for itself and does not stop the rest; a
//! trigger that the source may not bring, or no room, refuses the request.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::DoorState;
use super::problem::Problem;
use crate::engine::SubmitError;
use crate::envelope::json::{self, Refusal};
use crate::store::Accepted;

/// At most this many envelopes in one request.
const MAX_BATCH: usize = 256;

/// What became of one envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum EventAnswer {
    Accepted { seq: i64, id_conflict: bool },
    Duplicate { seq: i64, journal_id: Option<i64> },
    Refused { code: String, reason: String },
}

pub(super) async fn post(
    State(DoorState { shared, source, .. }): State<DoorState>,
    body: Bytes,
) -> Result<Response, Problem> {
    let lines: Vec<&[u8]> = split_envelopes(&body);
    if lines.is_empty() || lines.len() > MAX_BATCH {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_batch",
            format!("{} envelopes in the request, 1 to {MAX_BATCH} are taken", lines.len()),
        ));
    }
    let parsed: Vec<Result<_, Refusal>> = lines.iter().map(|line| json::parse(line)).collect();
    let drafts: Vec<_> = parsed.iter().filter_map(|draft| draft.as_ref().ok().cloned()).collect();
    let accepted = if drafts.is_empty() {
        Vec::new()
    } else {
        shared.engine.submit(&source, drafts).await.map_err(to_problem)?
    };
    let mut accepted = accepted.into_iter();
    let mut answers: Vec<EventAnswer> = Vec::with_capacity(parsed.len());
    for draft in parsed {
        match draft {
            Ok(_) => answers.extend(accepted.next().map(to_answer)),
            Err(refusal) => {
                shared.engine.count_refusal(&source.name, refusal.code()).await;
                answers.push(EventAnswer::Refused {
                    code: refusal.code().to_owned(),
                    reason: refusal.to_string(),
                });
            }
        }
    }
    let all_refused = answers.iter().all(|answer| matches!(answer, EventAnswer::Refused { .. }));
    let status = if all_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::ACCEPTED };
    Ok((status, Json(answers)).into_response())
}

/// A body that is one object, even over several lines, is one envelope;
/// anything else is JSON Lines.
fn split_envelopes(body: &[u8]) -> Vec<&[u8]> {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        return vec![body];
    }
    body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect()
}

fn to_answer(accepted: Accepted) -> EventAnswer {
    match accepted {
        Accepted::New { seq, conflict } => EventAnswer::Accepted { seq, id_conflict: conflict },
        Accepted::Duplicate { seq, first_journal_id } => {
            EventAnswer::Duplicate { seq, journal_id: first_journal_id }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn to_problem(error: SubmitError) -> Problem {
    let (status, code) = match &error {
        SubmitError::NotAllowed { .. } => (StatusCode::FORBIDDEN, SubmitError::NOT_ALLOWED),
        SubmitError::Full(full) => (StatusCode::TOO_MANY_REQUESTS, full.code()),
        SubmitError::Closing => (StatusCode::SERVICE_UNAVAILABLE, "closing"),
        SubmitError::Disabled => (StatusCode::SERVICE_UNAVAILABLE, "disabled"),
        SubmitError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    };
    let detail = match &error {
        SubmitError::Store(cause) => format!("{error}: {}", cause.chain()),
        _ => error.to_string(),
    };
    Problem::new(status, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_may_span_lines_and_several_stand_one_a_line() {
        assert_eq!(split_envelopes(b"{\n\"a\":\n1}").len(), 1);
        assert_eq!(split_envelopes(b"{\"a\":1}\n\n{\"b\":2}\n").len(), 2);
        assert_eq!(split_envelopes(b"").len(), 0);
    }
}
