//! How much one sender may cause: wakes and replies before it is a loop, drops
//! before it is a knock, and how many wakes, replies and mails there are in all.
//! Pure: counts come from the store, which decides again when it commits. The
//! breaker that a loop trips is in `breakers/`, what stops a blocked sender in
//! `pipeline/guard.rs`.

pub mod knocks;
pub mod loops;

use std::time::Duration;

/// The operator's numbers, `[guard]` in thrall.toml. Those of the earlier thrall
/// where it had them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderLimits {
    /// Wakes and replies in one session that are let through in
    /// [`loops::WINDOW`]; the next one is a loop.
    pub loop_threshold: u32,
    /// The same for what comes without a session.
    pub loop_threshold_sessionless: u32,
    /// The same over all sessions of a sender, so that a new session for each
    /// mail is no way out.
    pub loop_threshold_sender: u32,
    /// Drops in [`knocks::WINDOW`] at which the agent is told.
    pub knock_threshold: u32,
    /// Wakes, replies and mails that one sender may cause in an hour.
    pub answers_per_hour_per_node: u32,
    /// In all, whoever causes them.
    pub wakes_per_hour: u32,
    pub replies_per_hour: u32,
    pub mails_per_hour: u32,
}

impl Default for SenderLimits {
    fn default() -> Self {
        Self {
            loop_threshold: 2,
            loop_threshold_sessionless: 5,
            loop_threshold_sender: 10,
            knock_threshold: 10,
            answers_per_hour_per_node: 5,
            wakes_per_hour: 120,
            replies_per_hour: 120,
            mails_per_hour: 120,
        }
    }
}

impl SenderLimits {
    /// The window of the limits an hour.
    pub const HOUR: Duration = Duration::from_secs(3600);

    /// What a kind of operation may come to in an hour, whoever causes it.
    pub fn in_all(&self, kind: &str) -> Option<u32> {
        match kind {
            "wake" => Some(self.wakes_per_hour),
            "reply" => Some(self.replies_per_hour),
            "mail" => Some(self.mails_per_hour),
            _ => None,
        }
    }
}
