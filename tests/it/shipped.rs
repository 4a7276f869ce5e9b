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

/// Whatever a mail is made of, it is judged; one that costs more fuel to look at
/// than there is does not go out.
#[test]
fn the_guard_lets_nothing_out_that_it_did_not_judge() {
    let home = TestHome::shipped();
    let most = 60_000;
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
        let result = &trace["evaluate"]["result"];
        let is_judged = result["reason"].as_str().unwrap_or_default().contains("found");
        assert!(is_judged || result["action"] == "block", "{piece:?}: {}", trace["evaluate"]);
    }
}
