//! What a durable commit trips: it holds in memory before the next event is
//! decided, and is written by the performer, as an operation of the outbox.

use crate::breakers::Target;
use crate::capabilities::standing_breakers::Breakers;
use crate::ids::JournalId;
use crate::journal::Commit;
use crate::operation::{Operation, PlannedOperation};
use crate::outbox::breaker_rows::{Tripping, key};

/// Holds everything that a commit trips, in its order.
pub(super) fn hold(breakers: &Breakers, commit: &Commit, id: JournalId) {
    for tripping in trips_of(commit, id) {
        tripping.hold(breakers);
    }
}

/// The breakers that a commit trips.
fn trips_of(commit: &Commit, id: JournalId) -> Vec<Tripping> {
    let Commit { row, trace, .. } = commit;
    let operations: &[PlannedOperation] =
        if row.mode.acts() && trace.action.executed { &trace.action.operations } else { &[] };
    let planned = (0_u32..).zip(operations).filter(|(_, planned)| planned.is_carried_out());
    planned
        .filter_map(|(ordinal, planned)| match &planned.operation {
            Operation::TripBreaker { target, reason, expires_in_s } => Some(Tripping {
                // What is no target is told when the operation is performed.
                target: Target::parse(target).ok()?,
                reason: reason.clone(),
                at: row.at,
                expires_in_s: *expires_in_s,
                operation: key(id, ordinal, row.at),
                by: match row.recipe.as_str() {
                    "" => "loop detection".to_owned(),
                    recipe => format!("recipe {recipe}"),
                },
            }),
            _ => None,
        })
        .collect()
}
