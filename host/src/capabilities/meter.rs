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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixtures::{NOW, TestStore};

    fn meter(store: &Arc<Store>) -> LiveMeter {
        LiveMeter::new(Arc::clone(store), Arc::new(store.reader().clone()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn side_by_side_no_more_is_taken_than_there_is_and_a_restart_gives_nothing_back() {
        let TestStore { store, dir } = TestStore::new();
        let store = Arc::new(store);
        let shared = Arc::new(meter(&store));
        let mut runs = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let meter = Arc::clone(&shared);
            runs.spawn(
                async move { meter.reserve(&[("a", 10), ("parent", 25)], NOW).await.is_ok() },
            );
        }
        let taken = runs.join_all().await.into_iter().filter(|taken| *taken).count();
        assert_eq!(taken, 10, "the narrower of the two bounds");
        assert!(shared.reserve(&[("b", 10)], NOW).await.is_ok(), "another recipe's own");

        drop(shared);
        let restarted = meter(&store);
        let Err(HostError::Budget(line)) = restarted.reserve(&[("a", 10)], NOW).await else {
            panic!()
        };
        assert_eq!(line, "model_calls_per_day = 10  # grants/a.toml, [budget]");
        restarted.give_back(&[("a", 10)], NOW).await;
        assert!(restarted.reserve(&[("a", 10)], NOW).await.is_ok());
        let tomorrow = NOW.plus(std::time::Duration::from_secs(24 * 3600));
        assert!(restarted.reserve(&[("a", 1)], tomorrow).await.is_ok());
        assert!(
            restarted.reserve(&[("a", 1)], NOW).await.is_err(),
            "a clock that jumps back opens nothing"
        );
        drop(dir);
    }
}
