//! `thrall buffer`: what is collected for the agent is there to be seen, and the
//! operator has it delivered before its time, with a service running or not.

use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const COLLECT: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\n\
    type = \"hotwire\"\ndefault_action = \"compile\"\n[actions.compile]\nbuffer = \"mail-digest\"\n\
    summon_threshold = 5\nsummon_keywords = [\"urgent\", \"outage\"]\n";
const SKILL: &str = "mode = \"disabled\"\n[trigger]\ntype = \"on_event\"\n[evaluate]\n\
    type = \"hotwire\"\ndefault_action = \"ask\"\n[actions.ask]\ntype = \"act\"\nskill = \"echo\"\n\
    error_buffer = \"errors\"\n";

/// Two mails of one sender, and so in order, wait in mail-digest, nothing in errors, whose recipe is disabled.
fn home() -> TestHome {
    let home = TestHome::new();
    home.write("recipes/collect.toml", COLLECT);
    home.write("recipes/asking.toml", SKILL);
    for name in ["collect", "asking"] {
        home.run(&["grant", "allow", name, "--mode", "automated"]).ok();
    }
    home.ingest(&lines([
        mail("m1", &node(7), "hello"),
        mail("m2", &node(7), "\u{1b}[2Jnews\nof two lines"),
    ]))
    .ok();
    home
}

fn listed(home: &TestHome) -> Vec<Value> {
    home.run(&["buffer", "list", "--json"]).ok().json().as_array().unwrap().clone()
}

fn assert_lists(home: &TestHome) {
    let buffers = listed(home);
    let keys =
        ["bytes", "filled_by", "flushing", "interval_s", "items", "name", "oldest", "timer_at"];
    assert_eq!(buffers[0].as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    let names: Vec<&Value> = buffers.iter().map(|buffer| &buffer["name"]).collect();
    assert_eq!(names, [&json!("errors"), &json!("mail-digest")]);
    let filler = |recipe: &str, is_live: bool, threshold: u32, keywords: &[&str]| json!([{"recipe": recipe, "is_live": is_live, "threshold": threshold, "keywords": keywords}]);
    let (errors, digest) = (&buffers[0], &buffers[1]);
    assert_eq!((&errors["items"], &errors["timer_at"]), (&json!(0), &Value::Null));
    assert_eq!(errors["filled_by"], filler("asking", false, 0, &[]));
    assert_eq!((&digest["items"], &digest["flushing"]), (&json!(2), &json!(0)));
    assert_eq!(digest["bytes"], 5 + 4 + 4 + 13);
    assert_eq!(digest["filled_by"], filler("collect", true, 5, &["outage", "urgent"]));
    let (oldest, timer) = (digest["oldest"].as_u64().unwrap(), digest["timer_at"].as_u64());
    assert_eq!(timer, Some(oldest + 3_600_000));
    let table = home.run(&["buffer", "list"]).ok().stdout;
    assert!(table.contains("at 5 items") && table.contains("outage, urgent"), "{table}");
    assert!(table.contains("asking (not live)"), "{table}");
}

fn assert_shows(home: &TestHome) {
    let items = home.run(&["buffer", "show", "mail-digest", "--json"]).ok().json();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 2);
    let keys = [
        "action",
        "at",
        "body",
        "from_node",
        "is_flushing",
        "is_priority",
        "journal_id",
        "msg_type",
        "note",
        "reason",
        "recipe",
        "sender_key",
        "session_id",
        "tier",
    ];
    assert_eq!(items[0].as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!((&items[0]["journal_id"], &items[1]["body"]), (&json!(2), &json!("hello")));
    let table = home.run(&["buffer", "show", "mail-digest"]).ok().stdout;
    assert!(!table.contains('\u{1b}') && table.contains("·[2Jnews·of"), "{table}");
    let one = home.run(&["buffer", "show", "mail-digest", "--limit", "1", "--json"]).ok().json();
    assert_eq!(one.as_array().unwrap().len(), 1);
    let empty = home.run(&["buffer", "show", "errors", "--json"]).ok().json();
    assert_eq!(empty, json!([]));
    for order in ["show", "flush"] {
        let wrong = home.run(&["buffer", order, "mail-digets"]);
        assert!(
            wrong.code == 1 && wrong.stderr.contains("did you mean \"mail-digest\"?"),
            "{wrong:?}"
        );
    }
    let nothing = home.run(&["buffer", "flush", "errors"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("nothing waits in errors"), "{nothing:?}");
}

/// What the journal says of flushes and their parts, oldest first.
fn told(home: &TestHome) -> Vec<String> {
    let database = home.database();
    let mut statement = database
        .prepare(
            "SELECT action || ' ' || action_name || ': ' || reason FROM journal
             WHERE kind = 'performed' ORDER BY id",
        )
        .unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

fn briefing(home: &TestHome) -> String {
    let file = std::fs::read_dir(home.path("artifacts")).unwrap().next().unwrap().unwrap();
    std::fs::read_to_string(file.path()).unwrap()
}

#[test]
fn without_a_service_buffers_are_read_and_a_flush_waits_for_one() {
    let home = home();
    assert_lists(&home);
    assert_shows(&home);
    let flushed = home.run(&["buffer", "flush", "mail-digest"]).ok();
    assert!(flushed.stderr.contains("written when the service runs"), "{flushed:?}");
    let digest = &listed(&home)[1];
    assert_eq!((&digest["items"], &digest["flushing"]), (&json!(0), &json!(2)));
    let shown = home.run(&["buffer", "show", "mail-digest"]).ok().stdout;
    assert!(shown.contains("on its way"), "{shown}");
    assert_eq!(std::fs::read_dir(home.path("artifacts")).unwrap().count(), 0);

    let _serving = Serving::ready(home.spawn(&["serve"]));
    wait_for("empty buffer", Duration::from_secs(30), || {
        (listed(&home)[1]["flushing"] == 0).then_some(())
    });
    assert!(briefing(&home).contains("hello"));
}

#[test]
fn a_service_is_asked_and_flushes_as_its_timer_would_with_its_own_reason() {
    let home = home();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_lists(&home);
    assert_shows(&home);
    let flushed = home.run(&["buffer", "flush", "mail-digest", "--json"]).ok().json();
    let artifact = flushed["briefings"][0].as_str().unwrap().to_owned();
    wait_for("empty buffer", Duration::from_secs(30), || {
        (listed(&home)[1]["flushing"] == 0).then_some(())
    });
    assert!(home.path(&format!("artifacts/{artifact}")).is_file());
    let page = briefing(&home);
    assert!(page.contains("operator") && page.contains("hello"), "{page}");
    let said = told(&home);
    assert_eq!(
        said[0],
        format!("flush done: mail-digest flushed for the operator, briefing {artifact}")
    );
    assert!(said[1].starts_with("briefing done: ") && said[2].starts_with("wake recorded: "));
    let cause: String = home
        .database()
        .query_row(
            "SELECT json_extract(body, '$.trigger') FROM outbox WHERE kind = 'wake'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(cause, "operator");
    let again = home.run(&["buffer", "flush", "mail-digest"]);
    assert!(again.code == 1 && again.stderr.contains("nothing waits in mail-digest"), "{again:?}");
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn an_agent_looks_into_buffers_and_has_none_flushed() {
    let home = home();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let agent = At::Socket(home.path("run/agent.sock"));
    let shown = send(&agent, "GET", "/thrall/buffers/mail-digest?limit=1", &[], b"").unwrap();
    assert_eq!((shown.status, shown.body.as_array().unwrap().len()), (200, 1), "{shown:?}");
    let wrong = send(&agent, "GET", "/thrall/buffers/mail%2Fdigest", &[], b"").unwrap();
    assert_eq!((wrong.status, &wrong.body["title"]), (404, &json!("no such buffer")), "{wrong:?}");
    let answer = send(&agent, "POST", "/thrall/buffers/mail-digest/flush", &[], b"").unwrap();
    assert_eq!((answer.status, &answer.body["title"]), (404, &json!("no such route")));
    assert_eq!(listed(&home)[1]["items"], 2);
}
