//! Each limit of the sandbox, flipped: just within it a guest gets its way,
//! one step beyond it does not. The numbers are those of `stage.rs`.

use std::time::Duration;

use thrall::operation::{MAX_OPERATION_BYTES, MAX_OPERATIONS};
use thrall::stage::{GuestFault, StageLimits};
use thrall_tests::events::{mail, node};
use thrall_tests::test_home::TestHome;

use crate::stage::Stage;

const MEGABYTE: usize = 1024 * 1024;

fn deed(deed: &str, times: usize) -> String {
    format!(r#"{{"deed": "{deed}", "times": {times}}}"#)
}

#[tokio::test]
async fn memory_is_what_the_limits_say_up_to_the_most_of_all() {
    let stage = Stage::new();
    let report = stage.guest("allocates-forever");
    for (limit, allowed) in [
        (4 * MEGABYTE, 4 * MEGABYTE),
        (StageLimits::MAX_MEMORY_BYTES, StageLimits::MAX_MEMORY_BYTES),
        (2 * StageLimits::MAX_MEMORY_BYTES, StageLimits::MAX_MEMORY_BYTES),
    ] {
        let limits =
            StageLimits { memory_bytes: limit, fuel: 10_000_000_000, ..StageLimits::decider() };
        let hoarded = stage.call_within(&report, "{}", limits).await;
        assert_eq!(hoarded.answer, Err(GuestFault::OutOfMemory(allowed as u64)));
        let used = hoarded.usage.memory_bytes as usize;
        assert!(used <= allowed && used > allowed / 2, "{used} of {allowed}");
    }
}

#[tokio::test]
async fn fuel_is_what_the_limits_say() {
    let stage = Stage::new();
    let report = stage.guest("misbehaves");
    let limits = |fuel| StageLimits { fuel, ..StageLimits::decider() };
    let enough = stage.call_within(&report, &deed("log-lines", 1000), limits(50_000_000)).await;
    assert!(enough.answer.is_ok(), "{:?}", enough.answer);
    let used = enough.usage.fuel;
    let exact = stage.call_within(&report, &deed("log-lines", 1000), limits(used + 1)).await;
    assert!(exact.answer.is_ok(), "{:?}", exact.answer);
    let short = stage.call_within(&report, &deed("log-lines", 1000), limits(used / 2)).await;
    assert_eq!(short.answer, Err(GuestFault::OutOfFuel(used / 2)));
}

/// Rules as people write them, on mails as long as an event may be.
#[test]
fn usual_patterns_sort_the_longest_mail_within_a_deciders_fuel() {
    const BYTES: usize = 64 * 1024 - 1000;
    let home = TestHome::new();
    let patterns = [
        r"[a-z0-9._-]+@[a-z0-9.-]+\.[a-z]{2,}",
        r"\b(down|outage|urgent)\b",
        r"(error|failed).*(database|disk)",
        r"\bhow much|\bwhat .{1,40}\bcost|\bpric(e|es|ing)\b",
    ];
    let rule = |pattern: &str| {
        format!(
            "[[evaluate.rules]]\nfield = \"body_text\"\npattern = '{pattern}'\naction = \"drop\"\n"
        )
    };
    let recipe = format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\n\
         default_action = \"log\"\n{}",
        patterns.map(rule).concat()
    );
    let file = home.write("sorts.toml", recipe);
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as usize % 64
    };
    let signs: Vec<char> =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    for (name, unit) in [
        ("one letter", "a".to_owned()),
        ("base64", (0..BYTES).map(|_| signs[noise()]).collect()),
        ("almost addresses", "a@a.a@".to_owned()),
        ("prose", "Dear Sir, the relay is as slow as ever; what do we do about it? ".to_owned()),
        ("another script", "мы говорили о том, что реле работает медленно; ".to_owned()),
    ] {
        let mut body = unit.repeat(BYTES / unit.len() + 1);
        while body.len() > BYTES {
            body.pop();
        }
        let envelope = mail("m", &node(7), &body).to_string();
        let args = ["dryrun", file.to_str().unwrap(), "--envelope", "-", "--json"];
        let trace = &home.run_with_input(&args, &envelope).ok().json()["trace"];
        assert_eq!(trace["action"]["name"], "log", "{name}: {}", trace["faults"]);
        let fuel = trace["usage"]["stages"][0][1]["fuel"].as_u64().unwrap();
        println!("{name}: {fuel} of fuel");
        assert!(fuel < StageLimits::decider().fuel, "{name}: {fuel}");
    }
}

#[tokio::test]
async fn guest_time_is_what_the_limits_say() {
    let stage = Stage::new();
    let report = stage.guest("loops-forever");
    for (ms, told) in
        [(20, "more than 20 ms in the guest itself"), (100, "more than 100 ms in the guest itself")]
    {
        let limits = StageLimits {
            guest_time: Duration::from_millis(ms),
            fuel: u64::MAX / 2,
            ..StageLimits::decider()
        };
        let stopped = stage.call_within(&report, "{}", limits).await;
        assert_eq!(stopped.answer, Err(GuestFault::TimedOut(told.to_owned())));
        assert!(stopped.usage.wall_us >= (ms - 10) * 1000, "{:?}", stopped.usage);
    }
}

#[tokio::test]
async fn the_host_copies_so_much_for_a_guest_and_no_more() {
    let stage = Stage::new();
    let most = StageLimits::MAX_COPY_BYTES / MEGABYTE;
    let within = stage.answer("misbehaves", &deed("huge-question", most - 1)).await;
    assert!(within.starts_with("not granted"), "{within}");
    let beyond = stage.fault("misbehaves", &deed("huge-question", most + 1)).await;
    assert!(beyond.to_string().contains("too much data"), "{beyond}");
}

#[tokio::test]
async fn a_log_has_so_many_lines_of_so_many_bytes() {
    let stage = Stage::new();
    let report = stage.guest("misbehaves");
    let most = StageLimits::MAX_LOG_LINES;
    let full = stage.call(&report, &deed("log-lines", most)).await;
    assert_eq!(full.logs.len(), most);
    let over = stage.call(&report, &deed("log-lines", most + 1)).await;
    assert_eq!(over.logs.len(), most + 1);
    assert_eq!(over.logs[most].message, "... 1 more lines dropped");

    let long = stage.call(&stage.guest("logs-much"), "{}").await;
    assert_eq!(long.logs[0].message.len(), StageLimits::MAX_LOG_LINE_BYTES);
    // An escape sequence without end: nothing of it is shown.
    let escaped = stage.call(&report, &deed("log-megabytes", 1)).await;
    assert_eq!(escaped.logs[0].message, "");
}

#[tokio::test]
async fn a_plan_has_so_many_operations_of_so_many_bytes() {
    let stage = Stage::new();
    let plan = |times| format!(r#"{{"operations": [{{"type": "drop", "times": {times}}}]}}"#);
    let full = stage.answer("emits-anything", &plan(MAX_OPERATIONS)).await;
    assert_eq!(full.matches("Drop").count(), MAX_OPERATIONS);
    let over = stage.fault("emits-anything", &plan(MAX_OPERATIONS + 1)).await;
    assert_eq!(
        over,
        GuestFault::BadAnswer("the plan has 33 operations; 32 are allowed".to_owned())
    );

    let body = |times| {
        format!(
            r#"{{"operations": [{{"type": "reply", "body": {{"text": "x", "times": {times}}}}}]}}"#
        )
    };
    let around = r#"{"type":"reply","body":""}"#.len();
    let fits = stage.answer("emits-anything", &body(MAX_OPERATION_BYTES - around)).await;
    assert!(fits.starts_with("[Reply"), "{}", fits.len());
    let over = stage.fault("emits-anything", &body(MAX_OPERATION_BYTES - around + 1)).await;
    let told = "operation 1 (reply) has 65537 bytes as JSON; 65536 are allowed".to_owned();
    assert_eq!(over, GuestFault::BadAnswer(told));
}
