//! Breakers, against a running service: files that are dropped in and removed,
//! commands, roles, restarts; and what is stopped or let go while it waits.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thrall::app::breaker_desk::TripRequest;
use thrall::app::{App, Outside};
use thrall::clock::SystemClock;
use thrall::config::Source;
use thrall::engine::Pace;
use thrall::envelope::json as draft;
use thrall::home::Home;
use thrall_tests::events::{mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::{TestHome, thrall_program};
use thrall_tests::wait_for::wait_for;

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

fn home() -> TestHome {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    home
}

fn door(home: &TestHome, role: &str) -> At {
    At::Socket(home.path(&format!("run/{role}.sock")))
}

/// What becomes of a mail, in the journal's word.
fn action_of(home: &TestHome, id: &str, from: u8) -> String {
    let event = mail(id, &node(from), "hello").to_string();
    let answer =
        send(&door(home, "operator"), "POST", "/thrall/events", &[], event.as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    wait_for("decision", Duration::from_secs(30), || {
        let rows = home.journal();
        let row = rows.iter().find(|row| row["envelope_id"] == id)?;
        Some(row["action_name"].as_str().unwrap().to_owned())
    })
}

fn breakers(home: &TestHome, role: &str) -> Value {
    let answer = send(&door(home, role), "GET", "/thrall/breakers", &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn wait_for_number(home: &TestHome, number: usize) {
    wait_for("that number of breakers", Duration::from_secs(5), || {
        (breakers(home, "agent")["breakers"].as_array().unwrap().len() == number).then_some(())
    });
}

#[test]
fn a_file_that_is_dropped_in_stops_and_one_that_is_removed_lets_go() {
    let home = home();
    let mut serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(action_of(&home, "m1", 0xaa), "log");
    let file = home.write("breakers/aaaaaaaaaaaaaaaa.json", "{\"reason\": \"enough\"}");
    wait_for_number(&home, 1);
    assert_eq!(action_of(&home, "m2", 0xaa), "breaker_blocked");
    assert_eq!(action_of(&home, "m3", 0xbb), "log");

    drop(serving);
    serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(action_of(&home, "m4", 0xaa), "breaker_blocked", "a restart keeps it");
    assert_eq!(breakers(&home, "operator")["breakers"][0]["blocked"], 2);

    std::fs::remove_file(file).unwrap();
    wait_for_number(&home, 0);
    assert_eq!(action_of(&home, "m5", 0xaa), "log");

    home.write("breakers/global.json", "{\"reason\"");
    wait_for("the problem", Duration::from_secs(5), || {
        let health = send(&door(&home, "operator"), "GET", "/health", &[], b"").unwrap();
        health.body["problems"].to_string().contains("global.json").then_some(())
    });
    assert_eq!(action_of(&home, "m6", 0xaa), "log", "what is no breaker stops nothing");
    let warned = serving.said().iter().filter(|line| line.contains("global.json")).count();
    assert_eq!(warned, 1, "{:?}", serving.said());
    let log = std::fs::read_to_string(home.path("state/thrall.log")).unwrap();
    for words in [
        "[BREAKER_TRIP] aaaaaaaaaaaaaaaa enough",
        "[BREAKER_BLOCKED] aaaaaaaaaaaaaaaa breaker=aaaaaaaaaaaaaaaa: enough",
        "[BREAKER_CLEARED] aaaaaaaaaaaaaaaa its file was removed",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
fn the_operator_trips_and_clears_with_and_without_a_service_and_nobody_else_does() {
    let home = home();
    home.configure("");
    let trip = |target: &str, more: &[&str]| {
        let args = [&["breaker", "trip", target, "--reason", "by hand"], more].concat();
        home.run(&args)
    };
    // Nobody serves: the file itself.
    trip("node:AABBCCDDEEFF0011", &["--expire", "0"]).ok();
    let file = home.path("breakers/aabbccddeeff0011.json");
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&written["type"], &written["expires_at"]), (&json!("node"), &Value::Null));

    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(trip("aabbccddeeff0011", &[]).ok().code, 0);
    trip("skill:look-up", &["--expire", "60"]).ok();
    let listed = home.run(&["breaker", "list", "--json"]).ok().json();
    let named = |one: &Value| (one["target"].clone(), one["trips"].clone(), one["type"].clone());
    let all: Vec<_> = listed["breakers"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(
        all,
        [
            (json!("aabbccddeeff0011"), json!(2), json!("node")),
            (json!("skill:look-up"), json!(1), json!("skill")),
        ]
    );
    let refused = trip("../state/thrall", &[]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("expected global, node:HEX"), "{refused:?}");
    assert_eq!(home.run(&["breaker", "clear", "skill:lookup"]).code, 1);

    let operator = door(&home, "operator");
    for (body, status) in [
        (json!({"target": "../x", "reason": "r"}), 422),
        (json!({"target": "global", "reason": " "}), 422),
        (json!({"target": "global"}), 422),
        (json!({"target": "global", "reason": "r", "path": "/etc"}), 422),
    ] {
        let body = body.to_string();
        let answer = send(&operator, "POST", "/thrall/breakers", &[], body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let body = json!({"target": "global", "reason": "the agent wants it"}).to_string();
    let agent = door(&home, "agent");
    let answer = send(&agent, "POST", "/thrall/breakers", &[], body.as_bytes()).unwrap();
    assert_eq!(answer.status, 405, "{answer:?}");
    let answer = send(&agent, "DELETE", "/thrall/breakers/skill:look-up", &[], b"").unwrap();
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(std::fs::read_dir(home.path("breakers")).unwrap().count(), 2);

    home.run(&["breaker", "clear", "skill:look-up"]).ok();
    let gone = "/thrall/breakers/node:aabbccddeeff0011";
    assert_eq!(send(&operator, "DELETE", gone, &[], b"").unwrap().status, 204);
    assert_eq!(send(&operator, "DELETE", gone, &[], b"").unwrap().status, 404);
    assert_eq!(std::fs::read_dir(home.path("breakers")).unwrap().count(), 0);
    let rows = home.run(&["journal", "list", "--json"]).ok().json();
    let notes: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(notes, ["cleared", "cleared", "tripped", "tripped", "tripped"]);
    assert!(rows[4]["detail"].as_str().unwrap().ends_with("(by operator)"), "{rows}");
}

async fn open(home: &TestHome) -> App {
    let outside =
        Outside { worker_program: Some(thrall_program().to_owned()), ..Outside::default() };
    let home = Home::existing(home.path("")).unwrap();
    App::open_in(home, Arc::new(SystemClock), Pace::Live, outside).await.unwrap()
}

async fn submit(app: &App, events: &[Value]) {
    let source =
        Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true };
    let drafts = events.iter().map(|one| draft::parse(one.to_string().as_bytes()).unwrap());
    app.engine.submit(&source, drafts.collect()).await.unwrap();
}

async fn decide(app: &App) {
    let running = app.start();
    app.engine.idle().await;
    running.stop().await;
}

fn asked(target: &str) -> TripRequest {
    TripRequest { target: target.to_owned(), reason: "r".to_owned(), expires_in_s: None }
}

/// What stands when an event is decided counts, not what stood when it came.
#[test]
fn tripped_or_cleared_while_events_wait_is_right_both_ways() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = home();
    let event = |id: &str, from: u8| mail(id, &node(from), "hello");
    runtime.block_on(async {
        let app = open(&home).await;
        app.breaker_desk.trip(&asked("global"), "test").unwrap();
        let bus = json!({"id": "e1", "trigger": "on_event", "fields": {"event_name": "x"}});
        submit(&app, &[event("was-stopped", 0xaa), event("is-stopped-now", 0xbb), bus]).await;
        app.breaker_desk.clear("global", "test").unwrap();
        app.breaker_desk.trip(&asked(&node(0xbb)), "test").unwrap();
        decide(&app).await;
    });
    runtime.block_on(async {
        // What has ended takes nothing in any more.
        let app = open(&home).await;
        app.breaker_desk.trip(&asked("global"), "test").unwrap();
        submit(&app, &[event("was-stopped-before-the-end", 0xaa)]).await;
    });
    std::fs::remove_file(home.path("breakers/global.json")).unwrap();
    std::fs::remove_file(home.path("recipes/log-all.toml")).unwrap();
    runtime.block_on(async {
        // By then nobody wants it: it is done, and no row tells of what is gone.
        let app = open(&home).await;
        decide(&app).await;
        let status = app.store.reader().status(thrall::clock::TimestampMs(0)).unwrap();
        assert_eq!(status.pending_events, 0);
    });
    let rows = home.journal();
    let told: Vec<(&str, &str)> = rows
        .iter()
        .filter(|row| row["kind"] == "decision")
        .map(|row| (row["envelope_id"].as_str().unwrap(), row["action_name"].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&("was-stopped", "log")), "{told:?}");
    assert!(told.contains(&("is-stopped-now", "breaker_blocked")), "{told:?}");
}

const TRIPS: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"trip\"\n[actions.trip]\ntype = \"trip-breaker\"\ntarget = \"skill:x\"\nreason = \"r\"\n";
const SHARED: &str = "mode = \"automated\"\nshared = [\"breakers\"]\n[operations]\ntrip-breaker = { targets = [\"skill:x\"] }\n";

/// The program ends between the decision that trips and the file.
#[test]
fn a_trip_that_was_decided_and_not_written_holds_from_the_start() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = TestHome::new();
    home.recipe_under("trips", TRIPS, SHARED);
    let file = home.path("breakers/skill,x.json");
    let question = json!({"trigger": "on_skill_request", "fields": {
        "skill_name": "x", "caller_node": node(0xaa), "input_json": "{}"}});
    let source =
        || Source { name: "operator".to_owned(), triggers: Vec::new(), may_assert_sender: true };
    runtime.block_on(async {
        let app = open(&home).await;
        submit(&app, &[mail("m1", &node(0xaa), "hello")]).await;
        // The engine alone: nothing is performed.
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let engine = app.engine.clone();
        let deciding = tokio::spawn(async move {
            engine.run(async { drop(stopped.await) }, Duration::from_secs(10)).await;
        });
        app.engine.idle().await;
        let ask = draft::parse(question.to_string().as_bytes()).unwrap();
        assert_eq!(app.engine.ask(&source(), ask).await.unwrap().1.code, "block");
        stop.send(()).unwrap();
        deciding.await.unwrap();
    });
    assert!(!file.exists());
    runtime.block_on(async {
        let app = open(&home).await;
        let running = app.start();
        let ask = draft::parse(question.to_string().as_bytes()).unwrap();
        let (_, answer) = app.engine.ask(&source(), ask).await.unwrap();
        assert_eq!((answer.code.as_str(), answer.reason.as_str()), ("block", "breaker skill:x: r"));
        app.perform_all().await.unwrap();
        running.stop().await;
    });
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.contains("\"trip_count\": 1"), "{written}");
}
