//! Logs that recipes watch, against the real service and real files: each line
//! once and in order through rotation, truncation and `kill -9`; closed without
//! the grant; a thousand equal errors are one briefing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::lines;
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LONG: Duration = Duration::from_secs(60);

/// A folder for logs outside of the home, by a path without links.
struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn watching(log: &Path, pattern: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_log\"\npath = \"{}\"\npattern = '{pattern}'\n[evaluate]\ndefault_action = \"log\"\n",
        log.display()
    )
}

/// The service, once it knows where it is in so many logs.
fn serve(home: &TestHome, logs: i64) -> Serving {
    let serving = Serving::ready(home.spawn(&["serve"]));
    wait_for("logs to be followed", LONG, || {
        let followed: i64 = home
            .database()
            .query_row("SELECT count(*) FROM log_positions", [], |row| row.get(0))
            .unwrap();
        (followed == logs).then_some(())
    });
    serving
}

/// The lines that became events, in the order in which they were accepted.
fn accepted(home: &TestHome) -> Vec<String> {
    let database = home.database();
    let mut statement = database
        .prepare(
            "SELECT json_extract(p.body, '$.line') FROM envelopes e JOIN payloads p USING (seq)
             WHERE e.trigger = 'on_log' ORDER BY seq",
        )
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn wait_for_lines(home: &TestHome, count: usize) -> Vec<String> {
    wait_for(&format!("{count} lines"), LONG, || {
        Some(accepted(home)).filter(|lines| lines.len() >= count)
    })
}

fn decisions(home: &TestHome) -> i64 {
    home.database()
        .query_row("SELECT count(*) FROM journal WHERE kind = 'decision'", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn lines_come_once_and_in_order_through_rotation_and_truncation() {
    let (home, logs) = (TestHome::new(), Logs::new());
    let log = logs.path("serve.log");
    append(&log, "ERROR history\n");
    home.recipe("watch", &watching(&log, "ERROR"));
    let _serving = serve(&home, 1);

    append(&log, "INFO fine\nERROR 1 caf\u{e9}\r\nERROR 2 ");
    std::fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"\xff\0!\n").unwrap();
    append(&log, &format!("ERROR 3 {}\n", "x".repeat(20_000)));
    let seen = wait_for_lines(&home, 3);
    assert_eq!(seen[..2], ["ERROR 1 caf\u{e9}".to_owned(), "ERROR 2 \u{fffd}!".to_owned()]);
    assert_eq!(seen[2].len(), 8 * 1024);

    // Renamed away; its writer says a last word before it goes over.
    let old = logs.path("serve.log.1");
    std::fs::rename(&log, &old).unwrap();
    append(&old, "ERROR 4\nERROR 5, without a line end");
    append(&log, "ERROR 6\n");
    let seen = wait_for_lines(&home, 6);
    assert_eq!(seen[3..], ["ERROR 4", "ERROR 5, without a line end", "ERROR 6"]);

    // Cut while its writer goes on at the old place, so that it begins with a hole.
    let writer = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    writer.set_len(0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&writer, b"ERROR 7\n", 5000).unwrap();
    assert_eq!(wait_for_lines(&home, 7)[6], "ERROR 7");
    std::fs::remove_file(&log).unwrap();
    append(&log, "ERROR 8\nnot yet whole");
    assert_eq!(wait_for_lines(&home, 8)[7], "ERROR 8");

    let rows = wait_for("decisions", LONG, || Some(home.journal()).filter(|rows| rows.len() == 8));
    assert!(rows.iter().all(|row| row["recipe"] == "watch" && row["source"] == "log"), "{rows:?}");
    let status = home.run(&["status", "--json"]).ok().json();
    assert_eq!(status["log_gaps"], json!({"truncated": 1}), "what may be gone is counted");
}

#[test]
fn kill_nine_neither_loses_nor_doubles_a_line() {
    let (home, logs) = (TestHome::new(), Logs::new());
    let log = logs.path("serve.log");
    append(&log, "");
    home.recipe("watch", &watching(&log, "ERROR"));
    // Little room, so that a kill meets lines that are read and cannot be taken.
    home.configure("[limits]\nmax_pending_per_lane = 8\n");
    drop(serve(&home, 1));
    let mut written = 0;
    let mut write = |count: usize| {
        let line = |n: usize| format!("INFO between\nERROR {n}\n");
        append(&log, &(written..written + count).map(line).collect::<String>());
        written += count;
    };
    for round in 0..6u64 {
        write(40);
        let mut child = home.spawn(&["serve"]);
        std::thread::sleep(Duration::from_millis(150 + 130 * round));
        write(40);
        std::thread::sleep(Duration::from_millis(90 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        if round == 3 {
            // Renamed away after everything in it was read.
            drop(serve_until(&home, 4 * 80));
            std::fs::rename(&log, logs.path("serve.log.1")).unwrap();
        }
    }
    let _serving = serve_until(&home, 6 * 80);
    let expected: Vec<String> = (0..6 * 80).map(|n| format!("ERROR {n}")).collect();
    wait_for("decisions", LONG, || (decisions(&home) == 6 * 80).then_some(()));
    assert_eq!(accepted(&home), expected);
    home.run(&["journal", "verify"]).ok();
}

fn serve_until(home: &TestHome, lines: usize) -> Serving {
    let serving = serve(home, 1);
    wait_for_lines(home, lines);
    serving
}

#[test]
fn a_log_without_the_grant_is_not_opened_and_the_missing_line_is_named() {
    let (home, logs) = (TestHome::new(), Logs::new());
    let log = logs.path("serve.log");
    append(&log, "");
    let recipe = watching(&log, "ERROR");
    home.recipe_under("closed", &recipe, "mode = \"automated\"\n");
    let serving = Serving::ready(home.spawn(&["serve"]));
    let missing = format!("gather = {{ files = [\"{}\"] }}", log.display());
    wait_for("a word about it", LONG, || {
        serving.said().iter().any(|line| line.contains(&missing)).then_some(())
    });
    let listed = home.run(&["recipe", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["state"], "live");
    let reason = listed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("is not read, missing: ") && reason.contains(&missing), "{reason}");
    append(&log, "ERROR nobody may see\n");

    // Another recipe opens the log; the first one still sees nothing of it.
    home.recipe("open", &recipe);
    wait_for("the log to be followed", LONG, || {
        let sql = "SELECT count(*) FROM log_positions";
        (home.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 1).then_some(())
    });
    append(&log, "ERROR seen by one\n");
    let rows = wait_for("rows", LONG, || Some(home.journal()).filter(|rows| rows.len() == 2));
    let of = |name: &str| rows.iter().find(|row| row["recipe"] == name).unwrap();
    assert_eq!(of("open")["action_name"], "log");
    assert_eq!(of("closed")["action_name"], "skip");
    let why = of("closed")["reason"].as_str().unwrap();
    assert!(why.contains(&missing), "{why}");
    assert_eq!(accepted(&home), ["ERROR seen by one"], "history is no news");
    drop(serving);
    let plan = home.run(&["grant", "plan", "closed"]).ok();
    assert!(plan.stdout.contains(&missing), "{}", plan.stdout);
}

#[test]
fn the_services_own_secrets_are_no_log() {
    let home = TestHome::new();
    let secret = home.path("state").canonicalize().unwrap().join("thrall.log");
    home.recipe("spy", &watching(&secret, "."));
    let serving = Serving::ready(home.spawn(&["serve"]));
    wait_for("a refusal", LONG, || {
        let refused = |line: &String| line.contains("holds thrall's own secrets");
        serving.said().iter().any(refused).then_some(())
    });
    assert!(accepted(&home).is_empty());
}

/// A line as a source brings it.
fn line(id: usize, file: &str, line: &str) -> Value {
    json!({"id": format!("l{id}"), "trigger": "on_log", "fields": {"line": line, "source_file": file}})
}

#[test]
fn each_recipe_gets_the_groups_of_its_own_pattern_also_in_a_rehearsal() {
    let home = TestHome::new();
    let log = Path::new("/var/log/example");
    let recipe = |pattern: &str, note: &str| {
        let recipe = watching(log, pattern).replace("\"log\"", "\"compile\"");
        format!("{recipe}[actions.compile]\nbuffer = \"notes\"\nnote = \"{note}\"\n")
    };
    home.recipe("pools", &recipe(r"pool (?<pool>\d+)", "{{envelope.pool}}|{{envelope.group_2}}"));
    home.recipe(
        "states",
        &recipe(r"pool \d+ is (\w+)", "{{envelope.group_1}}|{{envelope.template}}"),
    );
    home.ingest(&lines([
        line(1, "/var/log/example", "pool 7 is full"),
        line(2, "/var/log/example", "pool 9"),
        line(3, "/var/log/other", "pool 7 is full"),
    ]))
    .ok();
    let database = home.database();
    let mut notes: Vec<(String, String)> = database
        .prepare("SELECT recipe, note FROM buffers")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    notes.sort();
    let expected = [("pools", "7|"), ("pools", "9|"), ("states", "full|pool <n> is full")];
    assert_eq!(notes, expected.map(|(recipe, note)| (recipe.to_owned(), note.to_owned())));
    // A pattern that was changed since is tried on the same stored line.
    let other = recipe(r"(?<pool>pool) \d+ is", "{{envelope.pool}}");
    let file = home.write("states.toml", other);
    let row = home.journal().iter().find(|row| row["recipe"] == "states").unwrap()["id"].clone();
    let ran =
        home.run(&["dryrun", file.to_str().unwrap(), "--journal", &row.to_string(), "--json"]);
    let operations = &ran.json()["trace"]["action"]["operations"];
    assert!(operations.to_string().contains("\"note\":\"pool\""), "{operations}");
}

#[test]
fn the_bus_is_seen_by_those_who_name_what_they_want() {
    let home = TestHome::new();
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_bus\"\nsubscribe = '^credit\\.'\nmatch_field = \"peer\"\nmatch_pattern = \"ab\"\n[evaluate]\ndefault_action = \"log\"\n";
    home.recipe("credit", recipe);
    let event = |name: &str, peer: &str| json!({"trigger": "on_bus", "fields": {"event_name": name, "peer": peer}});
    home.ingest(&lines([
        event("credit.change", "ab"),
        event("credit.change", "cd"),
        event("task.done", "ab"),
    ]))
    .ok();
    assert_eq!(home.journal().len(), 1);
    let all = recipe.replace("^credit\\.", ".*");
    let file = home.write("all.toml", all);
    let check = home.run(&["recipe", "check", file.to_str().unwrap()]);
    assert!(check.code == 1 && check.stdout.contains("takes every event"), "{check:?}");
}

const NODE_LOG: &str = "/var/log/node/serve.log";

/// As it would be so many seconds later: whatever waits has waited longer.
fn let_pass(home: &TestHome, seconds: i64) {
    let database = rusqlite::Connection::open(home.path("state/thrall.db")).unwrap();
    database.execute("UPDATE buffers SET at = at - ?1 * 1000", [seconds]).unwrap();
}

#[test]
fn a_thousand_equal_errors_are_one_briefing_and_one_wake() {
    let home = TestHome::shipped();
    let config = std::fs::read_to_string(home.path("thrall.toml")).unwrap();
    home.write("thrall.toml", format!("tick_interval_s = 1\n{config}"));
    let error = |n: usize| {
        format!(
            "2026-02-28 09:{:02}:{:02},{:03} ERROR pool {n} of peer 10.0.0.{} is full",
            n / 60 % 60,
            n % 60,
            n,
            n % 250
        )
    };
    let mut events: Vec<Value> = (0..1000).map(|n| line(n, NODE_LOG, &error(n))).collect();
    events.insert(500, line(5000, NODE_LOG, "2026-02-28 09:08:20,500 CRITICAL disk is full"));
    events.push(line(6000, NODE_LOG, "2026-02-28 09:20:00,000 INFO all is well"));
    home.ingest(&lines(events)).ok();
    let rows = home.journal();
    let count = |action: &str| rows.iter().filter(|row| row["action"] == action).count();
    assert_eq!((rows.len(), count("first"), count("repeat")), (1001, 2, 999));

    let_pass(&home, 3600);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let wakes = wait_for("a wake", LONG, || {
        let sql = "SELECT count(*) FROM outbox WHERE kind = 'wake' AND state = 'recorded'";
        let wakes: i64 = home.database().query_row(sql, [], |row| row.get(0)).unwrap();
        (wakes > 0).then_some(wakes)
    });
    assert_eq!(wakes, 1);
    let briefings: Vec<PathBuf> = std::fs::read_dir(home.path("artifacts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(briefings.len(), 1, "{briefings:?}");
    let page = std::fs::read_to_string(&briefings[0]).unwrap();
    for expected in [
        "- Items: 2\n",
        "- Lines: 1000 like `<time> ERROR pool <n> of peer <ip> is full`\n",
        "- Lines: 1 like `<time> CRITICAL disk is full`\n",
        &format!("```text\n{}\n```\n", error(0)),
        &format!("```text\n{}\n```\n", error(999)),
        "by `log-watch`: `the first of its kind lately`\n",
    ] {
        assert!(page.contains(expected), "{expected} is missing in\n{page}");
    }
    assert!(!page.contains("- Note:"), "the reason is not said twice: {page}");
    assert!(!page.contains("all is well") && page.len() < 4000, "{page}");
}

#[test]
fn running_out_of_memory_wakes_once_until_it_is_quiet_and_the_flag_goes_with_the_cause() {
    let home = TestHome::shipped();
    let flags = || -> i64 {
        let sql = "SELECT count(*) FROM flags WHERE key = 'oom:active'";
        home.database().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let wakes = || -> i64 {
        let sql = "SELECT count(*) FROM outbox WHERE kind = 'wake' AND recipe = 'oom-recovery'";
        home.database().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let killed = "09:00:01 kernel: Out of memory: Killed process 4711 (python3)";
    home.ingest(&lines((0..50).map(|n| line(n, NODE_LOG, killed)))).ok();
    assert_eq!((wakes(), flags()), (1, 1));
    let up = "09:00:09 INFO node started";
    home.ingest(&lines([line(100, NODE_LOG, up), line(101, NODE_LOG, "09:00:10 INFO hello")])).ok();
    assert_eq!((wakes(), flags()), (1, 0));
    // The next time within the half hour: known already.
    home.ingest(&lines([
        line(102, NODE_LOG, "MemoryError"),
        line(103, NODE_LOG, "09:05:00 node is up"),
    ]))
    .ok();
    assert_eq!((wakes(), flags()), (1, 0));
}
