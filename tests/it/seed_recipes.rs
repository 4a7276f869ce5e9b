//! Files of the earlier thrall load unchanged.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;

fn fixture(path: &str) -> String {
    std::fs::read_to_string(format!("{}/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_three_example_recipes_load_and_run() {
    let home = TestHome::new();
    home.prompt("triage", fixture("seed-prompts/triage-v3.toml"));
    for name in ["mail-triage", "cluster-probe", "health-check"] {
        home.recipe(name, &fixture(&format!("seed-recipes/{name}.toml")));
    }
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    let states: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [("cluster-probe", "live"), ("health-check", "live"), ("mail-triage", "live")],
        "{list}"
    );

    // Without the model on disk mail is compiled, team mail wakes, and the
    // word that ten such mails or an alarm summon is kept.
    let team = node(0xde);
    home.configure(&format!("[trust_tiers]\nteam = [\"{team}\"]\n"));
    let events = lines([
        mail("t", &team, "lunch?"),
        mail("u1", &node(0xd1), "just some news"),
        mail("u2", &node(0xd2), "the relay is DOWN, this is URGENT"),
        mail("u3", &node(0xd3), "a markdown question"),
    ]);
    home.ingest(&events).ok();
    let by_id = |id: &str| home.journal().into_iter().find(|row| row["envelope_id"] == id).unwrap();
    assert_eq!(
        (&by_id("t")["eval_type"], &by_id("t")["action_name"]),
        (&"bypass".into(), &"summon".into())
    );
    assert_eq!(by_id("u1")["action_name"], "compile");
    assert_eq!(by_id("u2")["action_name"], "compile+summon");
    assert_eq!(by_id("u3")["action_name"], "compile", "DOWN is a word, not a part of one");
    let briefings = std::fs::read_dir(home.path("artifacts")).unwrap().count();
    assert_eq!(briefings, 1);
}

#[test]
fn both_prompts_of_the_earlier_thrall_load() {
    for prompt in ["triage-v2", "triage-v3"] {
        let home = TestHome::new();
        home.prompt("triage", fixture(&format!("seed-prompts/{prompt}.toml")));
        home.recipe("mail-triage", &fixture("seed-recipes/mail-triage.toml"));
        let ran = home.run(&["recipe", "check"]);
        assert_eq!(ran.code, 0, "{prompt}: {ran:?}");
    }
}
