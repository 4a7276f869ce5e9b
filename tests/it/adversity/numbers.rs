//! A thousand recipes, a hundred thousand items in one buffer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LONG: Duration = Duration::from_secs(120);

fn door(home: &TestHome) -> At {
    At::Socket(home.path("run/operator.sock"))
}

fn event(home: &TestHome, name: &str) -> u16 {
    let event = json!({"trigger": "on_event", "fields": {"event_name": name}}).to_string();
    send(&door(home), "POST", "/thrall/events", &[], event.as_bytes()).unwrap().status
}

fn on_event(pattern: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_event\"\nevent_pattern = \"{pattern}\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n"
    )
}

#[test]
fn a_thousand_recipes_start_reload_and_run_only_where_they_match() {
    let home = TestHome::new();
    // A grant is for a recipe's content: one for each of the two contents.
    for (kind, pattern, count) in [("quiet", "never.*", 996), ("match", "told.*", 3)] {
        let toml = on_event(pattern);
        home.recipe(&format!("{kind}-0"), &toml);
        let grant = std::fs::read(home.path(&format!("grants/{kind}-0.toml"))).unwrap();
        for number in 1..count {
            home.write(&format!("recipes/{kind}-{number}.toml"), &toml);
            home.write(&format!("grants/{kind}-{number}.toml"), &grant);
        }
    }
    home.write("recipes/broken.toml", "mode = \"automated\"\n[trigger\n");
    let started = Instant::now();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    eprintln!("start with 1,000 recipes: {:?}", started.elapsed());
    let health = || send(&door(&home), "GET", "/health", &[], b"").unwrap().body;
    assert_eq!(health()["recipes_live"], 999);
    assert_eq!(health()["status"], "degraded");
    assert!(health()["problems"].to_string().contains("broken.toml"), "{}", health());

    let began = Instant::now();
    assert_eq!(event(&home, "told.now"), 202);
    let ran = wait_for("three decisions", LONG, || {
        let rows = home.journal();
        (rows.len() >= 3).then_some(rows)
    });
    eprintln!("three decisions of 1,000 recipes: {:?}", began.elapsed());
    let names: BTreeSet<&str> = ran.iter().map(|row| row["recipe"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["match-0", "match-1", "match-2"]));
    assert_eq!(ran.len(), 3);

    let began = Instant::now();
    std::fs::remove_file(home.path("recipes/broken.toml")).unwrap();
    wait_for("reload", LONG, || (health()["status"] == "ok").then_some(()));
    eprintln!("reload of 1,000 recipes: {:?}", began.elapsed());
    assert_eq!(health()["recipes_live"], 999);
}

#[test]
fn a_hundred_thousand_items_become_briefings_while_events_go_on() {
    const ITEMS: i64 = 100_000;
    let home = TestHome::new();
    home.recipe(
        "collect",
        "mode = \"automated\"\n[trigger]\ntype = \"on_event\"\nevent_pattern = \"collect\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"keep\"\n[actions.keep]\ntype = \"compile\"\nbuffer = \"b\"\n",
    );
    home.recipe("others", &on_event("other"));
    home.ingest(&format!(
        "{}\n",
        json!({"trigger": "on_event", "fields": {"event_name": "collect"}})
    ))
    .ok();
    // The rest by hand: it is the flush that is looked at. Collected long ago.
    rusqlite::Connection::open(home.path("state/thrall.db"))
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
    let text = std::fs::read_to_string(home.path("thrall.toml")).unwrap();
    home.write("thrall.toml", format!("tick_interval_s = 1\n{text}"));
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let started = Instant::now();
    let database = home.database();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let mut longest = Duration::ZERO;
    let mut others = 0;
    wait_for("the last briefing to be asked for", LONG, || {
        let asked = Instant::now();
        assert_eq!(event(&home, "other"), 202);
        longest = longest.max(asked.elapsed());
        others += 1;
        (number("SELECT count(*) FROM buffers WHERE flush_id IS NULL") == 0).then_some(())
    });
    eprintln!("100,000 items flushed in {:?}", started.elapsed());
    eprintln!("{others} events in between, the slowest took {longest:?}");
    assert_eq!(number("SELECT sum(item_count) FROM flushes"), ITEMS);
    assert_eq!(number("SELECT count(*) FROM flushes"), 1);
    for (kind, rows) in [("briefing", ITEMS / 1000), ("wake", 1)] {
        let all = number(&format!("SELECT count(*) FROM outbox WHERE kind = '{kind}'"));
        assert_eq!(all, rows, "{kind}");
    }
    wait_for("all briefings", LONG, || {
        (number("SELECT count(*) FROM outbox WHERE state = 'pending'") == 0).then_some(())
    });
    eprintln!("and written in {:?}", started.elapsed());
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(home.path("artifacts")).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in page.split("item ").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            if part[digits.len()..].starts_with('.') {
                assert!(seen.insert(digits.parse::<i64>().unwrap()), "item {digits} twice");
            }
        }
    }
    assert_eq!(i64::try_from(seen.len()).unwrap(), ITEMS - 1);
    wait_for("the empty buffer", LONG, || {
        (number("SELECT count(*) FROM buffers") == 0).then_some(())
    });
}
