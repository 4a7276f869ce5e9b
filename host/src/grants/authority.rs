//! What a run may do: its recipe's grant, and that of every recipe on the way
//! to its event. All of them have to allow each act, so a chain of recipes can
//! do no more than each of them alone.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ContextScope, Denial, Grant, JournalScope, Need, Permissions};
use crate::ids::Digest;
use crate::stage::{StageLimits, World};

/// The grants that a run is under.
#[derive(Clone, Debug)]
pub struct Authority {
    own: Arc<Grant>,
    lineage: Arc<[Arc<Grant>]>,
    /// Set where a grant is planned: everything is allowed, and what it took
    /// is written down here.
    planned: Option<Arc<Mutex<Permissions>>>,
}

impl Authority {
    /// `lineage` holds the grants of the recipes on the way, as they are now.
    pub fn new(own: Arc<Grant>, lineage: Vec<Arc<Grant>>) -> Self {
        Self { own, lineage: lineage.into(), planned: None }
    }

    /// Allows everything and collects the smallest permissions that would have
    /// been enough. For rehearsals by the operator alone: nothing is performed.
    pub fn planning(own: Arc<Grant>, planned: Arc<Mutex<Permissions>>) -> Self {
        Self { own, lineage: Arc::new([]), planned: Some(planned) }
    }

    fn grants(&self) -> impl Iterator<Item = &Grant> {
        std::iter::once(self.own.as_ref()).chain(self.lineage.iter().map(AsRef::as_ref))
    }

    /// Whether every grant on the way allows what a need stands for.
    ///
    /// # Errors
    /// The line that is missing from the first grant that does not.
    pub fn allow(&self, need: &Need<'_>) -> Result<(), Denial> {
        if let Some(planned) = &self.planned {
            if let Need::Never(reason) = need {
                return Err(Denial::never(&self.own.recipe, reason));
            }
            planned.lock().unwrap_or_else(PoisonError::into_inner).add(need);
            return Ok(());
        }
        self.grants().try_for_each(|grant| grant.allow(need))
    }

    /// The bounds on a kind's number in an hour, by recipe.
    pub fn hourly(&self, kind: &str) -> Vec<(&str, u32)> {
        if self.planned.is_some() {
            return Vec::new();
        }
        self.grants()
            .filter_map(|grant| Some((grant.recipe.as_str(), grant.per_hour(kind)?)))
            .collect()
    }

    /// The denial for a bound of [`Authority::hourly`] that is used up.
    pub fn hourly_denial(&self, recipe: &str, kind: &'static str, done: u32) -> Denial {
        let grant = self.grants().find(|grant| grant.recipe == recipe).unwrap_or(&self.own);
        Denial::hourly(&grant.recipe, &grant.permissions, kind, done)
    }

    /// The widest journal that every grant on the way shows.
    pub fn journal_scope(&self) -> JournalScope {
        if self.planned.is_some() {
            return JournalScope::All;
        }
        self.grants().map(|grant| grant.permissions.reads.journal).min().unwrap_or_default()
    }

    /// Whether `context`, `flags` or `breakers` are the common ones.
    pub fn shares(&self, what: &str) -> bool {
        self.grants().all(|grant| grant.permissions.shared.contains(what))
    }

    /// Whether every grant on the way shows the context of all sessions.
    pub fn sees_all_context(&self) -> bool {
        self.grants().all(|grant| grant.permissions.reads.context == ContextScope::All)
    }

    pub fn host_calls_per_run(&self) -> u32 {
        if self.planned.is_some() {
            return StageLimits::MAX_HOST_CALLS;
        }
        self.grants()
            .map(|grant| grant.permissions.budget.host_calls_per_run)
            .min()
            .unwrap_or_default()
    }

    pub fn model_tokens_per_run(&self) -> u32 {
        if self.planned.is_some() {
            return u32::MAX;
        }
        self.grants()
            .map(|grant| grant.permissions.budget.model_tokens_per_run)
            .min()
            .unwrap_or_default()
    }

    /// Whose budget of a day a question to the model is taken from: that of
    /// every recipe on the way.
    pub fn model_calls_per_day(&self) -> Vec<(&str, u32)> {
        if self.planned.is_some() {
            return Vec::new();
        }
        self.grants()
            .map(|grant| (grant.recipe.as_str(), grant.permissions.budget.model_calls_per_day))
            .collect()
    }

    /// The limits of one call of a component.
    pub fn limits(&self, world: World) -> StageLimits {
        let usual = match world {
            World::Filter | World::Hotwire => StageLimits::decider(),
            World::Action => StageLimits::action(),
        };
        let memory = self.grants().map(|grant| grant.permissions.limits.memory_mib).min();
        let memory_bytes = memory.map_or(usual.memory_bytes, |mib| {
            usize::try_from(mib).unwrap_or(1).saturating_mul(1 << 20)
        });
        let fuel = self.grants().filter_map(|grant| grant.permissions.limits.fuel).min();
        StageLimits { memory_bytes, fuel: fuel.unwrap_or(usual.fuel), ..usual }
    }

    /// Names the grants that the run was under.
    pub fn digest(&self) -> Digest {
        if self.lineage.is_empty() {
            return self.own.digest;
        }
        let parts: Vec<&[u8]> = std::iter::once(&b"thrall authority 1"[..])
            .chain(self.grants().map(|grant| &grant.digest.0[..]))
            .collect();
        Digest::of_parts(&parts)
    }
}
