//! From an outbox row to the call that a node gets. Pure but for the call.

use serde_json::Value;

use super::node::{Attempt, MailCall, Node, WakeCall};
use crate::buffers::wake_body;
use crate::ids::Digest;
use crate::store::{OutboxRow, WAKE};

/// In the middle; wakes without one are not made any more.
const USUAL_PRIORITY: u8 = 5;

/// Sends a row. One that cannot be read is refused, not guessed at.
pub(super) fn send(node: &dyn Node, row: &OutboxRow) -> Attempt {
    let key = key(row);
    let Ok(body) = serde_json::from_str::<Value>(&row.body) else {
        return unreadable();
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match row.kind.as_str() {
        WAKE => {
            let of_buffer = format!("thrall:{}", text("buffer").unwrap_or("direct"));
            let is_alert = text("type") == Some("thrall_breaker");
            node.wake(
                &key,
                WakeCall {
                    body: &row.body,
                    session: if is_alert { wake_body::ALERT_SESSION } else { &of_buffer },
                    capability: row.capability.as_deref().unwrap_or_default(),
                    priority: row.priority.unwrap_or(USUAL_PRIORITY),
                    mode: row.mode,
                },
            )
        }
        "reply" => match (text("to_node"), text("session_id"), body.get("body")) {
            (Some(to_node), Some(session), Some(body)) => {
                node.mail(&key, MailCall { to_node, session, body: &body.to_string() })
            }
            _ => unreadable(),
        },
        "mail" => match (text("to_node"), text("session"), text("body_json")) {
            (Some(to_node), Some(session), Some(body)) => {
                node.mail(&key, MailCall { to_node, session, body })
            }
            _ => unreadable(),
        },
        "skill" => match (text("skill"), text("input_json")) {
            (Some(skill), Some(input)) => node.skill(&key, skill, input),
            _ => unreadable(),
        },
        other => Attempt::Refused { why: format!("no node performs {other}"), answer: None },
    }
}

fn unreadable() -> Attempt {
    Attempt::Refused { why: "its row cannot be read".to_owned(), answer: None }
}

/// The same for every attempt at a row, and for no other row of any home that
/// was restored from this one before it was written.
fn key(row: &OutboxRow) -> String {
    let parts: [&[u8]; 3] =
        [b"thrall outbox 1", &row.id.to_be_bytes(), &row.created_at.0.to_be_bytes()];
    Digest::of_parts(&parts).to_string().chars().take(32).collect()
}
