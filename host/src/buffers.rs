//! Buffers: named collections that `compile` fills and that a flush turns into
//! a briefing. Here are their nouns; when a buffer is flushed is decided in
//! `buffers/flush_policy.rs`, how a briefing and a wake read is in
//! `buffers/briefing.rs` and `buffers/wake_body.rs`. Pure: rows live in the
//! store, files are written by the outbox.

pub mod briefing;
pub mod flush_policy;
pub mod plain_text;
pub mod wake_body;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::TimestampMs;

/// One collected message. Every text in it is the sender's or a model's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferItem {
    pub at: TimestampMs,
    pub recipe: String,
    pub from_node: String,
    pub sender_key: String,
    pub tier: String,
    pub msg_type: String,
    pub session_id: String,
    pub action: String,
    pub reason: String,
    pub note: String,
    /// It holds one of [`flush_policy::PRIORITY_WORDS`].
    pub is_priority: bool,
    pub body: String,
    /// Lines of a log that are alike, of which `body` is the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lines: Option<GatheredLines>,
}

/// Many lines in the place of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatheredLines {
    pub file: String,
    /// What they have in common.
    pub template: String,
    pub count: u32,
    pub last_at: TimestampMs,
    pub last: String,
}

/// Why a buffer is flushed; shown in the words of the earlier thrall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlushCause {
    Keyword(String),
    /// With the number of items that had gathered.
    Threshold(u32),
    /// With the seconds that the oldest item had waited.
    Timer(u64),
    /// Somebody asked for it.
    Operator,
}

impl fmt::Display for FlushCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(word) => write!(f, "keyword:{word}"),
            Self::Threshold(count) => write!(f, "threshold:{count}"),
            Self::Timer(seconds) => write!(f, "timer:{seconds}s"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// When the clock flushes buffers, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlushRules {
    /// How long items wait at most.
    pub interval: Duration,
    /// The same for single buffers, by name.
    pub intervals: BTreeMap<String, Duration>,
    /// The operator's switch: the wake says that it is only to be reported on.
    pub dry_run: bool,
}

impl FlushRules {
    /// How long items of a buffer wait at most.
    pub fn interval_of(&self, buffer: &str) -> Duration {
        self.intervals.get(buffer).copied().unwrap_or(self.interval)
    }
}

/// What a flush is, apart from its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushHead {
    pub id: i64,
    pub buffer: String,
    pub cause: String,
    pub at: TimestampMs,
}

impl FlushHead {
    /// The file of one of its briefings, in the artifacts folder; they count from 0.
    pub fn artifact(&self, part: u32) -> String {
        briefing::file_name(self, part)
    }
}

/// A flush with all of its briefings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    pub head: FlushHead,
    /// How many they are.
    pub parts: u32,
}

impl Flush {
    pub fn artifacts(&self) -> impl Iterator<Item = String> {
        (0..self.parts).map(|part| self.head.artifact(part))
    }
}
