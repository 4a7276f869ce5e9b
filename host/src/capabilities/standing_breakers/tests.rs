//! Breakers on real files, with the clock moved by hand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::breakers::MAX_BREAKER_BYTES;

const NOW: TimestampMs = TimestampMs(1_772_271_101_000);
const NODE: &str = "aabbccddeeff0011";

struct Test {
    temp: tempfile::TempDir,
    breakers: Breakers,
}

impl Test {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("secret"), "{\"reason\": \"SECRET\"}").unwrap();
        let breakers = Breakers::open(&temp.path().join("breakers"), NOW).unwrap();
        Self { temp, breakers }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join("breakers").join(name)
    }

    fn trip(&self, target: &str, operation: &str) -> io::Result<Option<BreakerFile>> {
        let target = Target::parse(target).unwrap();
        let trip = Trip { target: &target, reason: "loop", at: NOW, expires_in_s: 3600, operation };
        self.breakers.trip(&trip, "recipe r")
    }

    fn is_stopped(&self, target: &str, now: TimestampMs) -> bool {
        self.breakers.stop(&[target], now).is_some()
    }

    /// What became of which, since the last call.
    fn changes(&self) -> Vec<(String, &'static str, String)> {
        let changes = self.breakers.take_changes().into_iter();
        changes.map(|one| (one.target, one.what.as_str(), one.by)).collect()
    }
}

fn change(target: &str, what: &'static str, by: &str) -> (String, &'static str, String) {
    (target.to_owned(), what, by.to_owned())
}

#[test]
fn a_dropped_file_stops_and_removing_it_clears_with_the_next_look() {
    let test = Test::new();
    fs::write(test.path("global.json"), "{\"reason\": \"by hand\"}").unwrap();
    assert!(!test.is_stopped("global", NOW));
    test.breakers.look(NOW);
    assert!(test.is_stopped("global", NOW));
    fs::write(test.path("global.json"), "{\"reason\": \"edited\"}").unwrap();
    test.breakers.look(NOW);
    let stopped = test.breakers.stop(&["global"], NOW).unwrap();
    assert_eq!(stopped.to_string(), "breaker global: edited");
    let before = test.breakers.went();
    fs::remove_file(test.path("global.json")).unwrap();
    test.breakers.look(NOW);
    assert!(!test.is_stopped("global", NOW) && test.breakers.went() > before);
    assert_eq!(
        test.changes(),
        [
            change("global", "tripped", "a file in breakers/"),
            change("global", "cleared", "its file was removed"),
        ]
    );
}

#[test]
fn a_trip_holds_at_once_is_written_and_counts_each_operation_once() {
    let test = Test::new();
    for operation in ["1", "1", "2", "1"] {
        test.trip(NODE, operation).unwrap();
    }
    let text = fs::read_to_string(test.path(&format!("{NODE}.json"))).unwrap();
    assert!(text.contains("\"trip_count\": 2") && text.contains("\"type\": \"node\""), "{text}");
    test.breakers.look(NOW);
    assert_eq!(test.changes().len(), 2, "its own file is nothing new");
    let again = Breakers::open(&test.temp.path().join("breakers"), NOW).unwrap();
    let state = again.state(&Target::parse(NODE).unwrap(), NOW).unwrap().unwrap();
    assert_eq!((state.trip_count, state.reason.as_str()), (2, "loop"));
    assert!(again.take_changes().is_empty(), "a start changes nothing");
}

#[test]
fn what_cannot_be_written_holds_and_is_tried_again() {
    let test = Test::new();
    fs::create_dir(test.path("global.json")).unwrap();
    assert!(test.trip("global", "1").is_err());
    test.breakers.look(NOW);
    assert!(test.is_stopped("global", NOW));
    let problems = test.breakers.problems().join("\n");
    assert!(problems.contains("global.json cannot be written, it holds in memory"), "{problems}");
    fs::remove_dir(test.path("global.json")).unwrap();
    test.breakers.look(NOW);
    assert!(test.path("global.json").is_file() && test.breakers.problems().is_empty());
    assert!(test.is_stopped("global", NOW));
}

#[test]
fn what_was_cleared_is_not_brought_back_by_the_operation_that_tripped_it() {
    let test = Test::new();
    test.trip("global", "1").unwrap();
    let target = Target::parse("global").unwrap();
    assert!(test.breakers.clear(&target, "operator", NOW).unwrap());
    assert!(!test.breakers.clear(&target, "operator", NOW).unwrap());
    assert_eq!(test.trip("global", "1").unwrap(), None);
    assert!(!test.is_stopped("global", NOW) && !test.path("global.json").exists());
    assert!(test.trip("global", "2").unwrap().is_some());
}

#[test]
fn what_has_expired_stops_nothing_at_once_and_its_file_goes() {
    let test = Test::new();
    test.trip("global", "1").unwrap();
    let later = NOW.plus(Duration::from_secs(3601));
    assert!(!test.is_stopped("global", later) && test.path("global.json").exists());
    test.breakers.look(later);
    assert!(!test.path("global.json").exists() && test.breakers.problems().is_empty());
    test.breakers.look(NOW);
    assert!(!test.is_stopped("global", NOW), "a clock that jumps back brings nothing back");
    assert_eq!(
        test.changes(),
        [
            change("global", "tripped", "recipe r"),
            change("global", "expired", "auto-expired after 3600s"),
        ]
    );
    // One that had expired before anybody read it.
    let old = "{\"expires_at\": \"2026-02-28T08:00:00+00:00\"}";
    fs::write(test.path("skill,x.json"), old).unwrap();
    let looking = Breakers::existing(&test.temp.path().join("breakers"), NOW).unwrap();
    assert!(looking.standing().is_empty() && test.path("skill,x.json").exists());
    test.breakers.look(NOW);
    assert!(!test.path("skill,x.json").exists() && !test.is_stopped("skill:x", NOW));
}

#[test]
fn what_is_no_breaker_is_told_and_stops_nothing() {
    let test = Test::new();
    fs::write(test.path("skill,good.json"), "{\"expires_at\": \"tomorrow\"}").unwrap();
    symlink(test.temp.path().join("secret"), test.path("global.json")).unwrap();
    fs::create_dir(test.path("skill,folder.json")).unwrap();
    fs::write(test.path("skill,huge.json"), " ".repeat(MAX_BREAKER_BYTES + 1)).unwrap();
    fs::write(test.path("skill,broken.json"), "no json").unwrap();
    fs::write(test.path("notes\u{1b}.txt"), "").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        test.path("skill,pipe.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    test.breakers.look(NOW);
    assert!(test.is_stopped("skill:good", NOW.plus(Duration::from_secs(9_000_000))));
    for (target, why) in [
        ("global", "not a plain file but a link"),
        ("skill:folder", "not a plain file but a folder"),
        ("skill:huge", "more than 16 KiB"),
        ("skill:broken", "not a breaker"),
        ("skill:pipe", "not a plain file but a pipe"),
    ] {
        assert!(!test.is_stopped(target, NOW), "{target}");
        let error = test.breakers.state(&Target::parse(target).unwrap(), NOW).unwrap_err();
        assert!(error.contains(why) && !error.contains("SECRET"), "{error}");
    }
    let problems = test.breakers.problems();
    assert_eq!(problems.len(), 7, "{problems:#?}");
    assert!(problems.iter().any(|line| line.contains("notes\\u{1b}.txt: is not named after")));
    assert!(problems.iter().any(|line| line.contains("it never expires")));
    // They are told as long as they lie there, and no longer.
    test.breakers.look(NOW);
    assert_eq!(test.breakers.problems(), problems);
    fs::remove_file(test.path("skill,broken.json")).unwrap();
    test.breakers.look(NOW);
    assert_eq!(test.breakers.problems().len(), 6);
}

#[test]
fn a_file_that_turns_unreadable_no_longer_stops() {
    let test = Test::new();
    test.trip("global", "1").unwrap();
    fs::write(test.path("global.json"), "{").unwrap();
    test.breakers.look(NOW);
    assert!(!test.is_stopped("global", NOW) && test.breakers.problems().len() == 1);
    let by = &test.changes()[1].2;
    assert!(by.starts_with("its file is no breaker any more"), "{by}");
    fs::write(test.path("global.json"), "{}").unwrap();
    test.breakers.look(NOW);
    assert!(test.is_stopped("global", NOW) && test.breakers.problems().is_empty());
}

#[test]
fn a_trip_replaces_a_link_and_leaves_what_it_led_to() {
    let test = Test::new();
    let secret = test.temp.path().join("secret");
    symlink(&secret, test.path("global.json")).unwrap();
    symlink(&secret, test.path(".global.json.tmp")).unwrap();
    test.trip("global", "1").unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "{\"reason\": \"SECRET\"}");
    test.breakers.look(NOW);
    assert!(test.is_stopped("global", NOW) && test.breakers.problems().is_empty());
}

#[test]
fn a_flood_of_files_pushes_out_no_breaker() {
    let test = Test::new();
    test.trip("skill:zzz", "1").unwrap();
    for number in 0..MAX_FILES + 5 {
        fs::write(test.path(&format!("{number:016x}.json")), "{}").unwrap();
    }
    test.breakers.look(NOW);
    assert!(test.is_stopped("skill:zzz", NOW));
    assert_eq!(test.breakers.standing().list().len(), MAX_FILES);
    let problems = test.breakers.problems();
    assert!(problems[0].contains("6 files more than the 10000 that are read"), "{problems:?}");
}

#[test]
fn a_folder_that_is_not_there_holds_no_breaker() {
    let temp = tempfile::tempdir().unwrap();
    let breakers = Breakers::existing(&temp.path().join("breakers"), NOW).unwrap();
    breakers.look(NOW);
    assert!(breakers.standing().is_empty() && breakers.problems().is_empty());
    assert!(!temp.path().join("breakers").exists());
}

#[derive(Clone, Debug)]
enum Step {
    Trip { target: usize, expires_in_s: u64, again: bool },
    Remove { target: usize },
    Clear { target: usize },
    Wait(u64),
    JumpBack(u64),
    Look,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let target = 0..3usize;
    let expiry = prop_oneof![Just(0u64), Just(60), Just(3600)];
    let step = prop_oneof![
        4 => (target.clone(), expiry, any::<bool>())
            .prop_map(|(target, expires_in_s, again)| Step::Trip { target, expires_in_s, again }),
        1 => target.clone().prop_map(|target| Step::Remove { target }),
        1 => target.prop_map(|target| Step::Clear { target }),
        3 => (0..4000u64).prop_map(Step::Wait),
        1 => (0..8000u64).prop_map(Step::JumpBack),
        3 => Just(Step::Look),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What stands of one target, in the plainest words.
#[derive(Clone, Debug)]
struct Model {
    count: u32,
    at: TimestampMs,
    expires_in_s: u64,
    /// Since when it is known that its trip lies ahead of the clock.
    ahead_since: Option<TimestampMs>,
}

impl Model {
    fn is_ahead(&self, now: TimestampMs) -> bool {
        self.at > now.plus(Duration::from_secs(60))
    }

    fn holds(&self, now: TimestampMs) -> bool {
        let from = match self.ahead_since {
            Some(since) if self.is_ahead(now) => since,
            _ => self.at,
        };
        self.expires_in_s == 0 || now <= from.plus(Duration::from_secs(self.expires_in_s))
    }

    fn notice(&mut self, now: TimestampMs) {
        let is_later = |since: TimestampMs| since > now.plus(Duration::from_secs(60));
        if self.is_ahead(now) && self.ahead_since.is_none_or(is_later) {
            self.ahead_since = Some(now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is tripped, removed, cleared and expires, across restarts and
    /// jumps of the clock: what stands, and how often it was tripped, is what a
    /// list kept by hand says; and no jump brings back what is gone.
    #[test]
    fn trips_and_expiry_are_right_across_restarts_and_jumps(steps in steps()) {
        let targets = ["global", NODE, "skill:x"];
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("breakers");
        let mut breakers = Breakers::open(&folder, NOW).unwrap();
        let mut model: [Option<Model>; 3] = [None, None, None];
        let (mut now, mut operations) = (NOW, 0u32);
        let sweep = |model: &mut [Option<Model>; 3], now: TimestampMs| {
            for one in model.iter_mut() {
                one.iter_mut().for_each(|one| one.notice(now));
                *one = one.take().filter(|one| one.holds(now));
            }
        };
        for step in steps {
            match step {
                Step::Trip { target: n, expires_in_s, again } => {
                    operations += 1;
                    let target = Target::parse(targets[n]).unwrap();
                    let operation = operations.to_string();
                    let trip = Trip { target: &target, reason: "r", at: now, expires_in_s, operation: &operation };
                    for _ in 0..=u8::from(again) {
                        breakers.trip(&trip, "test").unwrap();
                    }
                    let before = model[n].as_ref().filter(|one| one.holds(now));
                    let count = before.map_or(0, |one| one.count) + 1;
                    model[n] = Some(Model { count, at: now, expires_in_s, ahead_since: None });
                }
                Step::Remove { target: n } => {
                    let file = folder.join(Target::parse(targets[n]).unwrap().file_name());
                    drop(fs::remove_file(file));
                    breakers.look(now);
                    model[n] = None;
                    sweep(&mut model, now);
                }
                Step::Clear { target: n } => {
                    breakers.clear(&Target::parse(targets[n]).unwrap(), "test", now).unwrap();
                    model[n] = None;
                }
                Step::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Step::JumpBack(seconds) => now = now.minus(Duration::from_secs(seconds)),
                Step::Look => {
                    breakers.look(now);
                    sweep(&mut model, now);
                }
                Step::Restart => {
                    breakers = Breakers::open(&folder, now).unwrap();
                    for one in model.iter_mut().flatten() {
                        one.ahead_since = None;
                    }
                    sweep(&mut model, now);
                }
            }
            for (n, one) in model.iter().enumerate() {
                let target = Target::parse(targets[n]).unwrap();
                let there = breakers.state(&target, now).unwrap().map(|fact| fact.trip_count);
                let wanted = one.as_ref().filter(|one| one.holds(now)).map(|one| one.count);
                prop_assert_eq!(there, wanted, "{} at {:?}", targets[n], now);
            }
        }
    }
}
