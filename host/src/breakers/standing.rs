//! The breakers that stand, in memory: whoever is looked up costs a comparison,
//! and no file is touched. Each lookup is judged at its own `now`, so that one
//! stops to hold at the moment when it expires. Pure; the files are kept in step
//! by `capabilities/standing_breakers.rs`.

use std::collections::HashMap;
use std::time::Duration;

use super::breaker_file::{BreakerFile, Trip};
use super::met::Stopped;
use super::target::Target;
use crate::clock::TimestampMs;

/// How far ahead a trip may seem to lie before the clock is to blame.
const SLACK: Duration = Duration::from_secs(60);

/// One that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub target: Target,
    pub file: BreakerFile,
    /// When its file was written last, for one that does not say when it was
    /// tripped.
    pub written: TimestampMs,
    /// Not in its file yet, and why if that was tried.
    pub unwritten: Option<String>,
    tripped_at: Option<TimestampMs>,
    expires_at: Option<TimestampMs>,
    /// It was tripped while the clock was ahead, and first seen then.
    ahead_since: Option<TimestampMs>,
}

impl Held {
    fn new(
        target: Target,
        file: BreakerFile,
        written: TimestampMs,
        unwritten: Option<String>,
    ) -> Self {
        let (tripped_at, expires_at) = (file.tripped_at(), file.expires_at());
        Self { target, file, written, unwritten, tripped_at, expires_at, ahead_since: None }
    }

    /// When it ends. One that was tripped while the clock was ahead lasts its
    /// own length from when it was seen, not until the clock is there again.
    pub fn ends(&self, now: TimestampMs) -> Option<TimestampMs> {
        let end = self.expires_at?;
        match (self.tripped_at, self.ahead_since) {
            (Some(tripped), Some(since)) if tripped > now.plus(SLACK) => {
                let length = end.0.saturating_sub(tripped.0);
                Some(since.plus(Duration::from_millis(length)))
            }
            _ => Some(end),
        }
    }

    pub fn holds(&self, now: TimestampMs) -> bool {
        self.ends(now).is_none_or(|end| now <= end)
    }

    /// Since when it stands.
    pub fn since(&self) -> TimestampMs {
        self.tripped_at.unwrap_or(self.written)
    }

    fn notice(&mut self, now: TimestampMs) {
        let is_ahead = self.tripped_at.is_some_and(|at| at > now.plus(SLACK));
        if is_ahead && self.ahead_since.is_none_or(|since| since > now.plus(SLACK)) {
            self.ahead_since = Some(now);
        }
    }
}

/// All that stand, by target.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    held: HashMap<String, Held>,
}

impl Standing {
    /// The first of these targets that is stopped.
    pub fn stop<T: AsRef<str>>(&self, targets: &[T], now: TimestampMs) -> Option<Stopped> {
        targets.iter().map(AsRef::as_ref).find_map(|target| {
            let held = self.held.get(target).filter(|held| held.holds(now))?;
            Some(Stopped { target: target.to_owned(), reason: held.file.short_reason() })
        })
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn get(&self, target: &Target) -> Option<&Held> {
        self.held.get(target.as_str())
    }

    /// By target.
    pub fn list(&self) -> Vec<&Held> {
        let mut all: Vec<&Held> = self.held.values().collect();
        all.sort_unstable_by(|a, b| a.target.cmp(&b.target));
        all
    }

    /// Trips: it stands from now on, and is to be written. An operation that
    /// has tripped it already changes nothing, and says so with `false`.
    pub fn trip(&mut self, trip: &Trip<'_>) -> bool {
        let before = self.get(trip.target).filter(|held| held.holds(trip.at));
        if before.is_some_and(|held| held.file.counts(trip.operation)) {
            return false;
        }
        let file = trip.file(before.map(|held| &held.file));
        let held = Held::new(trip.target.clone(), file, trip.at, Some(String::new()));
        self.put(held, trip.at);
        true
    }

    /// Takes what its file says, unless a trip is newer than that. True if
    /// nothing stood before.
    pub fn read(
        &mut self,
        target: &Target,
        file: BreakerFile,
        written: TimestampMs,
        now: TimestampMs,
    ) -> bool {
        if self.get(target).is_some_and(|held| held.unwritten.is_some()) {
            return false;
        }
        let known = self.get(target).map(|held| held.ahead_since);
        let mut held = Held::new(target.clone(), file, written, None);
        held.ahead_since = known.flatten();
        self.put(held, now);
        known.is_none()
    }

    fn put(&mut self, mut held: Held, now: TimestampMs) {
        held.notice(now);
        self.held.insert(held.target.as_str().to_owned(), held);
    }

    /// Notes that a file has this content now, or why it has not.
    pub fn written(&mut self, target: &Target, content: &BreakerFile, outcome: Result<(), String>) {
        // Tripped again meanwhile: it is to be written once more.
        if let Some(held) = self.held.get_mut(target.as_str()).filter(|one| one.file == *content) {
            held.unwritten = outcome.err();
        }
    }

    pub fn clear(&mut self, target: &Target) -> Option<Held> {
        self.held.remove(target.as_str())
    }

    /// Its file is gone: so is the breaker, unless a trip is newer than that.
    pub fn clear_written(&mut self, target: &Target) -> Option<Held> {
        self.get(target).filter(|held| held.unwritten.is_none())?;
        self.clear(target)
    }

    /// Takes out what has expired: it does not come back, however the clock
    /// jumps.
    pub fn sweep(&mut self, now: TimestampMs) -> Vec<Held> {
        self.held.values_mut().for_each(|held| held.notice(now));
        let mut gone: Vec<Held> =
            self.held.extract_if(|_, held| !held.holds(now)).map(|(_, held)| held).collect();
        gone.sort_unstable_by(|a, b| a.target.cmp(&b.target));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_772_271_101_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    fn trip(standing: &mut Standing, text: &str, at: TimestampMs, operation: &str) -> bool {
        let target = target(text);
        standing.trip(&Trip { target: &target, reason: "loop", at, expires_in_s: 3600, operation })
    }

    fn is_stopped(standing: &Standing, text: &str, now: TimestampMs) -> bool {
        standing.stop(&[text], now).is_some()
    }

    #[test]
    fn the_first_target_that_stands_is_the_one_that_is_told() {
        let mut standing = Standing::default();
        let asked = ["global", "aabbccddeeff0011", "skill:x"];
        assert_eq!(standing.stop(&asked, NOW), None);
        trip(&mut standing, "skill:x", NOW, "1");
        trip(&mut standing, "node:aabbccddeeff0011", NOW, "2");
        let stopped = standing.stop(&asked, NOW).unwrap();
        assert_eq!(stopped.to_string(), "breaker aabbccddeeff0011: loop");
        let later = NOW.plus(HOUR + Duration::from_millis(1));
        assert_eq!(standing.stop(&asked, later), None, "expired at once, swept or not");
    }

    #[test]
    fn what_is_swept_does_not_come_back_with_the_clock() {
        let mut standing = Standing::default();
        trip(&mut standing, "global", NOW, "1");
        assert_eq!(standing.sweep(NOW.plus(2 * HOUR)).len(), 1);
        assert!(!is_stopped(&standing, "global", NOW));
    }

    #[test]
    fn a_trip_from_a_clock_that_was_ahead_lasts_its_own_length() {
        let mut standing = Standing::default();
        let year = Duration::from_secs(365 * 24 * 3600);
        trip(&mut standing, "global", NOW.plus(year), "1");
        assert!(standing.sweep(NOW).is_empty());
        assert!(is_stopped(&standing, "global", NOW.plus(HOUR)));
        assert!(!is_stopped(&standing, "global", NOW.plus(HOUR + SLACK)));
        // A clock that was behind for a moment takes nothing away.
        let mut standing = Standing::default();
        trip(&mut standing, "global", NOW, "1");
        assert!(standing.sweep(TimestampMs(5)).is_empty());
        assert!(is_stopped(&standing, "global", NOW.plus(HOUR)));
    }
}
