//! The recipes that come with a home, as `init` leaves them. What each does is in
//! `tests/scenarios/shipped`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thrall_tests::test_home::TestHome;

#[test]
fn a_new_home_runs_what_it_is_granted_and_nothing_waits() {
    let home = TestHome::shipped();
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let modes: BTreeMap<String, String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            // A grant that named another revision would say so here.
            assert_eq!(one["reason"], "", "{one}");
            assert_eq!(one["warnings"].as_array().unwrap().len(), 0, "{one}");
            (text(&one["name"]), text(&one["mode"]))
        })
        .collect();
    let of = |mode: &str| -> Vec<&str> {
        modes.iter().filter(|(_, one)| *one == mode).map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(of("manual"), ["faq-responder", "outbound-guard", "skill-gate"]);
    assert_eq!(of("-"), ["ack-noise", "repeat-offender"], "disabled");
    assert_eq!(of("automated").len() + 5, modes.len(), "{modes:?}");
    let told = home.run(&["grant", "show"]).ok();
    assert!(!told.stderr.contains("LEAK"), "{told:?}");
}

#[test]
fn a_new_home_says_what_is_next_and_doctor_what_is_missing() {
    let home = TestHome::new();
    let another = home.path("another");
    let said = home.run(&["init", another.to_str().unwrap()]).ok().stderr;
    assert!(said.lines().count() < 12, "{said}");
    for words in ["16 recipes with 16 grants", "model pull", "grant allow", "outbox list"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let again = home.run(&["init", another.to_str().unwrap(), "--json"]).ok();
    assert_eq!(again.json()["written"], json!([]), "{again:?}");
    std::fs::remove_file(another.join("recipes/mail-triage.toml")).unwrap();
    let named = home.run(&["init", another.to_str().unwrap(), "--verbose"]).ok().stderr;
    assert!(named.contains("another/recipes/mail-triage.toml"), "{named}");

    let shipped = TestHome::shipped();
    let log = shipped.write("node.log", "");
    let recipe = std::fs::read_to_string(shipped.path("recipes/log-watch.toml")).unwrap();
    shipped.recipe("log-watch", &recipe.replace("/var/log/node/serve.log", log.to_str().unwrap()));
    let found = shipped.run(&["doctor"]).stdout;
    let missing: Vec<&str> =
        found.lines().filter(|line| line.contains("which is not there")).collect();
    assert_eq!(missing.len(), 1, "{found}");
    assert!(missing[0].contains("oom-recovery watches /var/log/node/serve.log"), "{missing:?}");
}

/// No mail makes it run out of fuel: that would stop the mail, for the wrong
/// reason.
#[test]
fn the_guard_judges_the_longest_mail_within_its_fuel() {
    let home = TestHome::shipped();
    let most = 60_000; // near the bound of an event
    for piece in [
        "a",
        "7",
        "@",
        "a@",
        "a@b.cc ",
        "=",
        "secret ",
        "secret=",
        "password: x ",
        "://",
        "://a:b@",
        "eyJaaaaaaaaaa.",
        "bearer ",
        "[1,",
        "[",
        "+1 ",
        "(1",
        "0151 ",
        "4111 1111 ",
        "4111 1111 1111 1111 ",
        "DE89 ",
        "abandon ",
        "-----BEGIN PRIVATE KEY",
        "-----BEGIN ",
        "AKIA",
        "sk-",
        "\u{e9}@",
        "api key ",
        "zoo,",
        "1.",
    ] {
        let body = piece.repeat(most / piece.len());
        let event = json!({"trigger": "on_mail_send", "fields": {"to_node": "ab".repeat(32), "body_text": body}});
        let file = home.write("event.json", event.to_string());
        let ran =
            home.run(&["dryrun", "outbound-guard", "--envelope", file.to_str().unwrap(), "--json"]);
        let trace = &ran.ok().json()["trace"];
        let said = trace["evaluate"]["result"]["reason"].as_str().unwrap_or_default();
        assert!(said.contains("found"), "{piece:?}: {}", trace["evaluate"]);
    }
}
