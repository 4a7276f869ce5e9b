//! Rows that trip a breaker, and what breakers make of rows for a node: held as
//! long as their recipient is stopped, and let go when it no longer is.

use serde_json::Value;

use crate::breakers::{BreakerFile, Stopped, Target, TargetError, Trip, met};
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::TimestampMs;
use crate::ids::JournalId;
use crate::operation::Operation;
use crate::store::OutboxRow;

/// A trip that a decision asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripping {
    pub target: Target,
    pub reason: String,
    pub at: TimestampMs,
    /// `None`: as long as is usual.
    pub expires_in_s: Option<u64>,
    /// See [`key`].
    pub operation: String,
    pub by: String,
}

/// Names an operation that trips: the same for whoever sees its decision or its
/// row, and for no other one of any home that was restored from this one.
pub fn key(journal_id: JournalId, ordinal: u32, at: TimestampMs) -> String {
    format!("journal {journal_id} step {ordinal} of {}", at.0)
}

/// Why a row trips nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoTrip {
    #[error("its row names no breaker")]
    Unreadable,
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Tripping {
    /// # Errors
    /// The row is not one that trips, or its target is none.
    pub fn of_row(row: &OutboxRow) -> Result<Self, NoTrip> {
        let Ok(Operation::TripBreaker { target, reason, expires_in_s }) =
            serde_json::from_str(&row.body)
        else {
            return Err(NoTrip::Unreadable);
        };
        Ok(Self {
            target: Target::parse(&target)?,
            reason,
            at: row.created_at,
            expires_in_s,
            operation: key(row.journal_id.unwrap_or_default(), row.ordinal, row.created_at),
            by: format!("recipe {}", row.recipe),
        })
    }

    fn trip(&self, breakers: &Breakers) -> Trip<'_> {
        Trip {
            target: &self.target,
            reason: &self.reason,
            at: self.at,
            expires_in_s: self.expires_in_s.unwrap_or_else(|| breakers.usual_expiry_s()),
            operation: &self.operation,
        }
    }

    /// In memory: it holds when this returns.
    pub fn hold(&self, breakers: &Breakers) {
        breakers.hold(&self.trip(breakers), &self.by);
    }

    pub(super) fn write(&self, breakers: &Breakers) -> std::io::Result<Option<BreakerFile>> {
        breakers.trip(&self.trip(breakers), &self.by)
    }
}

/// The breaker that stops a row for a node, if any. What wakes the agent is
/// stopped by none.
pub(super) fn stop(breakers: &Breakers, row: &OutboxRow, now: TimestampMs) -> Option<Stopped> {
    let named = match row.kind.as_str() {
        "reply" | "mail" => "to_node",
        "skill" => "skill",
        _ => return None,
    };
    if breakers.standing().is_empty() {
        return None;
    }
    let body: Value = serde_json::from_str(&row.body).ok()?;
    let name = body.get(named).and_then(Value::as_str)?;
    let targets = if row.kind == "skill" { met::by_call(name) } else { met::by_mail(name) };
    breakers.stop(&targets, now)
}
