//! From manual to automated: runs are reviewed, and a mode is raised when the
//! operator has seen enough. An agent lowers a mode and never raises one.

use thrall_tests::events::{lines, mail, node};
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
    home.run(&["review", "correct", &id, "wake"]).ok();
    let refused = home.run(&["recipe", "mode", "collect", "automated"]);
    assert!(refused.code == 1 && refused.stderr.contains("corrected"), "{refused:?}");
    let row = home.run(&["review", "list", "--state", "corrected", "--json"]).ok().json();
    assert_eq!(
        (row[0]["correction"].as_str(), row[0]["role"].as_str()),
        (Some("wake"), Some("operator"))
    );
    home.run(&["recipe", "mode", "collect", "automated", "--force"]).ok();
    assert_eq!(mode(&home), "automated");
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
