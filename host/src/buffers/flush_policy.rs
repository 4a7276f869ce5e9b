//! When a buffer is flushed: at once for a keyword in the message that was
//! just added, or when enough has gathered; by the clock otherwise.

use std::time::Duration;

use super::FlushCause;
use crate::clock::TimestampMs;

/// Words that put an item at the top of the agent's orientation.
pub const PRIORITY_WORDS: [&str; 4] = ["URGENT", "CRITICAL", "OUTAGE", "INCIDENT"];

/// The first of `words` that stands in `text` as a word of its own, whatever
/// its case. Blank words match nothing.
pub fn find_word<'a>(words: impl IntoIterator<Item = &'a str>, text: &str) -> Option<&'a str> {
    let mut words = words.into_iter().filter(|word| !word.trim().is_empty()).peekable();
    words.peek()?;
    let text = text.to_lowercase();
    words.find(|word| holds_word(&text, &word.trim().to_lowercase()))
}

/// A keyword counts before the threshold, as it is the more urgent reason.
/// `gathered` is the number of items waiting, the new one included; a
/// threshold of 0 means none.
pub fn after_compile(
    keyword: Option<&str>,
    summon_threshold: u32,
    gathered: u32,
) -> Option<FlushCause> {
    if let Some(word) = keyword {
        return Some(FlushCause::Keyword(word.to_owned()));
    }
    (summon_threshold > 0 && gathered >= summon_threshold)
        .then_some(FlushCause::Threshold(gathered))
}

/// Due when the oldest item has waited for the interval and the last flush is
/// as long ago: a restart alone makes nothing due. An item that lies further
/// ahead than the interval was collected while the clock was ahead: it is due,
/// instead of waiting until the clock is there again.
pub fn by_timer(
    now: TimestampMs,
    oldest_item: TimestampMs,
    last_flush: Option<TimestampMs>,
    interval: Duration,
) -> Option<FlushCause> {
    let start = start(oldest_item, last_flush);
    let is_due = start.plus(interval) <= now || start > now.plus(interval);
    is_due.then(|| {
        let waited = Duration::from_millis(now.0.saturating_sub(start.0));
        FlushCause::Timer(waited.as_secs())
    })
}

/// When the clock flushes what waits, if nothing does so before.
pub fn timer_at(
    oldest_item: TimestampMs,
    last_flush: Option<TimestampMs>,
    interval: Duration,
) -> TimestampMs {
    start(oldest_item, last_flush).plus(interval)
}

/// From when on the interval counts.
fn start(oldest_item: TimestampMs, last_flush: Option<TimestampMs>) -> TimestampMs {
    last_flush.map_or(oldest_item, |last| last.max(oldest_item))
}

/// Both in lower case. A side of the word that is not a letter, digit or `_`
/// needs no boundary.
fn holds_word(text: &str, word: &str) -> bool {
    let is_word_char = |c: char| c.is_alphanumeric() || c == '_';
    let bound_left = word.chars().next().is_some_and(is_word_char);
    let bound_right = word.chars().next_back().is_some_and(is_word_char);
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|tail| tail.chars().next());
        let joins_left = bound_left && before.is_some_and(is_word_char);
        let joins_right = bound_right && after.is_some_and(is_word_char);
        !joins_left && !joins_right
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_whole_words_in_any_case() {
        let words = ["urgent", "server down"];
        for (text, found) in [
            ("This is URGENT!", Some("urgent")),
            ("urgently needed", None),
            ("insurgent", None),
            ("not_urgent", None),
            ("the Server Down again", Some("server down")),
            ("", None),
        ] {
            assert_eq!(find_word(words, text), found, "{text:?}");
        }
        assert_eq!(find_word(["ÄRGER"], "so ein ärger."), Some("ÄRGER"));
        assert_eq!(find_word(["", "  "], "anything"), None);
    }

    #[test]
    fn keyword_first_then_threshold() {
        assert_eq!(after_compile(Some("bug"), 5, 5), Some(FlushCause::Keyword("bug".into())));
        assert_eq!(after_compile(None, 5, 4), None);
        assert_eq!(after_compile(None, 5, 5), Some(FlushCause::Threshold(5)));
        assert_eq!(after_compile(None, 0, 500), None);
    }

    #[test]
    fn the_timer_waits_for_the_item_and_for_the_last_flush() {
        let hour = Duration::from_secs(3600);
        let at = |seconds: u64| TimestampMs(seconds * 1000);
        assert_eq!(by_timer(at(3599), at(0), None, hour), None);
        assert_eq!(by_timer(at(3600), at(0), None, hour), Some(FlushCause::Timer(3600)));
        assert_eq!(by_timer(at(4000), at(100), Some(at(1000)), hour), None);
        assert_eq!(by_timer(at(9000), at(8000), Some(at(0)), hour), None);
        // The clock was set back: by less than the interval, and by more.
        assert_eq!(by_timer(at(100), at(3700), None, hour), None);
        assert_eq!(by_timer(at(100), at(3701), None, hour), Some(FlushCause::Timer(0)));
    }
}
