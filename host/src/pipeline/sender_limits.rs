//! The guard's second look: what a wake, a reply or a mail means for the limits
//! of the sender whose event led to it. Reads the facts, leaves the judging to
//! [`crate::sender_limits`], and notes the assumptions that the writer checks
//! again.

use super::RunInput;
use super::ports::{FactError, Ports};
use super::record::RunRecord;
use crate::clock::Window;
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, result_event, sender};
use crate::journal::Assumption;
use crate::sender_limits::{SenderLimits, loops};

/// Why an operation is held back.
pub(super) enum Held {
    /// Its sender is stopped.
    Loop(String),
    /// Not now.
    Rate(String),
}

/// Events that somebody's mail is behind.
const MAIL: [&str; 3] = ["on_mail", "on_action", result_event::TRIGGER];

/// Under which key and session an event counts; `None` for what no mail is
/// behind.
pub(super) fn counted(envelope: &Envelope) -> Option<(String, &str)> {
    let from_node = envelope.text("from_node");
    let is_mail = MAIL.contains(&envelope.trigger.as_str()) && sender::is_node_id(from_node);
    is_mail.then(|| {
        (sender::sender_key(from_node), loops::counted_session(envelope.text("session_id")))
    })
}

/// How much of a bound on an hour an event may use up. What strangers send ends
/// at the middle: the rest is kept for the team and for known senders. Events
/// that nobody sent may use it all.
pub(super) fn share_of_hour(input: RunInput<'_>, kind: &str, bound: u32) -> u32 {
    if is_shared(input, kind) { bound.div_ceil(2) } else { bound }
}

/// Whether a stranger's event asks for what the team needs as well.
pub(super) fn is_shared(input: RunInput<'_>, kind: &str) -> bool {
    let is_strange = input.tier == Tier::Unknown && input.envelope.sender().is_some();
    is_strange && matches!(kind, "wake" | "reply")
}

/// Looks at an operation that is granted. `in_plan` is what the same plan has
/// let through already.
pub(super) fn check(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    kind: &str,
    in_plan: u32,
) -> Result<Option<Held>, FactError> {
    let Some((key, session)) = counted(input.envelope) else { return Ok(None) };
    let limits = input.limits;
    let root = input.envelope.root.as_ref().map_or(input.seq, |root| root.seq);
    let history = match run.inputs.sender_history {
        Some(history) => history,
        None => ports.facts.sender_history(&key, session, root, input.now)?,
    };
    run.inputs.sender_history = Some(history);
    let window = Window { since: history.since, ..Window::before(input.now, loops::WINDOW) };
    if kind != "mail" {
        if let Some(reason) = loops::judge(limits, &key, session, &history) {
            return Ok(Some(Held::Loop(reason)));
        }
        let in_session = loops::threshold(limits, session, history.solicited);
        for (session, below) in
            [(Some(session.to_owned()), in_session), (None, limits.loop_threshold_sender)]
        {
            let sender_key = key.clone();
            run.assumptions.push(Assumption::AnswersBelow {
                sender_key,
                session,
                root,
                window,
                below,
            });
        }
    }
    let bound = limits.answers_per_hour_per_node;
    let in_hour = history.in_hour.saturating_add(in_plan);
    if in_hour >= bound {
        return Ok(Some(Held::Rate(format!(
            "{in_hour} wakes, replies and mails for {key} in an hour: \
             max_replies_per_hour_per_node = {bound} in [guard] of thrall.toml"
        ))));
    }
    run.assumptions.push(Assumption::LetThroughBelow {
        sender_key: key,
        window: Window::before(input.now, SenderLimits::HOUR),
        below: bound.saturating_sub(in_plan),
    });
    Ok(None)
}
