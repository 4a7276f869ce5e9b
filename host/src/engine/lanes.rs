//! Who may run next: events of one lane in order, lanes side by side and in
//! turn, each on a seat of its kind (`seats.rs`) and within bounds (`room.rs`).
//! Pure bookkeeping; the engine runs what this hands out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::room::{Bounds, Full, Room, Wanted};
use super::seats::{Called, Seat, Seating, Seats};

/// A lane is in exactly one state: idle (not in the map), ready (in the line
/// for a seat), running (in no line until [`Lanes::finish`]), or held
/// ([`Lanes::put_back`], until [`Lanes::release`]).
pub struct Lanes<T> {
    lanes: HashMap<String, Lane<T>>,
    seats: Seats,
    room: Room,
    held: Vec<String>,
    waiting: usize,
}

struct Lane<T> {
    jobs: VecDeque<Entry<T>>,
    running: bool,
}

struct Entry<T> {
    place: Place,
    job: T,
}

/// Where a job waits, besides its lane.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose room it takes.
    pub source: Arc<str>,
    pub seat: Seat,
}

/// What a running job has to give back.
#[derive(Debug)]
pub struct Ticket {
    pub lane: String,
    /// It waited for the model for so long that it goes on without.
    pub is_overdue: bool,
    /// Since when it stood in line.
    pub since: Instant,
    /// The seat that it runs on.
    seat: Seat,
    place: Place,
}

impl<T> Lanes<T> {
    pub fn new(bounds: Bounds, seating: Seating) -> Self {
        Self {
            lanes: HashMap::new(),
            seats: Seats::new(seating),
            room: Room::new(bounds),
            held: Vec::new(),
            waiting: 0,
        }
    }

    /// Keeps room for events until [`Lanes::end_promise`].
    ///
    /// # Errors
    /// What is full.
    pub fn promise(&mut self, wanted: &Wanted) -> Result<(), Full> {
        let lanes = &self.lanes;
        self.room.promise(wanted, |lane| lanes.get(lane).map_or(0, |lane| lane.jobs.len()))
    }

    /// After those of the events were pushed that wait now.
    pub fn end_promise(&mut self, wanted: &Wanted) {
        self.room.end_promise(wanted);
    }

    /// Puts a job at the end of its lane. Room is the caller's concern: an
    /// event that is accepted already must be queued in any case.
    pub fn push(&mut self, lane: &str, place: Place, job: T, now: Instant) {
        let entry = self
            .lanes
            .entry(lane.to_owned())
            .or_insert_with(|| Lane { jobs: VecDeque::new(), running: false });
        if entry.jobs.is_empty() && !entry.running {
            self.seats.queue(place.seat, lane.to_owned(), now);
        }
        self.room.enter(&place.source, 1);
        entry.jobs.push_back(Entry { place, job });
        self.waiting += 1;
    }

    /// The next job that finds a seat, of the longest waiting lane for it. The
    /// lane is then running until [`Lanes::finish`] is called for it.
    pub fn take(&mut self, now: Instant) -> Option<(Ticket, T)> {
        while let Some(called) = self.seats.call(now) {
            let lane = self.lanes.get_mut(&called.lane);
            let Some((lane, entry)) =
                lane.and_then(|lane| lane.jobs.pop_front().map(|entry| (&mut lane.running, entry)))
            else {
                self.seats.leave(called.seat);
                continue;
            };
            *lane = true;
            self.waiting -= 1;
            let Entry { place, job } = entry;
            self.room.leave(&place.source, 1);
            let Called { lane, seat, is_overdue, since } = called;
            return Some((Ticket { lane, is_overdue, since, seat, place }, job));
        }
        None
    }

    /// When [`Lanes::take`] hands out more, though nothing ended or was added.
    pub fn next_overdue(&self) -> Option<Instant> {
        self.seats.next_overdue()
    }

    /// Ends a lane's run; it queues up again behind the others if it has work.
    pub fn finish(&mut self, ticket: Ticket, now: Instant) {
        self.seats.leave(ticket.seat);
        let Some(lane) = self.lanes.get_mut(&ticket.lane) else { return };
        lane.running = false;
        match lane.jobs.front() {
            None => drop(self.lanes.remove(&ticket.lane)),
            Some(next) => self.seats.queue(next.place.seat, ticket.lane, now),
        }
    }

    /// Ends a lane's run with its job undone: that is the next one again, once
    /// the lane is released.
    pub fn put_back(&mut self, ticket: Ticket, job: T) {
        self.seats.leave(ticket.seat);
        let Some(lane) = self.lanes.get_mut(&ticket.lane) else { return };
        lane.running = false;
        self.room.enter(&ticket.place.source, 1);
        lane.jobs.push_front(Entry { place: ticket.place, job });
        self.waiting += 1;
        self.held.push(ticket.lane);
    }

    /// Lets the lanes go on that were held. False if none were.
    pub fn release(&mut self, now: Instant) -> bool {
        let held = std::mem::take(&mut self.held);
        let any = !held.is_empty();
        for name in held {
            if let Some(next) = self.lanes.get(&name).and_then(|lane| lane.jobs.front()) {
                self.seats.queue(next.place.seat, name, now);
            }
        }
        any
    }

    /// Every job that waits.
    pub fn jobs_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.lanes.values_mut().flat_map(|lane| lane.jobs.iter_mut().map(|entry| &mut entry.job))
    }

    /// Jobs that wait, running ones not counted.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// What is nearly full, in a sentence.
    pub fn pressure(&self) -> Option<String> {
        self.room.pressure()
    }

    /// Nothing runs, and nothing waits but behind what was put back.
    pub fn is_idle(&self) -> bool {
        self.lanes.len() == self.held.len()
    }
}

#[cfg(test)]
mod tests;
