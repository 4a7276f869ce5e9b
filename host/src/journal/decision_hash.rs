//! The hash that pins a decision: equal for equal filter decision, tier,
//! verdict, operations, denials and host-call requests, whatever the clock
//! said and however long it took. A dry run and a replay are compared by it.

use serde::Serialize;

use crate::envelope::sender::Tier;
use crate::ids::Digest;
use crate::operation::{Operation, PlannedOperation};
use crate::stage::{HostCallRecord, HostRequest};
use crate::verdict::{FilterAnswer, Verdict};

/// What the hash covers, in a fixed order.
#[derive(Serialize)]
struct Covered<'a> {
    filter: &'a str,
    filter_answer: Option<&'a FilterAnswer>,
    tier: Tier,
    verdict: &'a Verdict,
    action: &'a str,
    operations: Vec<Ruled<'a>>,
    host_requests: Vec<(&'a str, &'a HostRequest)>,
}

/// An operation with its denial. What a switch of the operator holds back was
/// decided all the same.
#[derive(Serialize)]
struct Ruled<'a> {
    #[serde(flatten)]
    operation: &'a Operation,
    #[serde(skip_serializing_if = "Option::is_none")]
    denied_by: Option<&'a str>,
}

/// Computes the hash. `action` is the action after the fallback rule.
pub fn decision_hash(
    filter: &str,
    filter_answer: Option<&FilterAnswer>,
    tier: Tier,
    verdict: &Verdict,
    action: &str,
    operations: &[PlannedOperation],
    host_calls: &[HostCallRecord],
) -> Digest {
    let covered = Covered {
        filter,
        filter_answer,
        tier,
        verdict,
        action,
        operations: operations
            .iter()
            .map(|planned| Ruled {
                operation: &planned.operation,
                denied_by: planned.denied_by.as_deref(),
            })
            .collect(),
        host_requests: host_calls.iter().map(|call| (call.stage.as_str(), &call.request)).collect(),
    };
    // Serialising plain structs of strings and numbers has no failing case.
    let bytes = serde_json::to_vec(&covered).unwrap_or_default();
    Digest::of_parts(&[b"thrall decision 1", &bytes])
}
