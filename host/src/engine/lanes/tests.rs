//! Order within a lane, turns between lanes, and seats that are kept for those
//! who must not wait.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::seats::Rank;

const SEATING: Seating = Seating {
    usual: 8,
    reserved: 2,
    usual_model: 2,
    reserved_model: 1,
    patience: Some(Duration::from_secs(5)),
};
const BOUNDS: Bounds = Bounds { per_lane: 256, in_all: 10_000 };

fn lanes<T>() -> Lanes<T> {
    Lanes::new(BOUNDS, SEATING)
}

fn place(rank: Rank, asks_model: bool) -> Place {
    Place { source: "mailbox".into(), seat: Seat { rank, asks_model } }
}

fn usual() -> Place {
    place(Rank::Usual, false)
}

fn mail_for_the_model(lanes: &mut Lanes<usize>, mails: usize, now: Instant) {
    for n in 0..mails {
        lanes.push(&format!("sender-{n}"), place(Rank::Usual, true), n, now);
    }
}

#[test]
fn a_flood_in_one_lane_does_not_delay_another() {
    let (mut lanes, now) = (lanes(), Instant::now());
    for job in 0..100 {
        lanes.push("flood", usual(), job, now);
    }
    lanes.push("quiet", usual(), 1000, now);
    let (first, _) = lanes.take(now).unwrap();
    let (second, job) = lanes.take(now).unwrap();
    assert_eq!((first.lane.as_str(), second.lane.as_str(), job), ("flood", "quiet", 1000));
    assert!(lanes.take(now).is_none(), "a running lane hands out nothing");
}

#[test]
fn mail_that_waits_for_the_model_leaves_the_seats_of_all_others_free() {
    let (mut lanes, now) = (lanes(), Instant::now());
    mail_for_the_model(&mut lanes, 1000, now);
    let running: Vec<_> = std::iter::from_fn(|| lanes.take(now)).collect();
    assert_eq!(running.len(), SEATING.usual_model);
    for (lane, wants) in [
        ("plain", usual()),
        ("tick", place(Rank::Host, false)),
        ("question", place(Rank::Question, false)),
        ("question to the model", place(Rank::Question, true)),
    ] {
        lanes.push(lane, wants, 0, now);
        assert_eq!(lanes.take(now).unwrap().0.lane, lane);
    }
}

#[test]
fn questions_go_first_then_what_the_host_makes() {
    let (mut lanes, now) = (lanes(), Instant::now());
    lanes.push("mail", usual(), 0, now);
    lanes.push("tick", place(Rank::Host, false), 0, now);
    lanes.push("question", place(Rank::Question, false), 0, now);
    let order: Vec<String> =
        std::iter::from_fn(|| lanes.take(now)).map(|(ticket, _)| ticket.lane).collect();
    assert_eq!(order, ["question", "tick", "mail"]);
}

#[test]
fn who_waited_long_enough_for_the_model_goes_on_without_it_in_turn() {
    let (mut lanes, start) = (lanes(), Instant::now());
    mail_for_the_model(&mut lanes, 20, start);
    let mut running: Vec<_> = std::iter::from_fn(|| lanes.take(start)).collect();
    let patience = SEATING.patience.unwrap();
    assert_eq!(lanes.next_overdue(), Some(start + patience));
    assert!(lanes.take(start + patience / 2).is_none());
    let later = start + patience;
    let without: Vec<_> = std::iter::from_fn(|| lanes.take(later)).collect();
    assert_eq!(without.len(), SEATING.usual, "they run where nobody waits for the model");
    assert!(without.iter().all(|(ticket, _)| ticket.is_overdue));
    assert_eq!(without[0].1, 2, "the longest waiting first");
    // A place before the model that became free is taken, however late.
    lanes.finish(running.remove(0).0, later);
    assert!(!lanes.take(later).unwrap().0.is_overdue);
}

#[test]
fn a_file_that_is_worked_off_waits_for_the_model_as_long_as_it_takes() {
    let start = Instant::now();
    let mut lanes = Lanes::new(BOUNDS, Seating { patience: None, ..SEATING });
    mail_for_the_model(&mut lanes, 20, start);
    assert_eq!(std::iter::from_fn(|| lanes.take(start)).count(), SEATING.usual_model);
    assert!(lanes.take(start + Duration::from_secs(100_000)).is_none());
    assert_eq!(lanes.next_overdue(), None);
}

#[test]
fn what_is_put_back_comes_first_when_its_lane_is_released() {
    let (mut lanes, now) = (lanes(), Instant::now());
    (0..3).for_each(|job| lanes.push("a", usual(), job, now));
    let (ticket, job) = lanes.take(now).unwrap();
    lanes.put_back(ticket, job);
    lanes.push("a", usual(), 3, now);
    assert!(lanes.take(now).is_none() && lanes.is_idle(), "it is held");
    assert_eq!(lanes.waiting(), 4);
    assert!(lanes.release(now) && !lanes.release(now));
    for expected in 0..4 {
        let (ticket, job) = lanes.take(now).unwrap();
        assert_eq!(job, expected);
        lanes.finish(ticket, now);
    }
    assert!(lanes.is_idle());
}

proptest! {
    /// Whatever the order of pushes, takes and finishes: each lane's jobs come
    /// out once, in order, never two of one lane at a time, and no more run
    /// than there are seats.
    #[test]
    fn order_within_a_lane_is_kept(
        steps in proptest::collection::vec((0u8..3, 0u8..6, 0u8..3, any::<bool>(), 0u64..4), 0..300)
    ) {
        let mut lanes = lanes();
        let mut now = Instant::now();
        let mut pushed = 0u32;
        let mut last: HashMap<String, u32> = HashMap::new();
        let mut running: Vec<Ticket> = Vec::new();
        for (step, lane, rank, asks_model, seconds) in steps {
            now += Duration::from_secs(seconds);
            let rank = [Rank::Question, Rank::Host, Rank::Usual][usize::from(rank)];
            match step {
                0 => {
                    lanes.push(&lane.to_string(), place(rank, asks_model), pushed, now);
                    pushed += 1;
                }
                1 => {
                    if let Some((ticket, job)) = lanes.take(now) {
                        prop_assert!(running.iter().all(|other| other.lane != ticket.lane));
                        if let Some(before) = last.insert(ticket.lane.clone(), job) {
                            prop_assert!(before < job);
                        }
                        running.push(ticket);
                    }
                }
                _ => {
                    if let Some(ticket) = running.pop() {
                        lanes.finish(ticket, now);
                    }
                }
            }
            let before_model = running.iter().filter(|one| one.seat.asks_model).count();
            prop_assert!(before_model <= SEATING.usual_model + 2 * SEATING.reserved_model);
        }
        for ticket in running.drain(..) {
            lanes.finish(ticket, now);
        }
        let mut left = lanes.waiting();
        while let Some((ticket, _)) = lanes.take(now) {
            lanes.finish(ticket, now);
            left -= 1;
        }
        prop_assert_eq!(left, 0);
        prop_assert!(lanes.is_idle());
    }
}
