//! The agent's folder is its own to write, and nothing in it leads out: links,
//! folders in the place of files, names that are somebody else's.

use std::os::unix::fs::symlink;
use std::time::Duration;

use thrall_tests::http::{At, send};
use thrall_tests::operators_things;
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

#[test]
fn nothing_in_recipes_leads_out_of_it() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    // A grant whose recipe is not there, bound to one that the agent has not got.
    let bound = format!(
        "recipe = \"sha256:{}\"\nmode = \"automated\"\nimports = [\"model\"]\n",
        "ab".repeat(32)
    );
    home.write("grants/operators-own.toml", &bound);
    home.write("outside.toml", LOG_ALL);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let before = operators_things::of(&home);
    let agent = At::Socket(home.path("run/agent.sock"));

    let recipes = home.path("recipes");
    symlink("../grants/log-all.toml", recipes.join("soft-grant.toml")).unwrap();
    symlink(home.path("outside.toml"), recipes.join("soft-outside.toml")).unwrap();
    symlink("../state/thrall.db", recipes.join("soft-state.wasm")).unwrap();
    symlink("../grants", recipes.join("soft-folder.toml")).unwrap();
    symlink("nowhere", recipes.join("soft-nowhere.toml")).unwrap();
    std::fs::hard_link(home.path("grants/log-all.toml"), recipes.join("hard-grant.toml")).unwrap();
    std::fs::create_dir(recipes.join("folder.toml")).unwrap();
    std::fs::write(recipes.join("folder.toml/log-all.toml"), LOG_ALL).unwrap();
    std::fs::write(recipes.join("operators-own.toml"), LOG_ALL).unwrap();
    std::fs::write(recipes.join("LOG-ALL.toml"), LOG_ALL).unwrap();
    std::fs::write(recipes.join("log-all.toml.toml"), LOG_ALL).unwrap();
    for (name, component) in [
        ("by-state", "../state/thrall.db"),
        ("by-slash", "soft-state.wasm/"),
        ("by-link", "soft-state.wasm"),
        ("by-grants", "../grants/log-all.toml"),
    ] {
        let recipe = LOG_ALL.replace(
            "type = \"hotwire\"",
            &format!("type = \"hotwire\"\ncomponent = \"{component}\""),
        );
        std::fs::write(recipes.join(format!("{name}.toml")), recipe).unwrap();
    }
    symlink("../grants/log-all.toml", recipes.join(".reload")).unwrap();

    let answer = send(&agent, "POST", "/thrall/reload", &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let listed = answer.body["recipes"].as_array().unwrap().clone();
    let live: Vec<_> = listed
        .iter()
        .filter(|recipe| recipe["state"] == "live")
        .map(|recipe| recipe["name"].as_str().unwrap())
        .collect();
    assert_eq!(live, ["log-all"], "{listed:#?}");
    let state = |name: &str| {
        let recipe = listed.iter().find(|recipe| recipe["name"] == name);
        let recipe = recipe.unwrap_or_else(|| panic!("{name} in {listed:#?}"));
        (
            recipe["state"].as_str().unwrap().to_owned(),
            recipe["reason"].as_str().unwrap().to_owned(),
        )
    };
    for name in ["soft-grant", "soft-outside", "soft-folder", "soft-nowhere", "folder"] {
        let (word, reason) = state(name);
        assert_eq!(word, "rejected", "{name}");
        assert!(reason.contains("not a plain file"), "{name}: {reason}");
    }
    for name in ["hard-grant", "by-state", "by-slash", "by-link", "by-grants"] {
        assert_eq!(state(name).0, "rejected", "{name}: {}", state(name).1);
    }
    assert_eq!(state("operators-own").0, "suspended", "a grant for another recipe of this name");

    wait_for("the sentinel to be taken", Duration::from_secs(20), || {
        std::fs::symlink_metadata(recipes.join(".reload")).is_err().then_some(())
    });
    for entry in std::fs::read_dir(&recipes).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "log-all.toml") {
            if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    assert_eq!(send(&agent, "POST", "/thrall/reload", &[], b"").unwrap().status, 200);
    operators_things::assert_unchanged(&before, &home);
}
