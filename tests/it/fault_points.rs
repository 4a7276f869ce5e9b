//! The program ends, as by kill -9, between any two durable steps of a run, a
//! flush, a continuation and the outbox. After the next start nothing is lost
//! and nothing was done twice; what may have gone out is said to be uncertain.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thrall::app::{App, Outside};
use thrall::clock::{Clock, SystemClock, TimestampMs};
use thrall::config::Source;
use thrall::engine::Pace;
use thrall::envelope::json;
use thrall::fault_points::FaultPoint;
use thrall::home::Home;
use thrall::outbox::node::{Attempt, MailCall, Node, WakeCall};
use thrall::store::SkillAnswer;
use thrall_tests::events::{mail, node};
use thrall_tests::test_home::{TestHome, thrall_program};

const RECIPE: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "ask"
[actions.ask]
steps = [
    { type = "compile", buffer = "b", summon_threshold = 1 },
    { type = "set-context", key = "asked", value = "yes" },
    { skill = "lookup-lite", input = { place = "Oslo" }, continue_as = "tell" },
]
[actions.tell]
type = "reply"
template = "{{context.asked}} {{result.sky}}"
"#;

/// What is called with home, point and occurrence, and ends there.
const HOME: &str = "THRALL_FAULT_HOME";
const POINT: &str = "THRALL_FAULT_POINT";
const OCCURRENCE: &str = "THRALL_FAULT_OCCURRENCE";

/// Writes every call down before it answers.
struct NotingNode {
    file: PathBuf,
}

impl NotingNode {
    fn note(&self, what: &str) -> Attempt {
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(&self.file).unwrap();
        writeln!(file, "{what}").unwrap();
        file.sync_all().unwrap();
        let output = "{\"sky\": \"clear\"}".to_owned();
        let answer = SkillAnswer { status: "ok".to_owned(), output };
        Attempt::Done { detail: "done".to_owned(), answer: Some(answer) }
    }
}

impl Node for NotingNode {
    fn wake(&self, _: &str, _: WakeCall<'_>) -> Attempt {
        self.note("wake")
    }

    fn mail(&self, _: &str, call: MailCall<'_>) -> Attempt {
        self.note(&format!("mail {}", call.body))
    }

    fn skill(&self, _: &str, skill: &str, _: &str) -> Attempt {
        self.note(&format!("skill {skill}"))
    }
}

/// The program under test, in a process of its own: started by the tests below.
#[test]
fn a_service_that_may_be_ended() {
    let Ok(home) = std::env::var(HOME) else { return };
    let point = std::env::var(POINT).unwrap_or_default();
    let occurrence: u32 =
        std::env::var(OCCURRENCE).ok().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
    let seen = AtomicU32::new(0);
    let outside = Outside {
        node: Some(Arc::new(NotingNode { file: Path::new(&home).join("node-calls") })),
        worker_program: Some(thrall_program().to_owned()),
        faults: Some(Arc::new(move |at: FaultPoint| {
            if format!("{at:?}") == point && seen.fetch_add(1, Ordering::SeqCst) + 1 == occurrence {
                std::process::abort();
            }
        })),
        ..Outside::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let home = Home::existing(&home).unwrap();
        let app = App::open_in(home, Arc::new(SystemClock), Pace::Live, outside).await.unwrap();
        let running = app.start();
        let source =
            Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true };
        let event = mail("m1", &node(7), "hello").to_string();
        let draft = json::parse(event.as_bytes()).unwrap();
        app.engine.submit(&source, vec![draft]).await.unwrap();
        // The service's own performer works beside this one: until nothing is left.
        let is_settled = || {
            let reader = app.store.reader();
            let status = reader.status(TimestampMs(0)).unwrap();
            let is_open = |(state, count): &(String, u64)| {
                matches!(state.as_str(), "pending" | "attempting") && *count > 0
            };
            status.pending_events == 0
                && !status.outbox.iter().any(is_open)
                && reader.due_continuations(SystemClock.now(), 10).unwrap().is_empty()
        };
        loop {
            app.engine.idle().await;
            app.perform_all().await.unwrap();
            if is_settled() {
                break;
            }
            tokio::task::yield_now().await;
        }
        running.stop().await;
    });
}

fn run_child(home: &TestHome, fault: Option<(FaultPoint, u32)>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "fault_points::a_service_that_may_be_ended", "--nocapture"])
        .env(HOME, home.path(""));
    if let Some((point, occurrence)) = fault {
        command.env(POINT, format!("{point:?}")).env(OCCURRENCE, occurrence.to_string());
    }
    command.output().unwrap().status.success()
}

fn count(home: &TestHome, sql: &str) -> i64 {
    home.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_end_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    let prepared = TestHome::new();
    prepared.write("recipes/weather.toml", RECIPE);
    prepared.run(&["grant", "allow", "weather", "--mode", "automated"]).ok();
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    for point in FaultPoint::ALL {
        for occurrence in 1.. {
            let home = prepared.copy();
            if run_child(&home, Some((point, occurrence))) {
                break;
            }
            *reached.entry(format!("{point:?}")).or_default() += 1;
            assert!(occurrence < 20, "{point:?} is passed for ever");
            assert!(run_child(&home, None), "{point:?} {occurrence}: the next start fails");
            check(&home, &format!("{point:?} {occurrence}"));
        }
    }
    // Every point exists, and the test came by.
    assert_eq!(reached.len(), FaultPoint::ALL.len(), "{reached:?}");
}

fn check(home: &TestHome, at: &str) {
    home.run(&["journal", "verify"]).ok();
    let calls = std::fs::read_to_string(home.path("node-calls")).unwrap_or_default();
    let uncertain = count(home, "SELECT count(*) FROM outbox WHERE state = 'uncertain'");
    for kind in ["wake", "skill", "mail"] {
        let done = calls.lines().filter(|line| line.starts_with(kind)).count();
        assert!(done <= 1, "{at}: {kind} was done {done} times");
    }
    let done = i64::try_from(calls.lines().count()).unwrap();
    // Each of the three is done, or nobody knows and it says so.
    assert!(
        (3 - uncertain..=3).contains(&done),
        "{at}: {done} calls, {uncertain} uncertain\n{calls}"
    );
    let decisions = "SELECT count(*) FROM journal WHERE kind = 'decision' AND trigger = ";
    assert_eq!(count(home, &format!("{decisions}'on_mail'")), 1, "{at}");
    assert_eq!(count(home, &format!("{decisions}'on_result'")), 1, "{at}");
    assert_eq!(count(home, "SELECT count(*) FROM envelopes WHERE state = 'pending'"), 0, "{at}");
    assert_eq!(count(home, "SELECT count(*) FROM flushes"), 1, "{at}");
    let briefings = std::fs::read_dir(home.path("artifacts")).unwrap().count();
    assert_eq!(briefings, 1, "{at}");
    // The buffer is empty only if the wake is known to have arrived.
    let is_waked =
        count(home, "SELECT count(*) FROM outbox WHERE kind = 'wake' AND state = 'done'");
    assert_eq!(count(home, "SELECT count(*) FROM buffers"), 1 - is_waked, "{at}");
    let open = count(home, "SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting')");
    assert_eq!(open, 0, "{at}");
}
