//! `thrall outbox`: what waits to be performed is there to be seen, and only the
//! operator has a row tried again or gives it up, with a service running or not.

use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

/// A reply and a skill, which need a node, and a briefing with its wake, which do
/// not.
const ANSWER: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\n\
    type = \"hotwire\"\ndefault_action = \"all\"\n[actions.all]\nsteps = [\n\
    { type = \"reply\", template = \"Hello.\" },\n\
    { skill = \"echo\", input = { text = \"hi\" } },\n\
    { type = \"compile\", buffer = \"b\", summon_threshold = 1 },\n]\n";

const KEYS: [&str; 11] = [
    "attempts",
    "created_at",
    "detail",
    "id",
    "journal_id",
    "not_before",
    "operation",
    "recipe",
    "recipient",
    "state",
    "updated_at",
];

/// Rows 1 and 2 are held, row 3 is done and row 4 recorded.
fn home() -> TestHome {
    let home = TestHome::new();
    home.write("recipes/answer.toml", ANSWER);
    home.run(&["grant", "allow", "answer", "--mode", "automated"]).ok();
    home.ingest(&lines([mail("m1", &node(7), "hello")])).ok();
    home
}

/// Rows, oldest first.
fn rows(home: &TestHome) -> Vec<Value> {
    let listed = home.run(&["outbox", "list", "--json"]).ok().json();
    let mut rows = listed.as_array().unwrap().clone();
    rows.reverse();
    rows
}

fn states(home: &TestHome) -> Vec<String> {
    rows(home).iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

/// What the journal says about a row, oldest first.
fn told(home: &TestHome, id: i64) -> Vec<String> {
    let database = home.database();
    let mut statement = database
        .prepare(
            "SELECT action_name || ': ' || reason FROM journal WHERE outbox_id = ?1 ORDER BY id",
        )
        .unwrap();
    let found = statement.query_map([id], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

fn set_state(home: &TestHome, id: i64, state: &str) {
    let database = rusqlite::Connection::open(home.path("state/thrall.db")).unwrap();
    let changed = database
        .execute("UPDATE outbox SET state = ?2, detail = 'timed out' WHERE id = ?1", (id, state))
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_row_says_where_it_stands_and_nothing_of_its_text() {
    let home = home();
    let listed = rows(&home);
    assert_eq!(states(&home), ["held", "held", "done", "recorded"]);
    for row in &listed {
        assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
        assert_eq!(row["recipe"], "answer");
        assert_eq!(row["journal_id"], 1);
    }
    let recipients: Vec<&Value> = listed.iter().map(|row| &row["recipient"]).collect();
    assert_eq!((recipients[0], recipients[1]), (&json!(node(7)), &json!("echo")));
    assert!(recipients[2].as_str().unwrap().ends_with("-b-1.md"), "{recipients:?}");
    assert_eq!(recipients[3], "the agent");

    let held = home.run(&["outbox", "list", "--state", "held"]).ok().stdout;
    assert_eq!(held.lines().count(), 3, "{held}");
    assert!(held.contains("no node is connected") && !held.contains("Hello."), "{held}");
    let last = home.run(&["outbox", "list", "--limit", "1", "--json"]).ok().json();
    assert_eq!((last.as_array().unwrap().len(), &last[0]["id"]), (1, &json!(4)));
    assert_eq!(
        home.run(&["outbox", "list", "--recipe", "answer", "--json"]).ok().json()[3]["id"],
        1
    );
}

#[test]
fn a_wrong_word_is_named_with_the_right_one() {
    let home = home();
    for (args, code, says) in [
        (["list", "--state", "hold"], 2, "did you mean \"held\"?"),
        (["list", "--recipe", "anwser"], 1, "did you mean \"answer\"?"),
    ] {
        let ran = home.run(&[&["outbox"], &args[..]].concat());
        assert!(ran.code == code && ran.stderr.contains(says), "{ran:?}");
    }
    let ran = home.run(&["outbox", "retry", "99"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no outbox row 99"), "{ran:?}");
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let ran = home.run(&["outbox", "drop", "99"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no outbox row 99"), "{ran:?}");
    let at = At::Socket(home.path("run/operator.sock"));
    for (body, says) in [
        (&b"{\"do\": \"retyr\"}"[..], "did you mean \\\"retry\\\"?"),
        (b"{\"do\": \"retry\", \"as\": \"root\"}", "unknown field `as`"),
        (b"", "EOF"),
    ] {
        let answer = send(&at, "POST", "/thrall/outbox/1", &[], body).unwrap();
        let detail = answer.body["detail"].to_string();
        assert!(answer.status == 422 && detail.contains(says), "{answer:?}");
    }
    let answer = send(&at, "GET", "/thrall/outbox?state=hold", &[], b"").unwrap();
    assert_eq!(answer.body["type"], "urn:thrall:problem:no_such_state", "{answer:?}");
}

#[test]
fn the_operator_tries_a_row_again_or_gives_it_up_and_the_journal_says_so() {
    let home = home();
    set_state(&home, 1, "uncertain");
    let ran = home.run(&["outbox", "retry", "1"]).ok();
    assert!(ran.stderr.contains("is pending, and performed when the service runs"), "{ran:?}");
    home.run(&["outbox", "drop", "2"]).ok();
    assert_eq!(states(&home), ["pending", "dropped", "done", "recorded"]);
    let before = home.journal();

    for (order, id, why) in [
        ("retry", "1", "outbox row 1 is pending: it is tried by itself"),
        ("retry", "2", "outbox row 2 is dropped: it stays so"),
        ("drop", "2", "outbox row 2 is dropped: it stays so"),
        ("retry", "3", "outbox row 3 is done: it has happened"),
        ("drop", "4", "outbox row 4 is recorded: it has happened"),
    ] {
        let refused = home.run(&["outbox", order, id]);
        assert!(refused.code == 1 && refused.stderr.contains(why), "{order} {id}: {refused:?}");
    }
    assert_eq!(home.journal(), before);

    // A service performs it, and as there is no node it is held once more.
    let _serving = Serving::ready(home.spawn(&["serve"]));
    wait_for("held row", Duration::from_secs(30), || (states(&home)[0] == "held").then_some(()));
    assert_eq!(
        told(&home, 1),
        [
            "held: no node is connected",
            "pending: tried again for the operator; it was uncertain: timed out",
            "held: no node is connected",
        ]
    );
    home.run(&["outbox", "drop", "1"]).ok();
    assert_eq!(states(&home), ["dropped", "dropped", "done", "recorded"]);
    let again = home.run(&["outbox", "retry", "3"]);
    assert!(again.code == 1 && again.stderr.contains("it has happened"), "{again:?}");
    let story = home.run(&["explain", "m1"]).ok().stdout;
    assert!(story.contains("Outbox 1: reply is dropped given up by the operator"), "{story}");
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn an_agent_sees_the_outbox_and_changes_nothing_in_it() {
    let home = home();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let agent = At::Socket(home.path("run/agent.sock"));
    let listed = send(&agent, "GET", "/thrall/outbox?state=held&limit=1", &[], b"").unwrap();
    assert_eq!((listed.status, &listed.body[0]["id"]), (200, &json!(2)), "{listed:?}");
    for order in ["retry", "drop"] {
        let body = json!({"do": order}).to_string();
        let answer = send(&agent, "POST", "/thrall/outbox/1", &[], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    // As the command has it for who reaches only the agent's socket.
    std::fs::remove_file(home.path("run/operator.sock")).unwrap();
    let refused = home.run(&["outbox", "drop", "1"]);
    assert!(refused.code == 1 && refused.stderr.contains("only the operator"), "{refused:?}");
    assert_eq!(states(&home), ["held", "held", "done", "recorded"]);
}
