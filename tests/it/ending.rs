//! How a service ends and goes on: bounded in time, nothing lost and nothing
//! done twice, whatever lies in its folders and whatever waits.

use std::process::Command;
use std::time::{Duration, Instant};

use thrall_tests::events::{lines, mail, many, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

/// Takes tens of milliseconds on a long text, so that no machine is done with
/// three thousand before it is told to end.
fn slow() -> String {
    let head = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";
    let rule = |tail| {
        format!(
            "[[evaluate.rules]]\nfield = \"body_text\"\npattern = '[a-z0-9._-]+@[a-z0-9.-]+\\.{tail}'\naction = \"drop\"\n"
        )
    };
    let rules = ["com", "org", "net", "dev", "app", "xyz", "io", "eu"].map(rule);
    format!("{head}{}", rules.concat())
}
const QUICK: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";
const EVENTS: u32 = 3000;

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

fn operator(home: &TestHome) -> At {
    At::Socket(home.path("run/operator.sock"))
}

#[test]
fn three_thousand_waiting_events_do_not_hold_up_the_end() {
    let home = TestHome::new();
    home.recipe("look", &slow());
    let child = home.spawn(&["serve"]);
    let pid = child.id();
    let mut serving = Serving::ready(child);
    let body = "a".repeat(16_000);
    for first in (0..EVENTS).step_by(250) {
        let events = (first..first + 250).map(|n| mail(&format!("m{n}"), &many(n as usize), &body));
        let events = lines(events);
        let taken = send(&operator(&home), "POST", "/thrall/events", &[], events.as_bytes());
        assert_eq!(taken.unwrap().status, 202);
    }
    let asked = Instant::now();
    signal(pid, "-TERM");
    let status = serving.wait();
    let took = asked.elapsed();
    assert!(status.success() && took < Duration::from_secs(12), "{status}, {took:?}");
    let decided = count(&home, "SELECT count(*) FROM journal WHERE kind = 'decision'");
    assert!(decided < EVENTS, "there was something left to do");

    // Decided in the present form of their recipe, each once.
    home.recipe("look", QUICK);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    wait_for("all decided", Duration::from_secs(120), || {
        let left = count(&home, "SELECT count(*) FROM envelopes WHERE state = 'pending'");
        (left == 0).then_some(())
    });
    let rows = count(&home, "SELECT count(*) FROM journal WHERE kind = 'decision'");
    let sql = "SELECT count(DISTINCT envelope_seq) FROM journal WHERE kind = 'decision'";
    assert_eq!((rows, count(&home, sql)), (EVENTS, EVENTS));
}

fn count(home: &TestHome, sql: &str) -> u32 {
    home.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn buffers_have_a_clock_of_their_own() {
    let home = TestHome::new();
    let collects = QUICK.replace("\"log\"", "\"compile\"");
    home.recipe("collect", &format!("{collects}[actions.compile]\n"));
    let path = home.path("thrall.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let ours = "tick_interval_s = 3600\n[compilation]\ninterval_s = 1\n";
    std::fs::write(&path, format!("{ours}\n{config}")).unwrap();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let event = mail("m1", &node(0xd1), "for later").to_string();
    let taken = send(&operator(&home), "POST", "/thrall/events", &[], event.as_bytes());
    assert_eq!(taken.unwrap().status, 202);
    wait_for("a briefing", Duration::from_secs(30), || {
        let briefings = std::fs::read_dir(home.path("artifacts")).unwrap().flatten();
        let mut texts = briefings.filter_map(|one| std::fs::read_to_string(one.path()).ok());
        texts.any(|text| text.contains("for later")).then_some(())
    });
}

#[test]
fn a_pipe_in_the_place_of_a_file_stops_neither_a_reload_nor_the_end() {
    let home = TestHome::new();
    home.recipe("look", QUICK);
    let child = home.spawn(&["serve"]);
    let pid = child.id();
    let mut serving = Serving::ready(child);
    for name in ["thrall.toml", "prompts/other.toml"] {
        let path = home.path(name);
        drop(std::fs::remove_file(&path));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    }
    home.write("thrall.reload", "");
    wait_for("word of the pipes", Duration::from_secs(20), || {
        let health = send(&operator(&home), "GET", "/health", &[], b"").unwrap().body;
        let problems = health["problems"].to_string();
        let is_said = problems.contains("thrall.toml: not a plain file but a pipe")
            && problems.contains("other.toml: cannot be read: not a plain file but a pipe");
        is_said.then_some(())
    });
    let grant = std::fs::read_to_string(home.path("grants/look.toml")).unwrap();
    home.write("grants/look.toml", grant.replace("\"automated\"", "\"disabled\""));
    wait_for("the revoked grant", Duration::from_secs(20), || {
        let recipes = send(&operator(&home), "GET", "/thrall/recipes", &[], b"").unwrap().body;
        (!recipes.to_string().contains("\"mode\":\"automated\"")).then_some(())
    });
    signal(pid, "-TERM");
    let asked = Instant::now();
    assert!(serving.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(12));
}
