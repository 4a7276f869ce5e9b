//! The WASI world is empty: one guest tries every way out and tells what it
//! met. Files and sockets are never there, time and chance are the event's,
//! output is the run's log.

use thrall::stage::{LogLevel, StageLimits};
use thrall::wasm::WasiAnswer;
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;

use crate::stage::{Stage, situation};

fn probe(probe: &str, times: u64) -> String {
    format!(r#"{{"probe": "{probe}", "times": {times}}}"#)
}

async fn answer(stage: &Stage, name: &str, times: u64) -> String {
    stage.answer("probes-wasi", &probe(name, times)).await
}

async fn fault(stage: &Stage, name: &str, times: u64) -> String {
    stage.fault("probes-wasi", &probe(name, times)).await.to_string()
}

#[tokio::test]
async fn there_are_no_files_no_environment_no_arguments_and_no_input() {
    let stage = Stage::new();
    assert_eq!(answer(&stage, "files", 0).await, "0 folders []");
    assert_eq!(answer(&stage, "environment", 0).await, "environment [], arguments [], folder None");
    assert_eq!(answer(&stage, "stdin", 100).await, "closed");
}

#[tokio::test]
async fn sockets_and_names_are_always_denied() {
    let stage = Stage::new();
    for (name, met) in [
        ("tcp", "create access-denied"),
        ("tcp-listen", "create access-denied"),
        ("udp", "create access-denied"),
        ("lookup", "permanent-resolver-failure"),
        ("many-sockets", "0 of 300 made"),
    ] {
        assert_eq!(answer(&stage, name, 300).await, met);
    }
}

#[tokio::test]
async fn a_sleep_of_an_hour_takes_no_time_and_both_clocks_move_on() {
    let stage = Stage::new();
    let report = stage.guest("probes-wasi");
    let slept = stage.call(&report, &probe("sleep", 3600)).await;
    assert_eq!(slept.answer.unwrap(), "wall +3600 s, monotonic +3600 s");
    assert!(slept.usage.wall_us < 60_000_000, "{:?}", slept.usage);
    // To the end of time, and then some more.
    assert_eq!(answer(&stage, "sleep-until", 0).await, format!("now {}", u64::MAX));
}

#[tokio::test]
async fn the_wall_clock_is_the_events_time() {
    let stage = Stage::new();
    let now = situation("{}").now.0;
    let told = answer(&stage, "wall-clock", 0).await;
    assert!(told.contains(&format!("seconds: {}", now / 1000)), "{told}");
}

#[tokio::test]
async fn chance_is_seeded_and_bounded() {
    let stage = Stage::new();
    let first = answer(&stage, "random", 0).await;
    assert_eq!(first, answer(&stage, "random", 0).await);
    let most = StageLimits::MAX_RANDOM_BYTES;
    assert_eq!(answer(&stage, "random-bytes", most).await, format!("{most} bytes"));
    assert_eq!(answer(&stage, "insecure-bytes", most).await, format!("{most} bytes"));
    for (name, bytes) in [("random-bytes", most + 1), ("insecure-bytes", 1 << 30)] {
        let fault = fault(&stage, name, bytes).await;
        let expected = format!("trapped: requested len {bytes} exceeds limit {most}");
        assert!(fault.starts_with(&expected), "{fault}");
    }
}

#[tokio::test]
async fn output_goes_to_the_runs_log_and_is_capped() {
    let stage = Stage::new();
    let report = stage.guest("probes-wasi");
    let few = stage.call(&report, &probe("print", 2)).await;
    assert_eq!(few.answer.unwrap(), "printed 2");
    let lines: Vec<_> = few.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
    let (out, err) = (LogLevel::Info, LogLevel::Warn);
    assert_eq!(lines, [(out, "out 0"), (err, "err 0"), (out, "out 1"), (err, "err 1")]);

    let many = stage.call(&report, &probe("print", 1000)).await;
    assert_eq!(many.answer.unwrap(), "printed 1000");
    assert_eq!(many.logs.len(), StageLimits::MAX_LOG_LINES + 1);
    assert_eq!(many.logs.last().unwrap().message, "... 1900 more lines dropped");

    let fault = fault(&stage, "print-too-much", 0).await;
    assert!(fault.starts_with("trapped: wrote more than the stream permitted"), "{fault}");
}

#[tokio::test]
async fn exit_ends_the_call() {
    let stage = Stage::new();
    assert_eq!(fault(&stage, "exit", 0).await, "trapped: exited with status 0");
    assert_eq!(fault(&stage, "exit", 1).await, "trapped: exited with status 1");
}

#[tokio::test]
async fn a_guest_holds_at_most_256_resources() {
    let stage = Stage::new();
    // A pollable takes two entries: itself, and what it waits for.
    let most = StageLimits::MAX_TABLE_ENTRIES as u64 / 2;
    let told = answer(&stage, "many-pollables", most).await;
    assert_eq!(told, format!("{most} of {most} ready"));
    let fault_of_pollables = fault(&stage, "many-pollables", most + 1).await;
    assert!(
        fault_of_pollables.starts_with("trapped: resource table has no free keys"),
        "{fault_of_pollables}"
    );

    assert!(fault(&stage, "poll-nothing", 0).await.starts_with("trapped: "));
}

#[test]
fn check_lists_what_each_wasi_import_meets() {
    let stage = Stage::new();
    let report = stage.guest("probes-wasi");
    for import in &report.wasi {
        let denied = import.meets == WasiAnswer::AlwaysDenied;
        let outside = ["wasi:filesystem/", "wasi:sockets/"];
        assert_eq!(
            denied,
            outside.iter().any(|way| import.interface.starts_with(way)),
            "{import:?}"
        );
    }

    let home = TestHome::new();
    let file = home.write("probes-wasi.wasm", guests::bytes("probes-wasi"));
    let file = file.to_str().unwrap();
    let text = home.run(&["recipe", "check", file]).ok().stdout;
    for part in [
        "good, world filter",
        "  always answer denied: wasi:filesystem/preopens, wasi:filesystem/types, wasi:sockets/",
        "  virtual, from the event's time and seed: wasi:clocks/monotonic-clock, wasi:clocks/wall-clock, wasi:random/",
        "  captured into the run's log: wasi:cli/stderr, wasi:cli/stdout",
        "  empty: wasi:cli/environment, wasi:cli/stdin",
        "  ends the call: wasi:cli/exit",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let json = home.run(&["recipe", "check", file, "--json"]).ok().json();
    assert_eq!(json["world"], "filter");
    let tcp = json["wasi"]
        .as_array()
        .unwrap()
        .iter()
        .find(|import| import["interface"] == "wasi:sockets/tcp")
        .unwrap();
    assert_eq!(tcp["meets"], "always-denied");
}
