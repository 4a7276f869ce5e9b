//! `kill -9` during ingest, at random points: after a restart and the same
//! file again, every event has exactly one row per recipe and the chain holds.

use std::time::Duration;

use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;

const EVENTS: usize = 10_000;
const KILLS: u64 = 20;

#[test]
fn exactly_once_per_recipe_after_twenty_kills() {
    let home = TestHome::new();
    let recipe = |action: &str| {
        format!(
            "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"{action}\"\n[actions.{action}]\n"
        )
    };
    home.recipe("first", &recipe("log"));
    home.recipe("second", &recipe("compile"));
    let events = (0..EVENTS).map(|n| {
        let sender = node(u8::try_from(n % 251).unwrap_or(0) | 1);
        mail(&format!("m{n}"), &sender, &format!("message {n}"))
    });
    let file = home.write("events.jsonl", lines(events));
    let file = file.to_str().unwrap();

    // The moments are spread over the run by a fixed sequence, so that a
    // failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..KILLS {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = home.spawn(&["ingest", file]);
        std::thread::sleep(Duration::from_millis(30 + (state >> 33) % 270));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    home.run(&["ingest", file]).ok();

    let database = home.database();
    let per_recipe: Vec<(String, i64, i64)> = database
        .prepare("SELECT recipe, count(*), count(DISTINCT envelope_seq) FROM journal WHERE kind = 'decision' GROUP BY recipe ORDER BY recipe")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let all = i64::try_from(EVENTS).unwrap();
    assert_eq!(per_recipe, [("first".to_owned(), all, all), ("second".to_owned(), all, all)]);
    let pending: i64 = database
        .query_row("SELECT count(*) FROM envelopes WHERE state <> 'done'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(pending, 0);
    home.run(&["journal", "verify"]).ok();
}
