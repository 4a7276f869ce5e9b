//! Who may run next: events of one lane in order, lanes side by side and in
//! turn. Pure bookkeeping; the engine runs what this hands out.

use std::collections::{HashMap, VecDeque};

/// How many events may wait in one lane; beyond it the source is told to wait.
pub const MAX_PER_LANE: usize = 256;

/// A lane is in exactly one state: idle (not in the map), ready (queued in
/// `ready`), running (held out of `ready` until [`Lanes::finish`]), or held
/// ([`Lanes::put_back`], until [`Lanes::release`]).
pub struct Lanes<T> {
    lanes: HashMap<String, Lane<T>>,
    /// Lanes with work and nobody on it, longest waiting first.
    ready: VecDeque<String>,
    held: Vec<String>,
    waiting: usize,
    max_per_lane: usize,
}

struct Lane<T> {
    jobs: VecDeque<T>,
    running: bool,
}

/// The lane is full.
#[derive(Debug, PartialEq, Eq)]
pub struct LaneFull;

impl<T> Lanes<T> {
    pub fn new(max_per_lane: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            held: Vec::new(),
            waiting: 0,
            max_per_lane,
        }
    }

    /// Whether a lane takes `more` further jobs.
    pub fn has_room(&self, lane: &str, more: usize) -> bool {
        let held = self.lanes.get(lane).map_or(0, |lane| lane.jobs.len());
        held + more <= self.max_per_lane
    }

    /// Puts a job at the end of its lane. Room is the caller's concern: an
    /// event that is accepted already must be queued in any case.
    pub fn push(&mut self, lane: &str, job: T) {
        let entry = self
            .lanes
            .entry(lane.to_owned())
            .or_insert_with(|| Lane { jobs: VecDeque::new(), running: false });
        if entry.jobs.is_empty() && !entry.running {
            self.ready.push_back(lane.to_owned());
        }
        entry.jobs.push_back(job);
        self.waiting += 1;
    }

    /// The next job of the longest waiting lane. The lane is then running
    /// until [`Lanes::finish`] is called for it.
    pub fn take(&mut self) -> Option<(String, T)> {
        while let Some(name) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            let Some(job) = lane.jobs.pop_front() else { continue };
            lane.running = true;
            self.waiting -= 1;
            return Some((name, job));
        }
        None
    }

    /// Ends a lane's run; it queues up again behind the others if it has work.
    pub fn finish(&mut self, name: &str) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        lane.running = false;
        if lane.jobs.is_empty() {
            self.lanes.remove(name);
        } else {
            self.ready.push_back(name.to_owned());
        }
    }

    /// Ends a lane's run with its job undone: that is the next one again, once
    /// the lane is released.
    pub fn put_back(&mut self, name: &str, job: T) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        lane.running = false;
        lane.jobs.push_front(job);
        self.waiting += 1;
        self.held.push(name.to_owned());
    }

    /// Lets the lanes go on that were held. False if none were.
    pub fn release(&mut self) -> bool {
        let any = !self.held.is_empty();
        self.ready.extend(self.held.drain(..));
        any
    }

    /// Jobs that wait, running ones not counted.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Nothing runs, and nothing waits but behind what was put back.
    pub fn is_idle(&self) -> bool {
        self.lanes.len() == self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_flood_in_one_lane_does_not_delay_another() {
        let mut lanes = Lanes::new(MAX_PER_LANE);
        for job in 0..100 {
            lanes.push("flood", job);
        }
        lanes.push("quiet", 1000);
        let (first, _) = lanes.take().unwrap();
        let (second, job) = lanes.take().unwrap();
        assert_eq!((first.as_str(), second.as_str(), job), ("flood", "quiet", 1000));
        assert!(lanes.take().is_none(), "a running lane hands out nothing");
        assert!(!lanes.has_room("flood", 200));
    }

    #[test]
    fn what_is_put_back_comes_first_when_its_lane_is_released() {
        let mut lanes = Lanes::new(MAX_PER_LANE);
        (0..3).for_each(|job| lanes.push("a", job));
        let (name, job) = lanes.take().unwrap();
        lanes.put_back(&name, job);
        lanes.push("a", 3);
        assert!(lanes.take().is_none() && lanes.is_idle(), "it is held");
        assert_eq!(lanes.waiting(), 4);
        assert!(lanes.release() && !lanes.release());
        for expected in 0..4 {
            let (name, job) = lanes.take().unwrap();
            assert_eq!(job, expected);
            lanes.finish(&name);
        }
        assert!(lanes.is_idle());
    }

    proptest! {
        /// Whatever the order of pushes, takes and finishes: each lane's jobs
        /// come out once, in order, never two of one lane at a time.
        #[test]
        fn order_within_a_lane_is_kept(steps in proptest::collection::vec((0u8..3, 0u8..4), 0..200)) {
            let mut lanes = Lanes::new(MAX_PER_LANE);
            let mut pushed = 0u32;
            let mut last: HashMap<String, u32> = HashMap::new();
            let mut running: Vec<String> = Vec::new();
            for (step, lane) in steps {
                match step {
                    0 => {
                        lanes.push(&lane.to_string(), pushed);
                        pushed += 1;
                    }
                    1 => {
                        if let Some((name, job)) = lanes.take() {
                            prop_assert!(!running.contains(&name));
                            if let Some(before) = last.insert(name.clone(), job) {
                                prop_assert!(before < job);
                            }
                            running.push(name);
                        }
                    }
                    _ => {
                        if let Some(name) = running.pop() {
                            lanes.finish(&name);
                        }
                    }
                }
            }
            let mut left = lanes.waiting();
            while let Some(name) = running.pop() {
                lanes.finish(&name);
            }
            while let Some((name, _)) = lanes.take() {
                lanes.finish(&name);
                left -= 1;
            }
            prop_assert_eq!(left, 0);
            prop_assert!(lanes.is_idle());
        }
    }
}
