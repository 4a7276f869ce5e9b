//! What waits in the lanes: the number of an event and what is left to run on
//! it. The event itself is kept only of those that run soon; the others are
//! read from the store when their turn comes, so that a flood fills a disk and
//! not the memory.

use std::time::Instant;

use super::lanes::{Lanes, Place};
use super::questions::Asker;
use super::seats::{Rank, Seat};
use super::{Job, Shared, Unwritten};
use crate::envelope::{Envelope, HOST_TRIGGERS, descent, log_line};
use crate::ids::{Digest, EnvelopeSeq};
use crate::recipes::registry::Registry;

/// Events that are kept in memory while they wait. More than run at one time.
const KEPT: usize = 1024;

/// One of them.
pub(super) struct Waiting {
    pub(super) seq: EnvelopeSeq,
    /// `None`: read when it runs.
    pub(super) envelope: Option<Envelope>,
    pub(super) runs: Vec<(String, Digest)>,
    pub(super) answered: bool,
    pub(super) asker: Option<Asker>,
}

impl Waiting {
    pub(super) fn new(seq: EnvelopeSeq, runs: Vec<(String, Digest)>) -> Self {
        Self { seq, envelope: None, runs, answered: false, asker: None }
    }

    /// What came back undone.
    pub(super) fn again(job: Job, lanes: &Lanes<Self>) -> Self {
        let Job { seq, envelope, runs, answered, asker, .. } = job;
        let envelope = (lanes.waiting() < KEPT).then_some(envelope);
        Self { seq, envelope, runs, answered, asker }
    }
}

impl Shared {
    /// Puts an event that is stored at the end of its lane.
    pub(super) fn enqueue(
        &self,
        lanes: &mut Lanes<Waiting>,
        registry: &Registry,
        waiting: Waiting,
        envelope: Envelope,
    ) {
        let lane = envelope.lane();
        let place = place(registry, &envelope, &waiting.runs);
        let envelope = (lanes.waiting() < KEPT).then_some(envelope);
        lanes.push(&lane, place, Waiting { envelope, ..waiting }, Instant::now());
    }

    /// The event that waited.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read_waiting(&self, waiting: &mut Waiting) -> Result<Envelope, Unwritten> {
        if let Some(envelope) = waiting.envelope.take() {
            return Ok(envelope);
        }
        let seq = waiting.seq;
        match self.store.reader().envelope(seq) {
            Ok(Some(read)) => Ok(read.envelope),
            Ok(None) => {
                tracing::error!(seq, "an event that waited is not in the store any more");
                Err(Unwritten::NextStart)
            }
            Err(error) => {
                tracing::error!(%error, seq, "cannot read an event, it stays pending");
                Err(Unwritten::because_of(&error))
            }
        }
    }
}

/// Whose room an event takes while it waits, and on which seat it will run.
pub(super) fn place(registry: &Registry, envelope: &Envelope, runs: &[(String, Digest)]) -> Place {
    let asks_model = runs.iter().any(|(name, digest)| {
        let revision = registry.revision(name, digest);
        revision.or_else(|| registry.live(name).cloned()).is_some_and(|one| one.can_ask_model())
    });
    Place {
        source: envelope.vouching_source().into(),
        seat: Seat { rank: rank(envelope), asks_model },
    }
}

pub(super) fn rank(envelope: &Envelope) -> Rank {
    if envelope.is_question() {
        Rank::Question
    } else if HOST_TRIGGERS.contains(&envelope.trigger.as_str())
        || [log_line::SOURCE, descent::SOURCE].contains(&envelope.source.as_str())
    {
        Rank::Host
    } else {
        Rank::Usual
    }
}
