//! Time as a dependency. Logic takes `now` as an argument; only the edges hold
//! a [`Clock`]. Tests hold a [`SimClock`] and move it by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TimestampMs(pub u64);

impl TimestampMs {
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// For SQLite, whose integers are signed.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub fn from_i64(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or(0))
    }

    /// As Python's `isoformat` writes it; empty beyond the calendar.
    pub fn to_iso(self) -> String {
        jiff::Timestamp::from_millisecond(self.as_i64())
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00").to_string())
            .unwrap_or_default()
    }

    /// `2026-02-28 09:31:41`, the form of thrall.log, in UTC.
    pub fn to_log_form(self) -> String {
        jiff::Timestamp::from_millisecond(self.as_i64())
            .map_or_else(|_| "-".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }
}

/// How far what others did at the same time may seem to lie ahead: as long as a
/// run may take.
const SLACK: Duration = Duration::from_secs(60);

/// The span in which a bound counts. It ends a little after the present moment:
/// what lies later was written while the clock was ahead, and counting it would
/// shut its sender out until the clock is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Itself outside.
    pub since: TimestampMs,
    /// Itself inside.
    pub until: TimestampMs,
}

impl Window {
    pub fn before(now: TimestampMs, length: Duration) -> Self {
        Self { since: now.minus(length), until: now.plus(SLACK) }
    }
}

/// Where the present moment comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> TimestampMs;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct SimClock(AtomicU64);

impl SimClock {
    pub fn at(now: TimestampMs) -> Self {
        Self(AtomicU64::new(now.0))
    }

    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Jumps, also back.
    pub fn set(&self, now: TimestampMs) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }
}
