//! How many threads a short computation should take now. ggml's threads wait for
//! each other by spinning, many times in each call: where one has to share its core,
//! all wait for it, and two threads take six times as long as one alone.

/// Whether a call that would use `threads` threads finds a core for each.
pub(super) fn are_there(threads: usize) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Where the system does not tell, the configured number holds.
    runnable().is_none_or(|runnable| fit(threads, cores, runnable))
}

/// `runnable` counts whoever asks.
fn fit(threads: usize, cores: usize, runnable: usize) -> bool {
    let others = runnable.saturating_sub(1);
    threads.saturating_add(others) <= cores
}

/// Threads on this machine that run or want to, now, from Linux's own accounting.
fn runnable() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/loadavg").ok()?)
}

fn parse(loadavg: &str) -> Option<usize> {
    let (runnable, _) = loadavg.split_whitespace().nth(3)?.split_once('/')?;
    runnable.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_wants_a_core_that_nobody_else_wants() {
        for (threads, cores, runnable, expected) in
            [(2, 2, 1, true), (2, 2, 2, false), (2, 2, 9, false), (2, 8, 7, true), (2, 2, 0, true)]
        {
            assert_eq!(fit(threads, cores, runnable), expected, "{threads} {cores} {runnable}");
        }
    }

    #[test]
    fn linux_says_who_wants_to_run() {
        assert_eq!(parse("7.82 8.55 7.66 5/118 21795\n"), Some(5));
        for other in ["", "0.1 0.2 0.3", "1 2 3 x/5 6", "1 2 3 45 6"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
