//! How much may wait: in one lane, of one source, and in all. Room is promised
//! before an event is stored, so that many who ask at one time do not each get
//! what is there for one. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// Beyond this share of a bound only those are taken in who are known here.
const SHED_ABOVE_PERCENT: usize = 90;

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub per_lane: usize,
    pub in_all: usize,
}

impl Bounds {
    /// Of one source: half, so that it cannot fill everything for the others.
    pub fn per_source(self) -> usize {
        self.in_all.div_ceil(2)
    }
}

/// What events of one source need that are to be taken in together.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub source: Arc<str>,
    pub events: usize,
    /// Places by lane.
    pub lanes: HashMap<String, usize>,
    /// Some of them are of senders whom nobody here knows.
    pub of_strangers: bool,
}

/// Why there is no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error(
        "{most} events of one sender wait at most (max_pending_per_lane in [limits]), and there is no room for {more} more: try again later"
    )]
    Lane { more: usize, most: usize },
    #[error(
        "{waiting} events of source {source_name:?} wait, at most {most} may (half of max_pending in [limits]): try again later"
    )]
    Source { source_name: Arc<str>, waiting: usize, most: usize },
    #[error("{waiting} events wait, at most {most} may (max_pending in [limits]): try again later")]
    All { waiting: usize, most: usize },
    #[error(
        "{waiting} events wait already: above {most} only those of known senders are taken (90 % of max_pending in [limits], or of the half of it that one source may have); try again later"
    )]
    Strangers { waiting: usize, most: usize },
}

impl Full {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lane { .. } => "lane_full",
            Self::Source { .. } => "source_full",
            Self::All { .. } => "queue_full",
            Self::Strangers { .. } => "strangers_shed",
        }
    }
}

/// Who has how much of the room. Waiting events count, and promised ones.
pub struct Room {
    bounds: Bounds,
    total: usize,
    sources: HashMap<Arc<str>, usize>,
    /// Places in lanes that are promised and not taken yet.
    promised: HashMap<String, usize>,
}

impl Room {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, total: 0, sources: HashMap::new(), promised: HashMap::new() }
    }

    /// Keeps room for events. `waiting_in` says how many wait in a lane.
    ///
    /// # Errors
    /// What is full; nothing is promised then.
    pub fn promise(
        &mut self,
        wanted: &Wanted,
        waiting_in: impl Fn(&str) -> usize,
    ) -> Result<(), Full> {
        let Bounds { per_lane, in_all } = self.bounds;
        for (lane, more) in &wanted.lanes {
            let there = waiting_in(lane) + self.promised.get(lane).copied().unwrap_or(0);
            if there + more > per_lane {
                return Err(Full::Lane { more: *more, most: per_lane });
            }
        }
        let of_source = self.sources.get(&wanted.source).copied().unwrap_or(0);
        let per_source = self.bounds.per_source();
        for (waiting, most, is_source) in
            [(of_source, per_source, true), (self.total, in_all, false)]
        {
            if wanted.of_strangers && waiting + wanted.events > shed_above(most) {
                return Err(Full::Strangers { waiting, most: shed_above(most) });
            }
            if waiting + wanted.events > most {
                let source_name = Arc::clone(&wanted.source);
                return Err(match is_source {
                    true => Full::Source { source_name, waiting, most },
                    false => Full::All { waiting, most },
                });
            }
        }
        for (lane, more) in &wanted.lanes {
            *self.promised.entry(lane.clone()).or_default() += more;
        }
        self.enter(&wanted.source, wanted.events);
        Ok(())
    }

    /// Ends a promise; what was taken in has entered by then.
    pub fn end_promise(&mut self, wanted: &Wanted) {
        for (lane, more) in &wanted.lanes {
            if let Some(promised) = self.promised.get_mut(lane) {
                *promised = promised.saturating_sub(*more);
                if *promised == 0 {
                    self.promised.remove(lane);
                }
            }
        }
        self.leave(&wanted.source, wanted.events);
    }

    /// Counts events in, room or not: what is stored already must be queued.
    pub fn enter(&mut self, source: &Arc<str>, events: usize) {
        self.total += events;
        *self.sources.entry(Arc::clone(source)).or_default() += events;
    }

    /// Counts events out.
    pub fn leave(&mut self, source: &Arc<str>, events: usize) {
        self.total = self.total.saturating_sub(events);
        if let Some(count) = self.sources.get_mut(source) {
            *count = count.saturating_sub(events);
            if *count == 0 {
                self.sources.remove(source);
            }
        }
    }

    /// What is nearly full, in a sentence.
    pub fn pressure(&self) -> Option<String> {
        let (total, most) = (self.total, self.bounds.in_all);
        if total > shed_above(most) {
            return Some(format!(
                "{total} events wait for a decision, at most {most} may (max_pending in [limits]): only those of known senders are taken in"
            ));
        }
        let most = self.bounds.per_source();
        let full = self.sources.iter().find(|(_, count)| **count > shed_above(most));
        full.map(|(source, count)| {
            format!(
                "{count} events of source {source:?} wait for a decision, at most {most} may (half of max_pending in [limits]): of it only those of known senders are taken in"
            )
        })
    }
}

/// The most that there is for strangers.
fn shed_above(most: usize) -> usize {
    most.saturating_mul(SHED_ABOVE_PERCENT) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(source: &str, events: usize, of_strangers: bool) -> Wanted {
        Wanted { source: source.into(), events, lanes: HashMap::new(), of_strangers }
    }

    #[test]
    fn one_source_has_half_and_strangers_less() {
        let mut room = Room::new(Bounds { per_lane: 8, in_all: 100 });
        let mut promise = |wanted: Wanted| room.promise(&wanted, |_| 0).map_err(|full| full.code());
        assert_eq!(promise(wanted("flood", 45, true)), Ok(()));
        assert_eq!(promise(wanted("flood", 1, true)), Err("strangers_shed"));
        assert_eq!(promise(wanted("flood", 5, false)), Ok(()), "the team still gets through");
        assert_eq!(promise(wanted("flood", 1, false)), Err("source_full"));
        assert_eq!(promise(wanted("other", 40, true)), Ok(()), "it is not full for others");
        assert_eq!(promise(wanted("third", 1, true)), Err("strangers_shed"));
        assert_eq!(promise(wanted("third", 10, false)), Ok(()));
        assert_eq!(promise(wanted("fourth", 1, false)), Err("queue_full"));
        assert!(room.pressure().unwrap().contains("100 events wait"));
    }

    #[test]
    fn what_is_promised_is_not_promised_twice_and_given_back_once() {
        let mut room = Room::new(Bounds { per_lane: 8, in_all: 100 });
        let lane = |more| Wanted {
            lanes: HashMap::from([("a".to_owned(), more)]),
            ..wanted("mailbox", more, false)
        };
        room.promise(&lane(5), |_| 0).unwrap();
        let refused = room.promise(&lane(4), |_| 0).unwrap_err();
        assert_eq!(refused, Full::Lane { more: 4, most: 8 });
        room.end_promise(&lane(5));
        room.promise(&lane(4), |_| 4).unwrap();
        room.end_promise(&lane(4));
        assert_eq!((room.total, room.sources.len(), room.promised.len()), (0, 0, 0));
    }
}
