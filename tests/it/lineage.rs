//! Events that recipes trigger: made once each, bounded in depth and number,
//! with the sender, tier and session of the event at their root and nothing
//! that a recipe forged.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::{TestHome, full_grant};
use thrall_tests::wait_for::wait_for;

const EVENTS: usize = 2_000;
const KILLS: usize = 8;

/// A recipe whose only action is `action`.
fn recipe(trigger: &str, action: &str, keys: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\n{trigger}\n[evaluate]\ntype = \"hotwire\"\n\
         default_action = \"{action}\"\n[actions.{action}]\n{keys}\n"
    )
}

const ON_MAIL: &str = "type = \"on_mail\"";

fn on_action(pattern: &str) -> String {
    format!("type = \"on_action\"\nevent_pattern = \"{pattern}\"")
}

fn number(home: &TestHome, sql: &str) -> usize {
    let count: i64 = home.database().query_row(sql, [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

const TRIGGERED: &str = "SELECT count(*) FROM envelopes WHERE trigger = 'on_action'";

/// The story of an event, which has one.
fn story(home: &TestHome, id: &str) -> Value {
    home.run(&["explain", id, "--json"]).ok().json()[0].clone()
}

/// The operations of the only run of an event.
fn operations(story: &Value) -> Vec<Value> {
    story["runs"][0][1]["action"]["operations"].as_array().unwrap().clone()
}

/// The event that another one triggered, if it triggered one.
fn next(home: &TestHome, story_before: &Value) -> Option<Value> {
    let id = story_before["triggered"][0]["id"].as_str()?;
    Some(story(home, id))
}

#[test]
fn a_chain_of_triggers_ends_at_depth_four_and_says_why() {
    let home = TestHome::new();
    home.recipe("start", &recipe(ON_MAIL, "trigger", "trigger = \"next\""));
    home.recipe("again", &recipe(&on_action("ne*"), "trigger", "trigger = \"next\""));
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();

    let mut at = story(&home, "m1");
    for depth in 1..=4 {
        assert!(operations(&at)[0].get("denied_by").is_none(), "{at}");
        at = next(&home, &at).unwrap();
        let envelope = &at["stored"]["envelope"];
        assert_eq!(envelope["depth"], depth, "{envelope}");
        let mut way = vec!["start"];
        way.resize(depth, "again");
        assert_eq!(envelope["lineage"], json!(way));
        assert_eq!(at["runs"][0][1]["host_inputs"]["lineage"], json!(way));
        assert_eq!(at["runs"][0][1]["trigger"], "on_action");
    }
    let refused = &operations(&at)[0];
    assert_eq!(refused["denied_by"], "depth 5: a chain of triggered events ends at depth 4");
    assert_eq!(next(&home, &at), None);
    assert_eq!((number(&home, TRIGGERED), home.journal().len()), (4, 5));
    assert_eq!(number(&home, "SELECT count(*) FROM outbox"), 0);

    let id = at["stored"]["envelope"]["id"].as_str().unwrap();
    let told = home.run(&["explain", id]).ok().stdout;
    assert!(told.contains("by start, then again, then again, then again on event"), "{told}");
    let told = home.run(&["explain", "m1"]).ok().stdout;
    assert!(told.contains("Row 1 triggered event ") && told.contains(" (next)"), "{told}");
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn one_event_leads_to_sixteen_at_most() {
    let home = TestHome::new();
    let steps = "{ type = \"trigger\", trigger = \"leaf\" }, ".repeat(17);
    let many = recipe(ON_MAIL, "many", &format!("steps = [{steps}]"));
    let leaf = recipe(&on_action("leaf"), "trigger", "trigger = \"nothing\"");
    // What the leaf triggers is bounded by the grants of both.
    home.recipe_under("many", &many, &full_grant(&format!("{many}{leaf}")));
    home.recipe("leaf", &leaf);
    home.ingest(&lines([mail("m1", &node(0xd1), "a"), mail("m2", &node(0xd1), "b")])).ok();

    let many = operations(&story(&home, "m1"));
    let denied: Vec<&Value> = many.iter().filter(|one| one.get("denied_by").is_some()).collect();
    assert_eq!((many.len(), denied.len()), (17, 1), "{many:#?}");
    assert_eq!(
        denied[0]["denied_by"],
        "descendant 17: one event leads to 16 triggered or continued events at most"
    );
    // The rest of the line counts below the same root, so none of them gets on.
    let leaf = operations(&next(&home, &story(&home, "m1")).unwrap());
    assert!(leaf[0]["denied_by"].as_str().unwrap().starts_with("descendant 17"), "{leaf:?}");
    assert_eq!(number(&home, TRIGGERED), 32, "sixteen for each of two mails");
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM envelopes GROUP BY root HAVING root IS NOT NULL)";
    assert_eq!(number(&home, most), 16);
}

#[test]
fn sender_tier_and_session_are_the_roots() {
    let home = TestHome::new();
    home.configure(&format!(
        "[trust_tiers]\nteam = [\"{}\"]\n\
         [sources.trusted]\nmay_assert_sender = true\n[sources.bridge]\n",
        node(0xaa)
    ));
    let start = "trigger = \"next\"\nfields = { kind = \"bug\" }";
    home.recipe("start", &recipe(ON_MAIL, "trigger", start));
    home.recipe("next", &recipe(&on_action("next"), "log", ""));

    let mut served = home.spawn(&["serve"]);
    for (source, id) in [("trusted", "m1"), ("bridge", "m2")] {
        let event = mail(id, &node(0xaa), "hello").to_string();
        wait_for("the event to be taken", Duration::from_secs(60), || {
            post(&home, source, &event).filter(|answer| answer.contains(" 202 "))
        });
    }
    wait_for("four decisions", Duration::from_secs(20), || {
        (home.journal().len() == 4).then_some(())
    });
    served.kill().unwrap();
    served.wait().unwrap();

    let rows = home.journal();
    for (source, tier) in [("trusted", "team"), ("bridge", "unknown")] {
        let brought = rows.iter().find(|row| row["source"] == source).unwrap();
        let made = rows
            .iter()
            .find(|row| row["source"] == "thrall" && row["from_node"] == brought["from_node"])
            .unwrap();
        assert_eq!((&brought["tier"], &made["tier"]), (&tier.into(), &tier.into()), "{made}");
        assert_eq!(made["session_id"], brought["session_id"]);
        assert_eq!((&made["trigger"], &made["recipe"]), (&"on_action".into(), &"next".into()));
        let trace = home.run(&["journal", "show", &made["id"].to_string(), "--json"]).ok().json();
        let fields: Vec<&str> = trace["envelope"]["envelope"]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field["name"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["event_name", "from_node", "kind", "session_id"]);
    }
}

/// Posts one event on a source's socket; the answer as it came.
fn post(home: &TestHome, source: &str, body: &str) -> Option<String> {
    let mut stream = UnixStream::connect(home.path(&format!("run/source-{source}.sock"))).ok()?;
    let head = format!(
        "POST /thrall/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn rehearsed_and_manual_runs_trigger_nothing() {
    let home = TestHome::new();
    let start = recipe(ON_MAIL, "trigger", "trigger = \"next\"");
    home.recipe("start", &start);
    home.recipe("careful", &start.replace("automated", "manual"));
    home.recipe("next", &recipe(&on_action("*"), "log", ""));
    let event = home.write("event.json", mail("m0", &node(0xd1), "hello").to_string());
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    assert_eq!(number(&home, TRIGGERED), 1, "of the automated one");

    let before = number(&home, "SELECT count(*) FROM envelopes");
    let rehearsed =
        home.run(&["dryrun", "start", "--envelope", event.to_str().unwrap(), "--json"]).ok().json();
    let operation = &rehearsed["trace"]["action"]["operations"][0];
    assert_eq!((&operation["type"], operation.get("denied_by")), (&"trigger".into(), None));
    for recipe in ["start", "next"] {
        home.run(&["dryrun", recipe, "--last", "5"]).ok();
    }
    assert_eq!(number(&home, "SELECT count(*) FROM envelopes"), before);
}

/// Asked while the program may be about to make the database.
fn triggered_so_far(home: &TestHome) -> Option<usize> {
    let path = home.path("state/thrall.db");
    let database = path.is_file().then(|| home.database())?;
    let count: i64 = database.query_row(TRIGGERED, [], |row| row.get(0)).ok()?;
    usize::try_from(count).ok()
}

#[test]
fn a_triggered_event_is_made_once_and_run_once_whenever_the_program_dies() {
    let home = TestHome::new();
    home.recipe("start", &recipe(ON_MAIL, "trigger", "trigger = \"next\""));
    home.recipe("next", &recipe(&on_action("next"), "compile", ""));
    let events = (0..EVENTS).map(|n| {
        let sender = node(u8::try_from(n % 251).unwrap_or(0) | 1);
        mail(&format!("m{n}"), &sender, &format!("message {n}"))
    });
    let file = home.write("events.jsonl", lines(events));
    let file = file.to_str().unwrap();

    let mut left_waiting = 0;
    for kill in 1..=KILLS {
        let wanted = kill * EVENTS / (KILLS + 2);
        let mut child = home.spawn(&["ingest", file]);
        wait_for("some triggered events", Duration::from_secs(60), || {
            (triggered_so_far(&home)? >= wanted).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let waiting = "SELECT count(*) FROM envelopes WHERE root IS NOT NULL AND state = 'pending'";
        left_waiting += number(&home, waiting);
    }
    home.run(&["ingest", file]).ok();
    assert!(left_waiting > 0, "the kills came at no moment that matters");

    assert_eq!(number(&home, TRIGGERED), EVENTS);
    let whole = "SELECT count(DISTINCT triggered_by) FROM envelopes WHERE trigger = 'on_action'
        AND lineage = '[\"start\"]' AND depth = 1 AND root_source = 'ingest'";
    assert_eq!(number(&home, whole), EVENTS);
    for recipe in ["start", "next"] {
        let rows = "SELECT count(*) || ' ' || count(DISTINCT envelope_seq) FROM journal
            WHERE kind = 'decision' AND recipe = ?1";
        let rows: String = home.database().query_row(rows, [recipe], |row| row.get(0)).unwrap();
        assert_eq!(rows, format!("{EVENTS} {EVENTS}"), "{recipe}");
    }
    assert_eq!(number(&home, "SELECT count(*) FROM envelopes WHERE state <> 'done'"), 0);
    assert_eq!(number(&home, "SELECT count(*) FROM buffers"), EVENTS);
    home.run(&["journal", "verify"]).ok();
}
