//! Who may run beside whom. What runs holds a seat; what waits for one stands
//! in a line with its like. Each kind of seat is there for its own: however
//! long mail waits for the model, a question finds a seat. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Whose turn comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody waits for the answer.
    Question,
    /// Made by the host: ticks, lines of logs, results, triggers.
    Host,
    /// What sources bring.
    Usual,
}

/// A kind of seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub rank: Rank,
    /// A recipe on the way can ask the model, and may have to wait for it.
    pub asks_model: bool,
}

/// How many there are of each kind, and how long one waits for the model.
#[derive(Clone, Copy, Debug)]
pub struct Seating {
    /// More than the processors, because most runs wait for the writer's next
    /// fsync; bounded, because each holds an event and its trace in memory.
    pub usual: usize,
    /// For questions, and as many for what the host makes.
    pub reserved: usize,
    /// For what can ask the model, which most of it does not do; whoever does
    /// waits for a turn (`capabilities/model_turns.rs`) on its seat.
    pub usual_model: usize,
    /// Questions and what the host makes: as many as stand before the model.
    pub reserved_model: usize,
    /// After this time in the line for the model one goes on without it.
    /// `None`: nobody waits for the outcome, so that one may stand in line.
    pub patience: Option<Duration>,
}

/// All seats with the lines in front of them, first served first.
pub struct Seats {
    lines: Vec<Line>,
    patience: Option<Duration>,
}

struct Line {
    seat: Seat,
    seats: usize,
    taken: usize,
    /// Lanes with work and nobody on it, longest waiting first.
    ready: VecDeque<(String, Instant)>,
}

/// A lane whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Called {
    pub lane: String,
    /// The seat that it has now.
    pub seat: Seat,
    /// It waited for the model for so long that it goes on without.
    pub is_overdue: bool,
    /// Since when it stood in line.
    pub since: Instant,
}

impl Line {
    fn has_free_seat(&self) -> bool {
        self.taken < self.seats
    }

    fn call(&mut self, is_overdue: bool) -> Option<Called> {
        let (lane, since) = self.ready.pop_front()?;
        self.taken += 1;
        Some(Called { lane, seat: self.seat, is_overdue, since })
    }
}

impl Seats {
    pub fn new(seating: Seating) -> Self {
        let Seating { usual, reserved, usual_model, reserved_model, patience } = seating;
        let kinds = [
            (Rank::Question, reserved, reserved_model),
            (Rank::Host, reserved, reserved_model),
            (Rank::Usual, usual, usual_model),
        ];
        let line = |rank, asks_model, seats| Line {
            seat: Seat { rank, asks_model },
            seats,
            taken: 0,
            ready: VecDeque::new(),
        };
        let lines = kinds
            .into_iter()
            .flat_map(|(rank, plain, model)| [line(rank, false, plain), line(rank, true, model)])
            .collect();
        Self { lines, patience }
    }

    fn line(&mut self, seat: Seat) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.seat == seat)
    }

    /// Puts a lane at the end of the line for a kind of seat.
    pub fn queue(&mut self, seat: Seat, lane: String, now: Instant) {
        if let Some(line) = self.line(seat) {
            line.ready.push_back((lane, now));
        }
    }

    /// The next lane that finds a seat.
    pub fn call(&mut self, now: Instant) -> Option<Called> {
        let free = self.lines.iter_mut().filter(|line| line.has_free_seat());
        for line in free {
            if let Some(called) = line.call(false) {
                return Some(called);
            }
        }
        let patience = self.patience?;
        for rank in [Rank::Question, Rank::Host, Rank::Usual] {
            let is_overdue = self.line(Seat { rank, asks_model: true }).is_some_and(|line| {
                let since = line.ready.front().map(|(_, since)| *since);
                since.is_some_and(|since| now.saturating_duration_since(since) >= patience)
            });
            let plain = Seat { rank, asks_model: false };
            if !(is_overdue && self.line(plain).is_some_and(|line| line.has_free_seat())) {
                continue;
            }
            let waiting = self.line(Seat { rank, asks_model: true })?;
            let (lane, since) = waiting.ready.pop_front()?;
            self.line(plain)?.taken += 1;
            return Some(Called { lane, seat: plain, is_overdue, since });
        }
        None
    }

    /// When somebody's patience with the model ends next who then finds a seat.
    pub fn next_overdue(&self) -> Option<Instant> {
        let patience = self.patience?;
        let waiting = self.lines.iter().filter(|line| {
            let plain = Seat { asks_model: false, ..line.seat };
            line.seat.asks_model
                && self.lines.iter().any(|other| other.seat == plain && other.has_free_seat())
        });
        waiting.filter_map(|line| line.ready.front().map(|(_, since)| *since + patience)).min()
    }

    /// Gives a seat back.
    pub fn leave(&mut self, seat: Seat) {
        if let Some(line) = self.line(seat) {
            line.taken = line.taken.saturating_sub(1);
        }
    }
}
