//! Every hostile component, one row each: how exactly it fails, or what it is
//! told instead, and that the next event is served as if nothing had been.
//! A guest folder without a row fails the test.

mod hand_made;
mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use thrall::wasm::{ComponentReport, LoadError};
use thrall_tests::guests;
use thrall_tests::test_home::thrall_program;

use crate::stage::{Refuses, Stage};

/// How many times slower than usual the next event may be. A sandbox that was
/// harmed is slower by orders of magnitude, or fails.
const SLOWER: u32 = 50;

/// A component and what becomes of it.
struct Row {
    name: &'static str,
    component: Component,
    /// The recipe's `[config]`, as JSON.
    config: String,
    expected: Expected,
}

enum Component {
    /// A folder of `tests/guests`, or the core module beside them.
    Guest,
    HandMade(Box<dyn Fn() -> Vec<u8>>),
}

enum Expected {
    /// Fails when it is called, with exactly this text.
    Fails(&'static str),
    /// Fails with a text that has these two parts: the rest names places in
    /// compiled code.
    FailsWith(&'static str, &'static str),
    /// Is not loaded: exactly this, or with these two parts.
    Refused(&'static str),
    RefusedWith(&'static str, &'static str),
    /// Answers with a text that has this part: what it wanted came to nothing.
    Answers(&'static str),
}

/// One test for each group of rows, so that they run side by side.
macro_rules! each_row_as_expected {
    ($($group:ident),*) => {$(
        #[tokio::test]
        async fn $group() {
            as_expected(rows::$group()).await;
        }
    )*};
}

each_row_as_expected!(
    guests_without_configuration,
    misdeeds,
    forgeries,
    traps,
    resources,
    malformed_values,
    files,
    large_files
);

/// Each fails as its row says and harms nobody.
async fn as_expected(rows: Vec<Row>) {
    let stage = Stage::new();
    let usual = Usual::measure(&stage).await;
    let mut surprises = Vec::new();
    for row in &rows {
        if let Some(surprise) = surprise(&stage, row).await {
            surprises.push(surprise);
        }
        if let Some(harm) = usual.harm(&stage).await {
            surprises.push(format!("after {}: {harm}", row.name));
        }
    }
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
}

#[test]
fn each_guest_folder_has_a_row_and_there_are_enough_rows() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/guests");
    let folders: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let rows = rows::all();
    for folder in &folders {
        assert!(
            rows.iter().any(|row| row.name == folder && matches!(row.component, Component::Guest)),
            "tests/guests/{folder} has no row in tests/it/hostile/rows.rs"
        );
    }
    for (name, _) in guests::GUESTS {
        assert!(rows.iter().any(|row| row.name == name), "{name} has no row");
    }
    let mut components: Vec<&str> = rows.iter().map(|row| row.name).collect();
    components.sort_unstable();
    components.dedup();
    assert!(components.len() >= 60, "{} components", components.len());
}

/// What was not as expected.
async fn surprise(stage: &Stage, row: &Row) -> Option<String> {
    let bytes = match &row.component {
        Component::Guest => guests::bytes(row.name).to_vec(),
        Component::HandMade(make) => make(),
    };
    let loaded = stage.load(&bytes);
    let got = match &loaded {
        Err(refused) => format!("refused: {refused}"),
        Ok(report) => match stage.call(report, &row.config).await.answer {
            Ok(answer) => format!("answered: {answer}"),
            Err(fault) => fault.to_string(),
        },
    };
    let as_expected = match &row.expected {
        Expected::Fails(text) => got == **text,
        Expected::FailsWith(start, part) => got.starts_with(start) && got.contains(part),
        Expected::Refused(text) => got == format!("refused: {text}"),
        Expected::RefusedWith(start, part) => {
            got.starts_with(&format!("refused: {start}")) && got.contains(part)
        }
        Expected::Answers(part) => got.starts_with("answered: ") && got.contains(part),
    };
    let shown: String = got.chars().take(400).collect();
    (!as_expected).then(|| format!("{} {}: {shown}", row.name, row.config))
}

/// How an honest component is served before anything happened.
struct Usual {
    report: ComponentReport,
    answer: String,
    time: Duration,
}

impl Usual {
    async fn measure(stage: &Stage) -> Self {
        let report = stage.guest("echo-hotwire");
        let mut times = Vec::new();
        let mut answer = String::new();
        for _ in 0..21 {
            let started = Instant::now();
            answer = stage.call(&report, "{}").await.answer.unwrap();
            times.push(started.elapsed());
        }
        times.sort_unstable();
        Self { report, answer, time: times[10] }
    }

    /// The next event is answered, and as fast as usual. The machine may be
    /// busy with something else for a moment, so the best of three counts.
    async fn harm(&self, stage: &Stage) -> Option<String> {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            let next = stage.call(&self.report, "{}").await.answer;
            best = best.min(started.elapsed());
            if next.as_ref() != Ok(&self.answer) {
                return Some(format!("the next event got {next:?}"));
            }
        }
        (best > self.time * SLOWER)
            .then(|| format!("the next event took {best:?} instead of {:?}", self.time))
    }
}

#[tokio::test]
async fn a_component_that_takes_long_to_compile_costs_a_worker_only() {
    let folder = tempfile::tempdir().unwrap();
    // The real limit is a minute; the same happens after one second.
    let worker = limited_worker(folder.path(), "ulimit -t 1");
    let stage = Stage::with_worker(Arc::new(Refuses), worker);
    let usual = Usual::measure(&stage).await;
    stage.sandbox.load(hand_made::good()).await.unwrap();
    // While the worker compiles, events are served.
    let events = async {
        for _ in 0..100 {
            assert_eq!(usual.harm(&stage).await, None);
            tokio::task::yield_now().await;
        }
    };
    let (refused, ()) =
        tokio::join!(stage.sandbox.load(hand_made::slow_to_compile(250_000)), events);
    let Err(LoadError::Compile(text)) = &refused else { panic!("{refused:?}") };
    assert!(text.contains("was killed by signal"), "{text}");
    assert!(text.contains("(a limit of time or memory)"), "{text}");
    assert_eq!(usual.harm(&stage).await, None);
}

#[tokio::test]
async fn a_component_that_takes_much_memory_to_compile_costs_a_worker_only() {
    let folder = tempfile::tempdir().unwrap();
    // The real limit is 4 GiB; the same happens with less, sooner.
    let worker = limited_worker(folder.path(), "ulimit -v 600000");
    let stage = Stage::with_worker(Arc::new(Refuses), worker);
    let usual = Usual::measure(&stage).await;
    stage.sandbox.load(hand_made::good()).await.unwrap();
    let refused = stage.sandbox.load(hand_made::slow_to_compile(250_000)).await;
    let Err(LoadError::Compile(text)) = &refused else { panic!("{refused:?}") };
    assert!(text.contains("without an answer"), "{text}");
    assert_eq!(usual.harm(&stage).await, None);
}

/// Each level holds a copy of those inside it while it is compiled.
#[tokio::test]
async fn components_nested_without_end_cost_a_worker_only() {
    let folder = tempfile::tempdir().unwrap();
    let worker = limited_worker(folder.path(), "ulimit -v 600000");
    let stage = Stage::with_worker(Arc::new(Refuses), worker);
    let usual = Usual::measure(&stage).await;
    let report = stage.sandbox.load(hand_made::with_nested_components(100)).await.unwrap();
    assert_eq!(stage.call(&report, "{}").await.answer.as_deref(), Ok("event-1"));
    let refused = stage.sandbox.load(hand_made::with_nested_components(50_000)).await;
    let Err(LoadError::Compile(text)) = &refused else { panic!("{refused:?}") };
    assert!(text.contains("was killed by signal"), "{text}");
    assert_eq!(usual.harm(&stage).await, None);
}

/// The program as a worker whose own limits are narrower than usual.
fn limited_worker(folder: &std::path::Path, limit: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = folder.join("worker");
    let program = thrall_program();
    std::fs::write(&script, format!("#!/bin/sh\n{limit}\nexec {} \"$@\"\n", program.display()))
        .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    script
}
