//! When failures switch a recipe off: five in a row, and not because of one
//! sender. Pure bookkeeping; what a failure is, and what follows a trip, is the
//! caller's concern.
//!
//! A streak is the failures of one revision since its last success. It trips
//! with its fifth failure if at least three senders stand behind it, or if five
//! of its failures were on events that the host made itself. Fewer than three
//! senders never trip it, however often they fail: one hostile sender cannot
//! switch a recipe off. Their failures go on counting, so that the third sender
//! trips it at once.

use std::collections::HashMap;

use crate::ids::Digest;

/// Failures in a row.
pub const FAILURES: u32 = 5;
/// Senders behind a streak whose events were not made by the host.
pub const SENDERS: usize = 3;
/// Revisions that are watched at once; beyond it the one that has been quiet
/// for longest is forgotten.
pub const MAX_STREAKS: usize = 256;

/// Whom a run was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderOfRun<'a> {
    /// By sender key; empty for an event without a sender that a source
    /// brought. An event that a recipe triggered has the sender of its root.
    Node(&'a str),
    /// Nobody outside had a hand in it: a tick.
    HostMade,
}

/// A recipe has to be switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub recipe: String,
    pub revision: Digest,
    /// Failures in a row, the last included.
    pub failures: u32,
    /// Some of the senders behind them; empty if the host made the events.
    pub senders: Vec<String>,
}

/// Counts failures of every recipe.
#[derive(Debug, Default)]
pub struct TripWire {
    streaks: HashMap<(String, Digest), Streak>,
    /// Grows with each failure: tells which streak has been quiet for longest.
    turn: u64,
}

#[derive(Debug, Default)]
struct Streak {
    failures: u32,
    host_made: u32,
    /// The first [`SENDERS`] different ones; more need not be known.
    senders: Vec<String>,
    last: u64,
}

impl Streak {
    fn trips(&self) -> bool {
        self.host_made >= FAILURES || (self.failures >= FAILURES && self.senders.len() >= SENDERS)
    }
}

impl TripWire {
    /// Takes the end of one run. A trip is told once; after it the streak
    /// begins anew.
    pub fn record(
        &mut self,
        recipe: &str,
        revision: &Digest,
        sender: SenderOfRun<'_>,
        failed: bool,
    ) -> Option<Trip> {
        let key = (recipe.to_owned(), *revision);
        if !failed {
            self.streaks.remove(&key);
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        if !self.streaks.contains_key(&key) {
            self.make_room();
        }
        let streak = self.streaks.entry(key.clone()).or_default();
        streak.last = self.turn;
        streak.failures = streak.failures.saturating_add(1);
        match sender {
            SenderOfRun::HostMade => streak.host_made = streak.host_made.saturating_add(1),
            SenderOfRun::Node(sender) => {
                if streak.senders.len() < SENDERS && streak.senders.iter().all(|one| one != sender)
                {
                    streak.senders.push(sender.to_owned());
                }
            }
        }
        if !streak.trips() {
            return None;
        }
        let Streak { failures, senders, .. } = self.streaks.remove(&key)?;
        let (recipe, revision) = key;
        Some(Trip { recipe, revision, failures, senders })
    }

    fn make_room(&mut self) {
        if self.streaks.len() < MAX_STREAKS {
            return;
        }
        let quietest = self.streaks.iter().min_by_key(|(_, streak)| streak.last);
        if let Some(key) = quietest.map(|(key, _)| key.clone()) {
            self.streaks.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn revision(n: u8) -> Digest {
        Digest([n; 32])
    }

    fn fails(wire: &mut TripWire, sender: SenderOfRun<'_>) -> Option<Trip> {
        wire.record("triage", &revision(1), sender, true)
    }

    #[test]
    fn one_hostile_sender_never_trips_and_a_third_one_does_at_once() {
        let mut wire = TripWire::default();
        for _ in 0..10_000 {
            assert_eq!(fails(&mut wire, SenderOfRun::Node("mallory")), None);
        }
        assert_eq!(fails(&mut wire, SenderOfRun::Node("alice")), None);
        let trip = fails(&mut wire, SenderOfRun::Node("bob")).unwrap();
        assert_eq!((trip.recipe.as_str(), trip.revision), ("triage", revision(1)));
        assert_eq!(
            (trip.failures, trip.senders),
            (10_002, vec!["mallory".into(), "alice".into(), "bob".into()])
        );
        assert_eq!(fails(&mut wire, SenderOfRun::Node("bob")), None, "it begins anew");
    }

    #[test]
    fn five_ticks_trip_and_a_success_begins_anew() {
        let mut wire = TripWire::default();
        for _ in 0..4 {
            assert_eq!(fails(&mut wire, SenderOfRun::HostMade), None);
        }
        wire.record("triage", &revision(1), SenderOfRun::HostMade, false);
        for _ in 0..4 {
            assert_eq!(fails(&mut wire, SenderOfRun::HostMade), None);
        }
        let trip = fails(&mut wire, SenderOfRun::HostMade).unwrap();
        assert_eq!((trip.failures, trip.senders.len()), (5, 0));
    }

    #[test]
    fn ticks_do_not_lend_a_sender_their_weight() {
        let mut wire = TripWire::default();
        for _ in 0..4 {
            assert_eq!(fails(&mut wire, SenderOfRun::HostMade), None);
            assert_eq!(fails(&mut wire, SenderOfRun::Node("mallory")), None);
        }
        assert!(fails(&mut wire, SenderOfRun::HostMade).is_some());
    }

    #[test]
    fn a_late_run_of_an_old_revision_does_not_touch_the_new_one() {
        let mut wire = TripWire::default();
        for _ in 0..4 {
            fails(&mut wire, SenderOfRun::HostMade);
        }
        wire.record("triage", &revision(0), SenderOfRun::HostMade, false);
        assert_eq!(wire.record("triage", &revision(0), SenderOfRun::HostMade, true), None);
        assert!(fails(&mut wire, SenderOfRun::HostMade).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_quietest_goes_first() {
        let mut wire = TripWire::default();
        for n in 0..MAX_STREAKS + 100 {
            wire.record(&format!("r{n}"), &revision(1), SenderOfRun::HostMade, true);
            wire.record("r0", &revision(1), SenderOfRun::Node("mallory"), true);
        }
        assert_eq!(wire.streaks.len(), MAX_STREAKS);
        let is_watched = |name: &str| wire.streaks.contains_key(&(name.to_owned(), revision(1)));
        assert!(is_watched("r0") && !is_watched("r1") && is_watched("r355"));
        assert!(wire.streaks.values().all(|streak| streak.senders.len() <= SENDERS));
    }

    /// The rule as it is told, over the whole history.
    fn expected(history: &[(u8, bool)]) -> bool {
        let streak: Vec<u8> = history
            .iter()
            .rev()
            .take_while(|(_, failed)| *failed)
            .map(|(sender, _)| *sender)
            .collect();
        let host_made = streak.iter().filter(|sender| **sender == 0).count();
        let senders: BTreeSet<u8> = streak.iter().copied().filter(|sender| *sender != 0).collect();
        host_made >= 5 || (streak.len() >= 5 && senders.len() >= 3)
    }

    proptest! {
        #[test]
        fn trips_exactly_when_the_rule_says(
            runs in proptest::collection::vec((0u8..5, proptest::bool::weighted(0.9)), 0..200),
        ) {
            let mut wire = TripWire::default();
            let mut since_trip: Vec<(u8, bool)> = Vec::new();
            for (sender, failed) in runs {
                since_trip.push((sender, failed));
                let name = sender.to_string();
                let who = if sender == 0 { SenderOfRun::HostMade } else { SenderOfRun::Node(&name) };
                let trip = wire.record("triage", &revision(1), who, failed);
                prop_assert_eq!(trip.is_some(), failed && expected(&since_trip));
                if trip.is_some() {
                    since_trip.clear();
                }
            }
        }

        #[test]
        fn one_or_two_senders_never_trip(runs in proptest::collection::vec((0u8..2, any::<bool>()), 0..300)) {
            let mut wire = TripWire::default();
            for (sender, failed) in runs {
                let name = sender.to_string();
                let trip = wire.record("triage", &revision(1), SenderOfRun::Node(&name), failed);
                prop_assert_eq!(trip, None);
            }
        }

        #[test]
        fn recipes_do_not_touch_each_other(
            runs in proptest::collection::vec((0usize..3, 0u8..5, proptest::bool::weighted(0.8)), 0..200),
        ) {
            let mut shared = TripWire::default();
            let mut own: [TripWire; 3] = Default::default();
            for (recipe, sender, failed) in runs {
                let names = (recipe.to_string(), sender.to_string());
                let who = if sender == 0 { SenderOfRun::HostMade } else { SenderOfRun::Node(&names.1) };
                let together = shared.record(&names.0, &revision(1), who, failed);
                let alone = own[recipe].record(&names.0, &revision(1), who, failed);
                prop_assert_eq!(together, alone);
            }
        }
    }
}
