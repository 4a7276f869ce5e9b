//! The program ends, as by kill -9, between any two durable steps of a run, a
//! flush, a continuation and the outbox. After the next start nothing is lost
//! and nothing was done twice; what may have gone out is said to be uncertain.

use std::collections::{BTreeMap, BTreeSet};
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
use thrall_tests::events::{lines, mail, node};
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

/// Collects, and leaves it to the clock.
const COLLECT: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\n\
    default_action = \"compile\"\n[actions.compile]\nbuffer = \"old\"\n";

/// Of the buffer that is due: more than one briefing holds.
const ITEMS: i64 = 1501;

/// What the program does: an event, or what its clock finds due.
const WORK: &str = "THRALL_FAULT_WORK";
const EVENT: &str = "event";
const CLOCK: &str = "clock";

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
        let is_clock = std::env::var(WORK).is_ok_and(|work| work == CLOCK);
        if !is_clock {
            let source =
                Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true };
            let event = mail("m1", &node(7), "hello").to_string();
            let draft = json::parse(event.as_bytes()).unwrap();
            app.engine.submit(&source, vec![draft]).await.unwrap();
        }
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
            if is_clock {
                app.flush_due().await;
            }
            app.engine.idle().await;
            app.perform_all().await.unwrap();
            if is_settled() {
                if is_clock {
                    app.flush_due().await;
                }
                break;
            }
            tokio::task::yield_now().await;
        }
        running.stop().await;
    });
}

fn run_child(home: &TestHome, work: &str, fault: Option<(FaultPoint, u32)>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "fault_points::a_service_that_may_be_ended", "--nocapture"])
        .env(HOME, home.path(""))
        .env(WORK, work);
    if let Some((point, occurrence)) = fault {
        command.env(POINT, format!("{point:?}")).env(OCCURRENCE, occurrence.to_string());
    }
    command.output().unwrap().status.success()
}

fn count(home: &TestHome, sql: &str) -> i64 {
    home.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Ends the program at each point of its work as often as it comes by, starts it
/// again and looks. Returns the points that it came by.
fn end_everywhere(
    prepared: &TestHome,
    work: &str,
    check: fn(&TestHome, &str),
) -> BTreeMap<String, u32> {
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    for point in FaultPoint::ALL {
        for occurrence in 1.. {
            let home = prepared.copy();
            if run_child(&home, work, Some((point, occurrence))) {
                break;
            }
            *reached.entry(format!("{point:?}")).or_default() += 1;
            assert!(occurrence < 20, "{point:?} is passed for ever");
            assert!(run_child(&home, work, None), "{point:?} {occurrence}: the next start fails");
            check(&home, &format!("{point:?} {occurrence}"));
        }
    }
    reached
}

#[test]
fn an_end_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    let prepared = TestHome::new();
    prepared.write("recipes/weather.toml", RECIPE);
    prepared.run(&["grant", "allow", "weather", "--mode", "automated"]).ok();
    let reached = end_everywhere(&prepared, EVENT, check);
    // Every point exists, and the test came by; the one that is missing is below.
    assert_eq!(reached.len(), FaultPoint::ALL.len() - 1, "{reached:?}");
}

#[test]
fn an_end_within_a_flush_of_many_briefings_loses_nothing_and_wakes_once() {
    let prepared = TestHome::new();
    prepared.write("recipes/collect.toml", COLLECT);
    prepared.run(&["grant", "allow", "collect", "--mode", "automated"]).ok();
    prepared.ingest(&lines([mail("m1", &node(7), "item 0.")])).ok();
    rusqlite::Connection::open(prepared.path("state/thrall.db"))
        .unwrap()
        .execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ITEMS} - 1)
             INSERT INTO buffers (buffer, journal_id, envelope_seq, recipe, at, from_node,
                 sender_key, tier, msg_type, session_id, action, reason, note, priority, body)
             SELECT b.buffer, journal_id, envelope_seq, recipe, at, from_node, sender_key, tier,
                 msg_type, session_id, action, reason, note, priority, 'item ' || i || '.'
             FROM buffers b, n;
             UPDATE buffers SET at = at - 86400000;"
        ))
        .unwrap();
    let reached = end_everywhere(&prepared, CLOCK, check_flush);
    let points = ["FlushBegun", "BriefingWritten", "AttemptMarked", "NodeAnswered", "RowEnded"];
    assert!(points.iter().all(|point| reached.contains_key(*point)), "{reached:?}");
}

fn check_flush(home: &TestHome, at: &str) {
    home.run(&["journal", "verify"]).ok();
    let calls = std::fs::read_to_string(home.path("node-calls")).unwrap_or_default();
    let wakes = i64::try_from(calls.lines().filter(|line| *line == "wake").count()).unwrap();
    let uncertain = count(home, "SELECT count(*) FROM outbox WHERE state = 'uncertain'");
    assert!((1 - uncertain..=1).contains(&wakes), "{at}: {wakes} wakes, {uncertain} uncertain");
    assert_eq!(count(home, "SELECT count(*) FROM outbox WHERE kind = 'wake'"), 1, "{at}");
    assert_eq!(count(home, "SELECT count(*) FROM flushes"), 1, "{at}");
    assert_eq!(count(home, "SELECT item_count FROM flushes"), ITEMS, "{at}");
    let mut seen = BTreeSet::new();
    let mut files = 0;
    for entry in std::fs::read_dir(home.path("artifacts")).unwrap() {
        files += 1;
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for item in page.lines().filter(|line| line.starts_with("item ")) {
            assert!(seen.insert(item.to_owned()), "{at}: {item} twice");
        }
    }
    assert_eq!((files, i64::try_from(seen.len()).unwrap()), (2, ITEMS), "{at}");
    let named =
        "SELECT json_array_length(body, '$.briefing.artifacts') FROM outbox WHERE kind = 'wake'";
    assert_eq!(count(home, named), 2, "{at}");
    let is_waked =
        count(home, "SELECT count(*) FROM outbox WHERE kind = 'wake' AND state = 'done'");
    assert_eq!(count(home, "SELECT count(*) FROM buffers"), ITEMS * (1 - is_waked), "{at}");
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
