//! When wakes and replies to one sender are a loop. The thresholds and the
//! windows are those of the earlier thrall's second version; the total of a
//! sender is ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SenderLimits;
use crate::clock::{TimestampMs, Window};

/// How long a wake or a reply counts.
pub const WINDOW: Duration = Duration::from_secs(1800);

/// How long a mail that we began makes its recipient's mail an answer.
pub const SOLICITED: Duration = Duration::from_secs(3600);

/// Sessions that the earlier thrall made up for mail without one. A sender that
/// brings such a name has no session either.
const MADE_UP: &str = "resp:";

/// What the store knows of a sender when it is about to cause a wake or a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderHistory {
    /// Answers from here on count: the window's beginning, or the last trip.
    pub since: TimestampMs,
    pub in_session: u32,
    pub of_sender: u32,
    /// Let through in the last hour.
    pub in_hour: u32,
    /// We wrote to them first.
    pub solicited: bool,
}

/// The session under which answers are counted; empty is without.
pub fn counted_session(session_id: &str) -> &str {
    if session_id.starts_with(MADE_UP) { "" } else { session_id }
}

/// The window in which answers count, given when the sender last tripped its
/// breaker: whoever was let in again by removing it begins anew.
pub fn window(now: TimestampMs, last_trip: Option<TimestampMs>) -> Window {
    let window = Window::before(now, WINDOW);
    // A trip from while the clock was ahead is not to come.
    let trip = last_trip.filter(|trip| *trip <= window.until);
    Window { since: trip.map_or(window.since, |trip| trip.max(window.since)), ..window }
}

/// Answers in a session that are let through.
pub fn threshold(limits: &SenderLimits, session: &str, solicited: bool) -> u32 {
    let usual =
        if session.is_empty() { limits.loop_threshold_sessionless } else { limits.loop_threshold };
    if solicited { usual.saturating_mul(2) } else { usual }
}

/// Why one more wake or reply to this sender would be a loop.
pub fn judge(
    limits: &SenderLimits,
    sender_key: &str,
    session: &str,
    history: &SenderHistory,
) -> Option<String> {
    let allowed = threshold(limits, session, history.solicited);
    let solicited = if history.solicited { "True" } else { "False" };
    if history.in_session >= allowed {
        let named = if session.is_empty() { "default" } else { session };
        return Some(format!(
            "loop detected: {} replies from {sender_key} in session '{named}' \
             (threshold: {allowed}, solicited: {solicited})",
            history.in_session.saturating_add(1)
        ));
    }
    (history.of_sender >= limits.loop_threshold_sender).then(|| {
        format!(
            "loop detected: {} replies from {sender_key} over all sessions (threshold: {}, \
             solicited: {solicited})",
            history.of_sender.saturating_add(1),
            limits.loop_threshold_sender
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: TimestampMs = TimestampMs(1_772_271_101_000);

    fn fires(session: &str, in_session: u32, solicited: bool) -> bool {
        let history = SenderHistory { in_session, solicited, ..SenderHistory::default() };
        judge(&SenderLimits::default(), "ab", session, &history).is_some()
    }

    #[test]
    fn the_thresholds_are_the_earlier_thralls() {
        let first = |session: &str, solicited| {
            (0..100).find(|before| fires(session, *before, solicited)).map(|before| before + 1)
        };
        assert_eq!(first("s", false), Some(3));
        assert_eq!(first("", false), Some(6));
        assert_eq!(first("s", true), Some(5));
        assert_eq!(first("", true), Some(11));
    }

    #[test]
    fn the_reason_says_what_scripts_look_for() {
        let history = SenderHistory { in_session: 4, solicited: true, ..SenderHistory::default() };
        let reason = judge(&SenderLimits::default(), "ab", "s", &history).unwrap();
        assert!(reason.starts_with("loop detected") && reason.contains("solicited: True"));
    }

    #[test]
    fn made_up_sessions_are_none() {
        assert_eq!(counted_session("resp:aabb"), "");
        assert_eq!(counted_session("talk"), "talk");
    }

    #[test]
    fn a_trip_begins_anew_and_one_from_the_future_does_not() {
        let trip = TimestampMs(NOW.0 - 1000);
        assert_eq!(window(NOW, Some(trip)).since, trip);
        assert_eq!(window(NOW, Some(TimestampMs(1))), Window::before(NOW, WINDOW));
        let ahead = NOW.plus(Duration::from_secs(86_400));
        assert_eq!(window(NOW, Some(ahead)), Window::before(NOW, WINDOW));
    }

    /// What the store does, in memory: answers with their sessions and times.
    fn history(answers: &[(u8, u64)], session: u8, now: u64) -> SenderHistory {
        let within = |at: u64| at + WINDOW.as_secs() > now;
        let count = |wanted: &dyn Fn(u8) -> bool| {
            answers.iter().filter(|(s, at)| within(*at) && wanted(*s)).count() as u32
        };
        SenderHistory {
            in_session: count(&|s| s == session),
            of_sender: count(&|_| true),
            ..SenderHistory::default()
        }
    }

    proptest! {
        /// Whatever comes, no session gets more answers in a window than its
        /// threshold before it trips, and who stays under every one never does.
        #[test]
        fn no_loop_outlives_its_threshold_and_nobody_below_is_stopped(
            events in prop::collection::vec((0_u8..4, 1_u64..900), 1..60),
        ) {
            let limits = SenderLimits::default();
            let mut answers: Vec<(u8, u64)> = Vec::new();
            let mut now = 0;
            for (session, step) in events {
                now += step;
                let name = if session == 0 { String::new() } else { session.to_string() };
                let before = history(&answers, session, now);
                let allowed = threshold(&limits, &name, false);
                let is_loop = judge(&limits, "ab", &name, &before).is_some();
                let is_over = before.in_session + 1 > allowed
                    || before.of_sender + 1 > limits.loop_threshold_sender;
                prop_assert_eq!(is_loop, is_over);
                if is_loop {
                    break;
                }
                answers.push((session, now));
            }
        }
    }
}
