//! `[guard]`: how much one sender may cause, and how much there may be in all.

use super::file::section;
use crate::sender_limits::SenderLimits;
use crate::strict_toml::Table;

/// A limit beyond it is none.
const MAX_COUNT: i64 = 100_000;

pub(super) fn limits(top: &Table<'_>) -> SenderLimits {
    let usual = SenderLimits::default();
    let Some(table) = section(top, "guard") else { return usual };
    let count =
        |key: &str, least: i64, usual: u32| table.integer(key, least..=MAX_COUNT).unwrap_or(usual);
    SenderLimits {
        loop_threshold: count("loop_threshold", 1, usual.loop_threshold),
        loop_threshold_sessionless: count(
            "loop_threshold_sessionless",
            1,
            usual.loop_threshold_sessionless,
        ),
        loop_threshold_sender: count("loop_threshold_sender", 1, usual.loop_threshold_sender),
        knock_threshold: count("knock_threshold", 1, usual.knock_threshold),
        answers_per_hour_per_node: count(
            "max_replies_per_hour_per_node",
            0,
            usual.answers_per_hour_per_node,
        ),
        wakes_per_hour: count("max_wakes_per_hour", 0, usual.wakes_per_hour),
        replies_per_hour: count("max_replies_per_hour", 0, usual.replies_per_hour),
        mails_per_hour: count("max_mails_per_hour", 0, usual.mails_per_hour),
    }
}
