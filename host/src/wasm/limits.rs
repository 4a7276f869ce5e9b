//! What the guest's memory and tables may grow to, all of them together. Fuel
//! and time are set in `call.rs`; the numbers are those of `stage.rs`.

use wasmtime::{ResourceLimiter, Result};

use crate::stage::StageLimits;

/// Counts what a run has, and says no beyond its limit.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    allowed: usize,
    used: usize,
    peak: usize,
    /// Bytes of the growth allowed last, in case the system then refuses it.
    last_growth: usize,
    refused: bool,
    table_elements: usize,
}

/// One component never has more; the pool holds the finer limits.
const MAX_ITEMS: usize = 64;

impl MemoryLimiter {
    pub(super) fn new(allowed: usize) -> Self {
        Self { allowed, used: 0, peak: 0, last_growth: 0, refused: false, table_elements: 0 }
    }

    /// The most that all memories together had, in bytes.
    pub(super) fn peak(&self) -> u64 {
        self.peak as u64
    }

    pub(super) fn allowed(&self) -> u64 {
        self.allowed as u64
    }

    /// Whether a growth was refused. A guest that fails afterwards failed for
    /// want of memory, whatever instruction it died of.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(growth);
        self.last_growth = 0;
        // Beyond a maximum of its own: not for want of memory.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if wanted > self.allowed {
            self.refused = true;
            return Ok(false);
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        self.last_growth = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _reason: wasmtime::Error) -> Result<()> {
        // After a refusal of ours this is called too, with nothing to take back.
        if self.last_growth > 0 {
            self.used = self.used.saturating_sub(self.last_growth);
            self.last_growth = 0;
            self.refused = true;
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        let fits = wanted <= StageLimits::MAX_TABLE_ELEMENTS;
        if fits {
            self.table_elements = wanted;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_ITEMS
    }

    fn tables(&self) -> usize {
        MAX_ITEMS
    }

    fn memories(&self) -> usize {
        MAX_ITEMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "a second memory is not free");
        assert!(limiter.refused());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert_eq!(limiter.peak(), 100);
    }

    #[test]
    fn what_the_system_refused_is_not_counted() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 80, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 100, None).unwrap());
    }
}
