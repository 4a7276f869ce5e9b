//! From manual to automated: runs are reviewed, and a mode is raised when the
//! operator has seen enough. An agent lowers a mode and never raises one.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;

const COLLECT: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\n\
    type = \"hotwire\"\ndefault_action = \"compile\"\n[actions.compile]\nbuffer = \"b\"\n";

fn home_with(promotion: &str) -> TestHome {
    let home = TestHome::new();
    home.configure(promotion);
    home.write("recipes/collect.toml", COLLECT);
    home.run(&["grant", "allow", "collect", "--mode", "supervised"]).ok();
    home
}

fn mode(home: &TestHome) -> String {
    let listed = home.run(&["recipe", "list", "--json"]).ok().json();
    let text = listed.to_string();
    let entry = listed.as_array().or_else(|| listed["recipes"].as_array()).unwrap()[0].clone();
    entry["mode"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_mode_is_raised_when_enough_runs_were_reviewed_and_none_corrected() {
    let home = home_with("[promotion]\nreviewed = 3\n");
    assert_eq!(mode(&home), "supervised");
    let mails = (0..3).map(|n| mail(&format!("m{n}"), &node(7), "hello"));
    home.ingest(&lines(mails)).ok();
    let inbox = home.run(&["review", "list", "--json"]).ok().json();
    let ids: Vec<i64> =
        inbox.as_array().unwrap().iter().map(|one| one["journal_id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 3, "{inbox}");
    assert!(inbox.as_array().unwrap().iter().all(|one| one["state"] == "open"));

    home.run(&["review", "confirm", &ids[0].to_string()]).ok();
    let early = home.run(&["recipe", "mode", "collect", "automated"]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stderr.contains("1 of 3 runs"), "{early:?}");
    assert_eq!(mode(&home), "supervised");

    home.run(&["review", "confirm", &ids[1].to_string()]).ok();
    home.run(&["review", "confirm", &ids[2].to_string(), "--note", "right"]).ok();
    home.run(&["recipe", "mode", "collect", "automated"]).ok();
    assert_eq!(mode(&home), "automated");
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn a_correction_stands_in_the_way_and_force_overrides_it() {
    let home = home_with("[promotion]\nreviewed = 1\n");
    home.ingest(&lines([mail("m", &node(7), "hello")])).ok();
    let inbox = home.run(&["review", "list", "--json"]).ok().json();
    let id = inbox[0]["journal_id"].to_string();
    home.run(&["review", "correct", &id, "drop"]).ok();
    let refused = home.run(&["recipe", "mode", "collect", "automated"]);
    assert!(refused.code == 1 && refused.stderr.contains("corrected"), "{refused:?}");
    let row = home.run(&["review", "list", "--state", "corrected", "--json"]).ok().json();
    assert_eq!(
        (row[0]["correction"].as_str(), row[0]["role"].as_str()),
        (Some("drop"), Some("operator"))
    );
    home.run(&["recipe", "mode", "collect", "automated", "--force"]).ok();
    assert_eq!(mode(&home), "automated");
}

/// Whoever mistypes has corrected nothing, and stands in no promotion's way.
#[test]
fn a_correction_names_an_action_that_the_recipe_has() {
    let home = home_with("");
    home.ingest(&lines([mail("m", &node(7), "hello"), mail("n", &node(7), "hello")])).ok();
    let inbox = home.run(&["review", "list", "--json"]).ok().json();
    let id = inbox[0]["journal_id"].to_string();
    let refused = |word: &str, meant: &str| {
        let said = home.run(&["review", "correct", &id, word]);
        assert!(
            said.code == 1
                && said.stderr.contains(&format!("collect has no action {word:?}"))
                && said.stderr.contains("compile, drop, log")
                && said.stderr.contains(meant),
            "{said:?}"
        );
    };
    let counts = || {
        let row = home.run(&["review", "list", "--json"]).ok().json()[0].clone();
        (row["state"].as_str().unwrap().to_owned(), row["correction"].clone())
    };
    refused("compil", "did you mean \"compile\"?");
    // Of another recipe.
    refused("wake", "");
    assert_eq!(counts(), ("open".to_owned(), serde_json::Value::Null));

    let _serving = Serving::ready(home.spawn(&["serve"]));
    refused("compil", "did you mean \"compile\"?");
    let at = At::Socket(home.path("run/operator.sock"));
    let path = format!("/thrall/review/{id}");
    let answer = send(&at, "POST", &path, &[], b"{\"correction\": \"dorp\"}").unwrap();
    assert_eq!(
        (answer.status, answer.body["type"].as_str()),
        (422, Some("urn:thrall:problem:no_such_action")),
        "{answer:?}"
    );
    assert!(answer.body["detail"].as_str().unwrap().contains("did you mean \"drop\"?"));
    assert_eq!(counts(), ("open".to_owned(), serde_json::Value::Null));
    home.run(&["review", "correct", &id, "drop"]).ok();
    assert_eq!(counts(), ("corrected".to_owned(), "drop".into()));
}

/// Only what a question's recipe has without declaring it.
#[test]
fn a_guards_run_is_corrected_to_an_answer() {
    let home = TestHome::new();
    home.write(
        "recipes/gate.toml",
        "mode = \"automated\"\n[trigger]\ntype = \"on_skill_request\"\n[evaluate]\n\
         default_action = \"pass\"\n",
    );
    home.run(&["grant", "allow", "gate", "--mode", "supervised"]).ok();
    let serving = Serving::ready(home.spawn(&["serve"]));
    let asked = serde_json::json!({"trigger": "on_skill_request",
        "fields": {"skill_name": "pay", "caller_node": node(7), "input_json": "{}"}});
    let at = At::Socket(home.path("run/operator.sock"));
    let body = asked.to_string();
    send(&at, "POST", "/thrall/questions", &[], body.as_bytes()).unwrap();
    drop(serving);
    let id = home.run(&["review", "list", "--json"]).ok().json()[0]["journal_id"].to_string();
    let wrong = home.run(&["review", "correct", &id, "blok"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("did you mean \"block\"?"), "{wrong:?}");
    home.run(&["review", "correct", &id, "block"]).ok();
}

#[test]
fn a_dry_run_has_the_mode_that_a_service_would_give() {
    let home = home_with("");
    home.run(&["grant", "allow", "collect", "--mode", "automated"]).ok();
    home.roles("accept_advisory = false");
    home.ingest(&lines([mail("m", &node(7), "hello")])).ok();
    let ran = home.run(&["dryrun", "collect", "--journal", "1"]).ok();
    assert!(ran.stdout.contains("mode=supervised") && ran.stdout.contains("same"), "{ran:?}");
}

#[test]
fn lowering_needs_nothing_and_a_wrong_word_is_named() {
    let home = home_with("");
    home.run(&["recipe", "mode", "collect", "manual"]).ok();
    assert_eq!(mode(&home), "manual");
    home.ingest(&lines([mail("m", &node(7), "hello")])).ok();
    assert_eq!(home.journal()[0]["action_name"], "manual_skip");
    let wrong = home.run(&["recipe", "mode", "collect", "manuel"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("did you mean \"manual\""), "{wrong:?}");
    let unknown = home.run(&["recipe", "mode", "colect", "manual"]);
    assert!(
        unknown.code == 1 && unknown.stderr.contains("did you mean \"collect\""),
        "{unknown:?}"
    );
    let nothing = home.run(&["review", "confirm", "99"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
}
