//! A running service reads its home again when it is asked, and says what it took
//! over, what waits for the next start and what it did not take; its health names
//! what holds something back or cannot be used.

use std::time::Duration;

use serde_json::Value;
use thrall_tests::events::{mail, node};
use thrall_tests::guests;
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::{TestHome, full_grant};
use thrall_tests::wait_for::wait_for;

const LOG_ALL: &str =
    "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ndefault_action = \"log\"\n";

fn get(home: &TestHome, method: &str, path: &str) -> Value {
    send(&At::Socket(home.path("run/operator.sock")), method, path, &[], b"").unwrap().body
}

fn wait_for_problem(home: &TestHome, words: &str) {
    wait_for(words, Duration::from_secs(20), || {
        get(home, "GET", "/health")["problems"].to_string().contains(words).then_some(())
    });
}

#[test]
fn a_reload_says_what_became_of_it() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let alone = home.run(&["reload"]);
    assert_eq!(alone.code, 1, "{alone:?}");
    assert!(alone.stderr.contains("no service is running"), "{alone:?}");

    let _serving = Serving::ready(home.spawn(&["serve"]));
    let nothing = home.run(&["reload"]).ok();
    assert!(nothing.stderr.contains("nothing is different"), "{nothing:?}");

    let before = std::fs::read_to_string(home.path("thrall.toml")).unwrap();
    home.write("thrall.toml", format!("dry_run = true\ntick_interval_s = 7\n{before}"));
    let read = home.run(&["reload", "--json"]).ok().json();
    assert_eq!(read["taken_over"], serde_json::json!(["thrall.toml: dry_run"]), "{read}");
    assert_eq!(read["needs_restart"], serde_json::json!(["thrall.toml: tick_interval_s"]));
    assert!(get(&home, "GET", "/health")["switches"].to_string().contains("dry_run = true"));
    assert!(home.run(&["status"]).ok().stdout.contains("dry_run = true"));

    home.write("thrall.toml", format!("enabeld = false\n{before}"));
    let refused = home.run(&["reload"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("did you mean \"enabled\""), "{refused:?}");
    let answer = get(&home, "POST", "/thrall/reload");
    assert!(answer["problems"].to_string().contains("enabeld"), "{answer}");
    assert_eq!(answer["recipes"][0]["name"], "log-all", "{answer}");
}

#[test]
fn a_slip_in_a_grant_stops_its_recipe_and_is_told() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(get(&home, "GET", "/health")["recipes_live"], 1);
    let good = std::fs::read_to_string(home.path("grants/log-all.toml")).unwrap();
    home.write("grants/log-all.toml", good.replace("wake = { per_hour", "wake = { per_hours"));
    // The unknown key before the one that it stands for.
    wait_for_problem(&home, "grants/log-all.toml");
    let health = get(&home, "GET", "/health");
    let problems = health["problems"].to_string();
    assert!(problems.contains("log-all does not run"), "{health}");
    let (unknown, lacking) = (problems.find("unknown key"), problems.find("lacks per_hour"));
    assert!(unknown.is_some() && unknown < lacking, "{problems}");
    assert_eq!((&health["status"], &health["recipes_live"]), (&"degraded".into(), &0.into()));
    let said = serving.said().join("\n");
    assert!(said.contains("WARN") && said.contains("per_hours"), "{said}");

    let shown = home.run(&["grant", "show", "log-all"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(shown.stderr.contains("is broken") && !shown.stderr.contains("has no grant"));
    home.write("grants/log-all.toml", good);
    wait_for("health", Duration::from_secs(20), || {
        (get(&home, "GET", "/health")["status"] == "ok").then_some(())
    });
}

#[test]
fn a_rejected_edit_stands_beside_the_revision_that_goes_on() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    home.write("recipes/log-all.toml", "mode = \n");
    wait_for_problem(&home, "recipes/log-all.toml:1");
    let listed = home.run(&["recipe", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["state"], "live", "{listed}");
    let reason = listed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("rejected") && reason.contains("recipes/log-all.toml:1"), "{reason}");
    let served = get(&home, "GET", "/thrall/recipes");
    assert_eq!(served["recipes"][0]["reason"], reason, "{served}");
}

#[test]
fn a_component_of_which_no_copy_can_be_kept_is_a_problem_until_it_can() {
    let home = TestHome::new();
    home.write("recipes/echo.wasm", guests::bytes("echo-hotwire"));
    home.recipe(
        "echo",
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ncomponent = \"echo.wasm\"\nfallback_action = \"log\"\n",
    );
    drop(std::fs::remove_dir_all(home.path("state/components")));
    let in_its_place = home.write("state/components", "");
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let health = get(&home, "GET", "/health");
    assert!(health["problems"].to_string().contains("cannot keep a copy of echo.wasm"), "{health}");
    assert_eq!(health["recipes_live"], 1, "it runs all the same");
    std::fs::remove_file(in_its_place).unwrap();
    home.run(&["reload"]).ok();
    assert_eq!(get(&home, "GET", "/health")["problems"].to_string(), "[]");
    assert_eq!(std::fs::read_dir(home.path("state/components")).unwrap().count(), 1);
}

#[test]
fn a_model_that_a_live_recipe_asks_and_that_is_not_there_is_a_problem() {
    let home = TestHome::new();
    let llm = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"llm\"\nprompt = \"triage\"\nmodel = \"tiny\"\nfallback_action = \"compile\"\n[actions.compile]\n[actions.wake]\n";
    let content = b"a very small model";
    let entry = format!(
        "schema = 1\n[[model]]\nname = \"tiny\"\ndescription = \"small\"\nkind = \"chat\"\narchitecture = \"none\"\nfile = \"tiny.gguf\"\nsize = {}\nsha256 = \"{}\"\ncontext = 512\ndefault = false\nlicence = {{ name = \"none\", url = \"https://example.org\" }}\n[[model.source]]\nkind = \"https\"\nurl = \"https://example.org/tiny.gguf\"\n",
        content.len(),
        thrall::ids::Digest::of(content)
    );
    home.write("models/catalogue.toml", entry);
    home.recipe_under("sorts", llm, &full_grant(llm));
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let problems = get(&home, "GET", "/health")["problems"].to_string();
    assert!(
        problems.contains("thrall model pull tiny") && problems.contains("sorts"),
        "{problems}"
    );

    // Where it is asked for by name it goes into the home, which the service sees.
    let file = home.write("elsewhere.gguf", content);
    home.run(&["model", "pull", "tiny", "--from-file", file.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read(home.path("models/tiny.gguf")).unwrap(), content);
    assert_eq!(get(&home, "GET", "/health")["problems"].to_string(), "[]");
}

#[test]
fn an_operator_is_told_of_a_route_that_is_not_there_and_of_a_trigger_that_is_none() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let missing = get(&home, "GET", "/thrall/recipe");
    assert_eq!(
        missing["detail"],
        "there is no route /thrall/recipe; did you mean /thrall/recipes?"
    );
    let mut wrong = mail("m1", &node(1), "hello");
    wrong["trigger"] = "on_mial".into();
    let lines = format!("{}\n{wrong}\n", mail("m2", &node(2), "hello"));
    let file = home.write("events.jsonl", lines);
    let ran = home.run(&["ingest", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("1 accepted, 0 duplicates, 1 refused"), "{ran:?}");
    assert!(ran.stderr.contains("line 2: ") && ran.stderr.contains("did you mean \"on_mail\""));
    let alone = home.write("alone.jsonl", wrong.to_string());
    let ran = home.run(&["ingest", alone.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("line 1: ") && !ran.stderr.contains("urn:"), "{ran:?}");
}
