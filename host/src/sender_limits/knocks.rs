//! When drops of one sender are a knock: somebody tries for long, and the agent
//! is told once in a window.

use std::time::Duration;

use crate::clock::{TimestampMs, Window};

/// How long a drop counts, and how long the agent is not told again.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// The window in which drops count; `None` while the agent knows of this sender.
pub fn window(now: TimestampMs, last_told: Option<TimestampMs>) -> Option<Window> {
    let window = Window::before(now, WINDOW);
    let knows = last_told.is_some_and(|told| told > window.since && told <= window.until);
    (!knows).then_some(window)
}

/// What the agent is told: how many, and what the last ones were dropped for.
pub fn reason(sender_key: &str, drops: u32, last_reasons: &[String]) -> String {
    let shown = last_reasons.join("; ");
    format!("sustained drops from {sender_key}: {drops} in an hour, last: {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_772_271_101_000);

    #[test]
    fn once_told_is_enough_for_a_window() {
        let ago = |seconds: u64| Some(TimestampMs(NOW.0 - seconds * 1000));
        assert!(window(NOW, None).is_some());
        assert!(window(NOW, ago(10)).is_none() && window(NOW, ago(3599)).is_none());
        assert!(window(NOW, ago(3600)).is_some());
        // Told while the clock was ahead: that is not to come.
        assert!(window(NOW, Some(NOW.plus(Duration::from_secs(7200)))).is_some());
    }
}
