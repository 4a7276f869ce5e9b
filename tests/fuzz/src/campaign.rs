//! A run of one target for a while: every input of the corpus as it is, then
//! changed ones. What ends in a new way is changed further. Repeatable: the
//! same program makes the same inputs in the same order, as far as it gets.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Target;
use crate::mutator::Mutator;

/// Inputs that are kept to be changed.
const MAX_KEPT: usize = 2000;
/// How long `make test` runs each target.
const IN_TESTS: Duration = Duration::from_secs(30);
/// Another duration, in seconds.
const SECONDS: &str = "THRALL_FUZZ_SECONDS";

/// What a run did.
#[derive(Debug)]
pub struct Summary {
    pub corpus: usize,
    pub inputs: u64,
    pub ways: usize,
}

/// The corpus of a target, by file name.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs a target. An input for which something does not hold is written to a
/// file, whose name is said.
///
/// # Panics
/// As the target.
#[must_use]
pub fn run(target: Target) -> Summary {
    let seconds = std::env::var(SECONDS).ok().map(|text| text.parse().expect("whole seconds"));
    let bound = seconds.map_or(IN_TESTS, Duration::from_secs);
    let started = Instant::now();
    let mut kept = corpus(target.name);
    let mut ways: std::collections::HashSet<u64> =
        kept.iter().map(|input| try_one(target, input)).collect();
    let corpus = kept.len();
    let mut mutator = Mutator::new(0x7468_7261_6c6c);
    let mut inputs = 0;
    while started.elapsed() < bound {
        // The corpus itself again and again, and what was found lately.
        let from = match mutator.below(3) {
            0 => mutator.below(corpus),
            _ => mutator.below(kept.len()),
        };
        let other = mutator.below(kept.len());
        let input = mutator.change(&kept[from], &kept[other], target.words, target.max_bytes);
        if ways.insert(try_one(target, &input)) && kept.len() < MAX_KEPT {
            kept.push(input);
        }
        inputs += 1;
    }
    Summary { corpus, inputs, ways: ways.len() }
}

fn try_one(target: Target, input: &[u8]) -> u64 {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Ok(way) => way,
        Err(panic) => {
            let file = std::env::temp_dir().join(format!("thrall-fuzz-{}.input", target.name));
            let written = std::fs::write(&file, input);
            eprintln!("{}: the input is in {} ({written:?})", target.name, file.display());
            resume_unwind(panic)
        }
    }
}
