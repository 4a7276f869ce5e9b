//! The order of the stages, on one screen: filter, gather, evaluate, plan. A run reads
//! through its [`Ports`] and returns a [`Commit`]; it never writes and never
//! performs, so a dry run is the same call with the result thrown away. The
//! stages themselves are in `pipeline/`.

pub mod answer;
pub mod circuit;
mod continuing;
mod descent;
mod evaluate;
mod filter;
pub mod gate;
pub mod gather;
mod gathered_facts;
pub mod guard;
mod model_step;
mod model_verdict;
mod plan;
pub mod ports;
mod record;
mod reply_words;
mod run_budget;
mod sender_limits;
#[cfg(test)]
mod tests;
mod without_run;

use crate::clock::TimestampMs;
use crate::envelope::Envelope;
use crate::envelope::sender::Tier;
use crate::grants::Authority;
use crate::journal::Commit;
use crate::operation::Operation;
use crate::recipes::matching;
use crate::recipes::registry::Revision;
use crate::sender_limits::SenderLimits;
pub use plan::answers_sender;
use ports::{FactError, Ports};
pub use without_run::{guard_commit, revision_gone, timed_out};

/// What a run is about.
#[derive(Clone, Copy)]
pub struct RunInput<'a> {
    pub seq: crate::ids::EnvelopeSeq,
    pub envelope: &'a Envelope,
    pub revision: &'a Revision,
    /// What the run may do; its own grant is that of `revision`.
    pub authority: &'a Authority,
    pub tier: Tier,
    pub now: TimestampMs,
    /// An earlier recipe has woken the agent or replied for this envelope.
    pub answered: bool,
    pub switches: Switches,
    pub limits: &'a SenderLimits,
}

/// The operator's switches that hold back what is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Wakes are delivered to be reported on; what would leave for a node is
    /// not carried out.
    pub dry_run: bool,
    /// Nothing is written to other nodes in the node's name.
    pub responder_off: bool,
}

impl Switches {
    /// The switch that holds an operation back, if any.
    pub fn hold_back(self, operation: &Operation) -> Option<&'static str> {
        let (writes, calls) = match operation {
            Operation::Reply { .. } | Operation::Mail { .. } => (true, false),
            Operation::Skill { .. } => (false, true),
            _ => (false, false),
        };
        if self.dry_run && (writes || calls) {
            Some("dry_run = true in thrall.toml")
        } else if self.responder_off && writes {
            Some("[responder] enabled = false in thrall.toml")
        } else {
            None
        }
    }
}

/// Runs one recipe on one envelope.
///
/// # Errors
/// Only when the host's own facts cannot be read (database gone): the event
/// then stays pending. Everything that a guest or a model does wrong is part
/// of the returned commit.
pub async fn run(ports: &Ports, input: RunInput<'_>) -> Result<Commit, FactError> {
    // Stages and row alike see what this recipe's own pattern makes of a line.
    let seen = matching::seen_by(&input.revision.recipe.trigger, input.envelope);
    let input = RunInput { envelope: &seen, ..input };
    let mut run = record::RunRecord::new(ports, input);
    let filtered = match continuing::decide(input, &mut run) {
        Some(decided) => {
            run.inputs.context = filter::session_context(ports, input, &run)?;
            filter::Filtered::Decided(Box::new(decided))
        }
        None => filter::apply(ports, input, &mut run).await?,
    };
    if !matches!(filtered, filter::Filtered::Skip) {
        gather::apply(ports, input, &mut run).await;
    }
    let decided = match filtered {
        filter::Filtered::Skip => None,
        filter::Filtered::Decided(decided) => Some(*decided),
        filter::Filtered::Pass => Some(evaluate::apply(ports, input, &mut run).await),
    };
    let mut planned = match &decided {
        Some(decided) => plan::apply(ports, input, &mut run, decided).await?,
        None => plan::Planned::skipped(),
    };
    descent::apply(ports, input, &mut run, &mut planned.operations)?;
    Ok(run.into_commit(input, decided, planned))
}
