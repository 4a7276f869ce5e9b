//! Questions over the sockets: answered when written down, with the strictest
//! word, and blocked when nobody decides in time.

use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::node;
use thrall_tests::guests;
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const GUARD: &str = r#"
mode = "automated"
[trigger]
type = "on_mail_send"
[evaluate]
type = "hotwire"
default_action = "pass"
[[evaluate.rules]]
field = "body_text"
pattern = "secret"
action = "block"
reason = "names a secret"
[[evaluate.rules]]
field = "body_text"
pattern = "@"
action = "redact"
[actions.redact]
type = "answer"
code = "redact"
template = "(an address was taken out)"
"#;

fn question(body: &str) -> Vec<u8> {
    json!({"trigger": "on_mail_send", "fields": {"to_node": "ab".repeat(32), "body_text": body}})
        .to_string()
        .into_bytes()
}

fn ask(home: &TestHome, body: &str) -> Value {
    let at = At::Socket(home.path("run/operator.sock"));
    let answer = send(&at, "POST", "/thrall/questions", &[], &question(body)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn a_question_is_answered_with_what_the_recipe_says_and_journaled_before() {
    let home = TestHome::new();
    home.write("recipes/guard.toml", GUARD);
    home.run(&["grant", "allow", "guard", "--mode", "automated"]).ok();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let said = [
        ask(&home, "see you at noon"),
        ask(&home, "the secret is 1234"),
        ask(&home, "write to me@example.org"),
    ];
    let codes: Vec<&str> = said.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["pass", "block", "redact"]);
    assert_eq!(said[1]["reason"], "names a secret");
    assert_eq!(said[2]["body"], "(an address was taken out)");
    // The answer came after its row: it is there for whoever reads now.
    let rows = home.journal();
    let actions: Vec<&str> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["pass", "block", "redact"]);
}

#[test]
fn without_a_recipe_it_passes_and_without_a_grant_nothing_counts() {
    let home = TestHome::new();
    home.write("recipes/guard.toml", GUARD);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(ask(&home, "the secret is 1234")["code"], "pass");
}

/// The same question that was blocked once is blocked again: it is no
/// duplicate that nobody looks at.
#[test]
fn the_same_question_again_is_asked_again() {
    let home = TestHome::new();
    home.write("recipes/guard.toml", GUARD);
    home.run(&["grant", "allow", "guard", "--mode", "automated"]).ok();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let at = At::Socket(home.path("run/operator.sock"));
    let mut asked: Value = serde_json::from_slice(&question("the secret")).unwrap();
    asked["id"] = json!("q1");
    for _ in 0..2 {
        let body = asked.to_string();
        let answer = send(&at, "POST", "/thrall/questions", &[], body.as_bytes()).unwrap();
        assert_eq!(answer.body["code"], "block", "{answer:?}");
    }
}

#[test]
fn a_recipe_that_fails_or_takes_too_long_blocks_and_says_why() {
    let home = TestHome::new();
    home.write("recipes/loops.wasm", guests::bytes("loops-forever"));
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_skill_request\"\ndeadline_ms = 100\n\
        [evaluate]\ntype = \"hotwire\"\ncomponent = \"loops.wasm\"\n";
    home.write("recipes/gate.toml", recipe);
    home.run(&["grant", "allow", "gate", "--mode", "automated"]).ok();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let at = At::Socket(home.path("run/operator.sock"));
    let body = json!({"trigger": "on_skill_request",
        "fields": {"skill_name": "pay-lite", "caller_node": "cd".repeat(32), "input_json": "{}"}});
    let started = std::time::Instant::now();
    let answer = send(&at, "POST", "/thrall/questions", &[], body.to_string().as_bytes()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(answer.body["code"], "block", "{answer:?}");
    let rows = home.run(&["journal", "tail", "--once", "--json"]).ok().stdout;
    assert!(rows.contains("block"), "{rows}");
}

/// Its failures blocked what they were about; after them it no longer looks.
#[test]
fn a_guard_that_is_tripped_lets_nothing_out_that_it_would_see() {
    let home = TestHome::new();
    home.write("recipes/traps.wasm", guests::bytes("traps"));
    home.write(
        "recipes/gate.toml",
        "mode = \"automated\"\n[trigger]\ntype = \"on_skill_request\"\nmatch_field = \"skill_name\"\n\
         match_pattern = \"^pay$\"\n[evaluate]\ncomponent = \"traps.wasm\"\nfallback_action = \"pass\"\n",
    );
    home.run(&["grant", "allow", "gate", "--mode", "automated"]).ok();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let at = At::Socket(home.path("run/operator.sock"));
    let ask = |skill: &str, caller: u8| {
        let asked = json!({"trigger": "on_skill_request",
            "fields": {"skill_name": skill, "caller_node": node(caller), "input_json": "{}"}});
        let body = asked.to_string();
        let answer = send(&at, "POST", "/thrall/questions", &[], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let before = ask("pay", 1);
    for caller in [1, 1, 2, 3] {
        ask("pay", caller);
    }
    wait_for("the trip", Duration::from_secs(30), || {
        let listed = home.run(&["recipe", "list", "--json"]).ok().json();
        (listed[0]["state"] == "tripped").then_some(())
    });
    let after = ask("pay", 4);
    assert_eq!(
        (after["code"].as_str(), after["reason"].as_str()),
        (Some("block"), Some("gate may answer this, and is tripped")),
        "before: {before}"
    );
    assert_eq!(ask("other", 4)["code"], "pass", "which it never looked at");
    assert_eq!(home.journal().len(), 5);
}

#[test]
fn only_questions_are_asked_here_and_an_agent_asks_none() {
    let home = TestHome::new();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let at = At::Socket(home.path("run/operator.sock"));
    for (body, code) in [
        (
            json!({"trigger": "on_mail", "fields": {"from_node": "ab".repeat(32)}}),
            "urn:thrall:problem:no_question",
        ),
        (json!({"trigger": "on_tick", "fields": {}}), "urn:thrall:problem:no_question"),
    ] {
        let answer =
            send(&at, "POST", "/thrall/questions", &[], body.to_string().as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body["type"].as_str()), (422, Some(code)), "{answer:?}");
    }
    let agent = At::Socket(home.path("run/agent.sock"));
    let answer = send(&agent, "POST", "/thrall/questions", &[], &question("x")).unwrap();
    assert_eq!(answer.status, 404);
}
