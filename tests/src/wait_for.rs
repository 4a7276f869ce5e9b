//! Waiting on a state, with a bound. The only place in the tests that sleeps.

use std::time::{Duration, Instant};

/// Asks until the answer is there.
///
/// # Panics
/// When it is not there within the bound; `what` says what was waited for.
pub fn wait_for<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < bound, "no {what} within {bound:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
