//! A dry run of any journaled event gives the same decision, and changes no
//! table: the database is compared before and after, row by row.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;

const RULES: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[filter]
rate_limit_window = 60
rate_limit_max = 3
rate_limit_action = "drop"
[evaluate]
type = "hotwire"
default_action = "compile"
[[evaluate.rules]]
field = "body_text"
pattern = "urgent"
action = "wake"
[actions.compile]
buffer = "digest"
[actions.wake]
"#;

/// Every row of every table, as text.
fn dump(home: &TestHome) -> Vec<String> {
    let database = home.database();
    let tables: Vec<String> = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = statement.column_count();
        let found = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|n| row.get::<_, rusqlite::types::Value>(n).map(|v| format!("{v:?}")))
                    .collect::<Result<Vec<_>, _>>()
            })
            .unwrap();
        rows.extend(found.map(|row| format!("{table}: {}", row.unwrap().join("|"))));
    }
    rows
}

#[test]
fn every_journaled_event_repeats_its_decision_hash() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    home.write("recipes/repeat-offender.wasm", guests::shipped("repeat-offender"));
    home.recipe(
        "offender",
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ncomponent = \"repeat-offender.wasm\"\nfallback_action = \"drop\"\n",
    );
    let texts = ["hello", "urgent: the relay is down", "one more", "and again", "too many", ""];
    let mut events: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| mail(&format!("a{n}"), &node(0xd1), text))
        .collect();
    events.push(mail("b1", "not-a-node", "who am I"));
    events.push(mail("b2", &node(0xd2), "plain"));
    home.ingest(&lines(events)).ok();

    let before = dump(&home);
    let rows = home.journal();
    assert!(rows.iter().any(|row| row["eval_type"] == "rate_limit"), "{rows:?}");
    for row in rows.iter().filter(|row| !row["recipe"].as_str().unwrap().is_empty()) {
        let id = row["id"].to_string();
        let recipe = row["recipe"].as_str().unwrap();
        let ran = home.run(&["dryrun", recipe, "--journal", &id, "--json"]).ok().json();
        assert_eq!(ran["trace"]["decision_hash"], row["decision_hash"], "{row}\n{ran}");
        assert_eq!(ran["trace"]["action"]["executed"], false);
        assert_eq!(ran["differs"], false);
    }
    assert_eq!(dump(&home), before);
}

#[test]
fn a_changed_recipe_differs_and_the_exit_status_says_so() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    home.ingest(&lines([mail("a", &node(0xd1), "urgent")])).ok();
    let candidate = home.write("rules.toml", RULES.replace("\"urgent\"", "\"catastrophe\""));
    let ran = home.run(&["dryrun", candidate.to_str().unwrap(), "--journal", "1", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["trace"]["action"]["name"], "compile");
}

#[test]
fn an_envelope_that_never_arrived_can_be_tried() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    let envelope = mail("x", "unknown_test_node", "urgent: help").to_string();
    let ran = home
        .run_with_input(&["dryrun", "rules", "--envelope", "-", "--json"], &envelope)
        .ok()
        .json();
    assert_eq!(ran["trace"]["action"]["name"], "wake");
    assert_eq!(ran["trace"]["filter"]["tier"], "unknown");
    assert!(home.journal().is_empty());
}
