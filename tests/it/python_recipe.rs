//! A recipe in Python, built by the real componentize-py and run in the real
//! sandbox within the usual limits. Without componentize-py (set-up could not
//! fetch it) each test says SKIPPED.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use thrall::clock::TimestampMs;
use thrall::envelope::sender::Tier;
use thrall::envelope::{Envelope, Field};
use thrall::stage::{HostAnswer, HostCalls, HostError, HostRequest, Sandbox, StageLimits, World};
use thrall::verdict::Situation;
use thrall::wasm::{SandboxSettings, WasmSandbox, offered_interfaces};
use thrall_tests::authoring_page::workspace;
use thrall_tests::test_home::thrall_program;

/// What set-up installed, or nothing.
fn componentize_py() -> Option<PathBuf> {
    let script = std::fs::read_to_string(workspace().join("scripts/setup/componentize_py.sh"));
    let script = script.unwrap();
    let version =
        script.lines().find_map(|line| line.strip_prefix("componentize_py_version=")).unwrap();
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .unwrap();
    let tool = cache.join(format!("thrall/componentize-py-{version}/bin/componentize-py"));
    let scaffold = tempfile::tempdir().unwrap();
    let readme = new(scaffold.path(), "x", World::Filter, &[]).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    assert!(readme.contains(&format!("componentize-py=={version}")), "one version everywhere");
    if tool.is_file() {
        return Some(tool);
    }
    skipped("no componentize-py here; `make setup` installs it where there is a network");
    None
}

/// Shown also where the test passes: .config/nextest.toml.
#[expect(clippy::print_stderr, reason = "a test that did not run must not look like one that did")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

#[expect(clippy::print_stdout, reason = "a figure for who reads the run")]
fn told(figure: &str) {
    println!("{figure}");
}

fn thrall(args: &[&str]) -> Output {
    Command::new(thrall_program()).args(args).env_remove("CARGO_TARGET_DIR").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn new(parent: &Path, name: &str, world: World, imports: &[&str]) -> PathBuf {
    let imports = imports.join(",");
    let made = thrall(&[
        "recipe",
        "new",
        name,
        "--world",
        world.as_str(),
        "--imports",
        &imports,
        "--lang",
        "python",
        "--dir",
        parent.to_str().unwrap(),
    ]);
    assert!(made.status.success(), "{made:?}");
    parent.join(name)
}

struct NoHost;

#[async_trait::async_trait]
impl HostCalls for NoHost {
    async fn call(&self, _: HostRequest) -> Result<HostAnswer, HostError> {
        Err(HostError::Denied("imports = []".to_owned()))
    }
}

fn mail(body: &str) -> Envelope {
    Envelope {
        id: "event-1".to_owned(),
        trigger: "on_mail".to_owned(),
        source: "test".to_owned(),
        parent: None,
        depth: 0,
        received_at: TimestampMs(1_770_000_000_000),
        fields: vec![Field::new("body_text", body)],
        ..Envelope::blank()
    }
}

fn situation() -> Situation {
    Situation {
        now: TimestampMs(1_770_000_000_000),
        seed: 7,
        tier: Tier::Known,
        context: Vec::new(),
        gathered: Vec::new(),
        config: r#"{"config": {"fewest_links": 2}, "stage": {}}"#.to_owned(),
    }
}

#[tokio::test]
async fn the_example_in_python_runs_within_the_usual_limits() {
    if componentize_py().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = workspace().join("recipes-wasm/link-heavy");
    std::fs::create_dir(folder.path().join("wit")).unwrap();
    for file in ["app.py", "link-heavy.toml", "wit/world.wit"] {
        std::fs::copy(source.join(file), folder.path().join(file)).unwrap();
    }
    let built = thrall(&["recipe", "build", folder.path().to_str().unwrap(), "--json"]);
    assert!(built.status.success(), "{}{}", text(&built.stdout), text(&built.stderr));
    let report: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(
        (&report["world"], &report["imports"]),
        (&"hotwire".into(), &serde_json::json!(["log"]))
    );
    assert!(!report["wasi"].as_array().unwrap().is_empty(), "{report}");

    let sandbox = WasmSandbox::new(SandboxSettings {
        cache_folder: folder.path().join("compiled"),
        worker_program: thrall_program().to_owned(),
        concurrent_calls: 2,
    })
    .unwrap();
    let bytes = std::fs::read(folder.path().join("link-heavy.wasm")).unwrap();
    let started = Instant::now();
    let id = sandbox.load(bytes).await.unwrap().id;
    let compiled = started.elapsed();

    let limits = StageLimits::decider();
    assert_eq!(limits.memory_bytes, 16 * 1024 * 1024);
    let heavy = mail("buy https://a.example/1 https://b.example/2 https://c.example/3 now");
    let plain = mail("the relay is down, please look at it when you have a minute");
    let first = sandbox.hotwire(id, &heavy, &situation(), limits, Arc::new(NoHost)).await;
    let again = sandbox.hotwire(id, &heavy, &situation(), limits, Arc::new(NoHost)).await;
    assert_eq!(first.answer, again.answer, "the same input, the same answer");
    assert_eq!(first.usage.fuel, again.usage.fuel);
    let verdict = first.answer.unwrap().unwrap();
    assert_eq!(verdict.action, "drop");
    assert_eq!(verdict.reason, "link-heavy: 3 links and 2 words");
    assert_eq!(first.logs[0].message, "3 links, 2 words");
    let other = sandbox.hotwire(id, &plain, &situation(), limits, Arc::new(NoHost)).await;
    assert_eq!(other.answer, Ok(None));

    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        sandbox.hotwire(id, &heavy, &situation(), limits, Arc::new(NoHost)).await.answer.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    told(&format!(
        "python: {} bytes, compiled in {compiled:?}, a fresh instance with a call {:?} (median), {} bytes of memory, {} fuel",
        report["size"], times[10], first.usage.memory_bytes, first.usage.fuel
    ));
}

/// Building takes a quarter of a minute, so one of them is built; the functions of
/// all are tried.
#[test]
fn a_new_recipe_in_python_passes_its_own_test_and_imports_what_was_asked_for() {
    let Some(tool) = componentize_py() else { return };
    let parent = tempfile::tempdir().unwrap();
    let python = tool.with_file_name("python");
    // The stubs that componentize-py writes for tests need Python 3.11.
    let is_new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    let is_new_enough =
        Command::new(&python).args(["-c", is_new_enough]).status().unwrap().success();
    for (index, world) in World::ALL.into_iter().enumerate() {
        let all = offered_interfaces(world);
        for (name, imports) in
            [(format!("none{index}"), &[][..]), (format!("all{index}"), &all[..])]
        {
            let folder = new(parent.path(), &name, world, imports);
            let bindings = Command::new(&tool)
                .current_dir(&folder)
                .args(["-q", "-d", "wit", "-w", "recipe", "bindings", "bindings"])
                .output()
                .unwrap();
            assert!(bindings.status.success(), "{}", text(&bindings.stderr));
            if !is_new_enough {
                skipped("the unit tests of app.py need Python 3.11");
                continue;
            }
            let tested = Command::new(&python)
                .current_dir(&folder)
                .args(["-m", "unittest", "--quiet"])
                .output()
                .unwrap();
            let said = text(&tested.stderr);
            assert!(tested.status.success() && said.contains("OK"), "{name}: {said}");
        }
    }
    let folder = parent.path().join("all2");
    let built = thrall(&["recipe", "build", folder.to_str().unwrap(), "--json"]);
    assert!(built.status.success(), "{}{}", text(&built.stdout), text(&built.stderr));
    let report: Value = serde_json::from_slice(&built.stdout).unwrap();
    let mut all = offered_interfaces(World::Action);
    all.sort_unstable();
    assert_eq!(report["imports"], serde_json::json!(all));
    assert!(folder.join("all2.wasm").is_file());

    // A mistake is named with its line.
    std::fs::write(folder.join("app.py"), "import wit_world\n\ndef broken(\n").unwrap();
    let built = thrall(&["recipe", "build", folder.to_str().unwrap()]);
    assert_eq!(built.status.code(), Some(1));
    let said = text(&built.stdout);
    assert!(said.starts_with("app.py:3:1: SyntaxError"), "{said}");
}
