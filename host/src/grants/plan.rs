//! The smallest grant that a number of runs would have needed. What they asked
//! for is collected by the authority that they ran under
//! ([`super::Authority::planning`]); here it is joined with what they used up,
//! or with what a recipe declares.

use std::collections::BTreeMap;

use super::{HOURLY, Limits, Need, Permissions};
use crate::clock::TimestampMs;
use crate::journal::Trace;
use crate::stage::StageLimits;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How often in an hour a declared operation is granted that no event needed
/// yet.
const DECLARED_PER_HOUR: u32 = 6;

/// Permissions with everything that a recipe declares as well, and no more: for
/// a recipe that no event has met yet, the smallest ones that let it do what it
/// says. Operations that are new get a bound of a few in an hour.
pub fn declared(needs: &[Need<'_>], mut permissions: Permissions) -> Permissions {
    let fresh: Vec<&str> =
        HOURLY.into_iter().filter(|kind| !is_granted(&permissions, kind)).collect();
    for need in needs {
        permissions.add(need);
    }
    for kind in fresh {
        permissions.raise_hourly(kind, DECLARED_PER_HOUR);
    }
    permissions
}

fn is_granted(permissions: &Permissions, kind: &str) -> bool {
    let operations = &permissions.operations;
    match kind {
        "wake" => operations.wake.is_some(),
        "reply" => operations.reply.is_some(),
        _ => operations.mail.is_some(),
    }
}

/// What a number of runs used.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Operations by kind and hour.
    in_hour: BTreeMap<(&'static str, u64), u32>,
    /// Questions to the model by day.
    on_day: BTreeMap<u64, u32>,
    tokens_per_run: u32,
    memory_bytes: u64,
    fuel: u64,
}

impl Observed {
    /// Takes one run in. `at` is when its event was decided, or would be.
    pub fn run(&mut self, trace: &Trace, at: TimestampMs) {
        for planned in &trace.action.operations {
            let wakes = super::can_wake(&planned.operation);
            for kind in HOURLY {
                if planned.operation.kind() == kind || (kind == "wake" && wakes) {
                    *self.in_hour.entry((kind, at.0 / HOUR_MS)).or_default() += 1;
                }
            }
        }
        let asked = trace.host_calls.iter().filter(|call| call.request.name().0 == "model").count();
        *self.on_day.entry(at.0 / DAY_MS).or_default() += u32::try_from(asked).unwrap_or(u32::MAX);
        self.tokens_per_run = self.tokens_per_run.max(trace.usage.model_tokens);
        for (_, usage) in &trace.usage.stages {
            self.memory_bytes = self.memory_bytes.max(usage.memory_bytes);
            self.fuel = self.fuel.max(usage.fuel);
        }
    }

    /// The permissions with bounds that would have been enough: what was asked
    /// for, as often as it was asked for. Budgets keep their usual values unless
    /// more was used, and memory is raised in whole MiB.
    pub fn bound(&self, asked: Permissions) -> Permissions {
        let mut permissions = asked;
        for kind in HOURLY {
            let most =
                self.in_hour.iter().filter(|((of, _), _)| *of == kind).map(|(_, n)| *n).max();
            permissions.raise_hourly(kind, most.unwrap_or(0));
        }
        let budget = &mut permissions.budget;
        let most = self.on_day.values().copied().max().unwrap_or(0);
        budget.model_calls_per_day = budget.model_calls_per_day.max(most);
        budget.model_tokens_per_run = budget.model_tokens_per_run.max(self.tokens_per_run);
        let mib = u32::try_from(self.memory_bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        permissions.limits.memory_mib = mib.max(Limits::default().memory_mib);
        if self.fuel > StageLimits::action().fuel {
            permissions.limits.fuel = Some(self.fuel);
        }
        permissions
    }
}
