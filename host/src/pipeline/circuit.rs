//! The circuit breaker of host calls: an interface that gave a recipe no answer
//! in time, several times in a row, is not asked again for a while. Kept for
//! each recipe by itself, so that one recipe's questions never shut another's
//! door. Pure but for the lock; time is the run's `now`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::TimestampMs;
use crate::stage::HostRequest;

/// Answers that may fail to come before the interface is left alone.
const FAILURES: u32 = 5;
/// How long it is left alone; the first question after that is a trial.
const PAUSE: Duration = Duration::from_secs(30);
/// Recipes that are remembered; beyond it the table starts anew, which only
/// means that some interface is tried again early.
const MAX_REMEMBERED: usize = 10_000;

/// See the module's documentation. One for a service.
#[derive(Debug, Default)]
pub struct Circuits(Mutex<HashMap<(String, &'static str), Circuit>>);

#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    failures: u32,
    open_until: Option<TimestampMs>,
}

impl Circuits {
    /// Whether a question may be put now.
    ///
    /// # Errors
    /// Milliseconds until it is worth trying again.
    pub fn admit(&self, recipe: &str, request: &HostRequest, now: TimestampMs) -> Result<(), u64> {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The usual case without a copy of the name.
        if circuits.is_empty() {
            return Ok(());
        }
        let key = (recipe.to_owned(), request.name().0);
        match circuits.get_mut(&key) {
            Some(circuit) => match circuit.open_until {
                Some(until) if until > now => Err(until.0.saturating_sub(now.0)),
                Some(_) => {
                    // One trial; others wait for how it ends.
                    circuit.open_until = Some(now.plus(PAUSE));
                    Ok(())
                }
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Takes the answer into account. Only one that did not come in time is a
    /// failure of the interface; a refusal or an error is an answer.
    pub fn settle(&self, recipe: &str, interface: &'static str, is_late: bool, now: TimestampMs) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_late {
            if !circuits.is_empty() {
                circuits.remove(&(recipe.to_owned(), interface));
            }
            return;
        }
        if circuits.len() >= MAX_REMEMBERED {
            circuits.clear();
        }
        let circuit = circuits.entry((recipe.to_owned(), interface)).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures >= FAILURES {
            circuit.open_until = Some(now.plus(PAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed() -> HostRequest {
        HostRequest::ModelEmbed { text: String::new() }
    }

    #[test]
    fn five_missing_answers_open_it_and_one_answer_closes_it() {
        let circuits = Circuits::default();
        let at = |seconds: u64| TimestampMs(seconds * 1000);
        for _ in 0..4 {
            circuits.settle("a", "model", true, at(0));
            assert_eq!(circuits.admit("a", &embed(), at(0)), Ok(()));
        }
        circuits.settle("a", "model", true, at(0));
        assert_eq!(circuits.admit("a", &embed(), at(10)), Err(20_000));
        assert_eq!(circuits.admit("b", &embed(), at(10)), Ok(()), "another recipe's own");
        let flag = HostRequest::ContextFlag { key: String::new() };
        assert_eq!(circuits.admit("a", &flag, at(10)), Ok(()), "another interface");
        assert_eq!(circuits.admit("a", &embed(), at(30)), Ok(()), "the trial");
        assert!(circuits.admit("a", &embed(), at(31)).is_err(), "one trial at a time");
        circuits.settle("a", "model", false, at(31));
        assert_eq!(circuits.admit("a", &embed(), at(31)), Ok(()));
    }
}
