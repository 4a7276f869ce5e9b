//! Budgets of a day for live runs: counted in memory, so that runs side by side
//! never pass a bound together, and written down before the question is put,
//! so that no crash gives anything back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::TimestampMs;
use crate::pipeline::ports::Meter;
use crate::stage::HostError;
use crate::store::{Reader, Store};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// See the module's documentation.
pub struct LiveMeter {
    store: Arc<Store>,
    reader: Arc<Reader>,
    today: Mutex<Today>,
}

#[derive(Default)]
struct Today {
    day: i64,
    /// Questions by recipe, those on their way included.
    calls: HashMap<String, u32>,
}

impl LiveMeter {
    pub fn new(store: Arc<Store>, reader: Arc<Reader>) -> Self {
        Self { store, reader, today: Mutex::default() }
    }

    fn today(&self, day: i64) -> MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // Only forwards: a clock that jumps back must not open a budget anew.
        if day > today.day {
            *today = Today { day, calls: HashMap::new() };
        }
        today
    }

    /// Counts one for each recipe, or none at all.
    fn take(&self, budgets: &[(&str, u32)], day: i64) -> Result<i64, HostError> {
        let mut today = self.today(day);
        let day = today.day;
        for (recipe, bound) in budgets {
            let used = match today.calls.get(*recipe) {
                Some(used) => *used,
                None => {
                    let used = self
                        .reader
                        .model_calls(recipe, day)
                        .map_err(|error| HostError::Failed(error.to_string()))?;
                    today.calls.insert((*recipe).to_owned(), used);
                    used
                }
            };
            if used >= *bound {
                return Err(HostError::Budget(format!(
                    "model_calls_per_day = {bound}  # grants/{recipe}.toml, [budget]"
                )));
            }
        }
        for (recipe, _) in budgets {
            let used = today.calls.entry((*recipe).to_owned()).or_default();
            *used = used.saturating_add(1);
        }
        Ok(day)
    }

    fn put_back(&self, budgets: &[(&str, u32)], day: i64) {
        let mut today = self.today(day);
        if today.day == day {
            for (recipe, _) in budgets {
                if let Some(used) = today.calls.get_mut(*recipe) {
                    *used = used.saturating_sub(1);
                }
            }
        }
    }

    async fn write(&self, budgets: &[(&str, u32)], day: i64, more: i64) -> Result<(), HostError> {
        let recipes = budgets.iter().map(|(recipe, _)| (*recipe).to_owned()).collect();
        self.store
            .add_model_calls(recipes, day, more)
            .await
            .map_err(|error| HostError::Failed(format!("the budget cannot be written: {error}")))
    }
}

fn day_of(now: TimestampMs) -> i64 {
    i64::try_from(now.0 / DAY_MS).unwrap_or(i64::MAX)
}

#[async_trait]
impl Meter for LiveMeter {
    async fn reserve(&self, budgets: &[(&str, u32)], now: TimestampMs) -> Result<(), HostError> {
        let day = self.take(budgets, day_of(now))?;
        let written = self.write(budgets, day, 1).await;
        if written.is_err() {
            self.put_back(budgets, day);
        }
        written
    }

    async fn give_back(&self, budgets: &[(&str, u32)], now: TimestampMs) {
        let day = day_of(now);
        self.put_back(budgets, day);
        // Not given back in the file means that a restart finds less, never more.
        if let Err(error) = self.write(budgets, day, -1).await {
            tracing::warn!(%error, "an unused question stays counted");
        }
    }
}
