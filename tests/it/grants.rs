//! What the operator grants, through the whole program: nothing without a
//! grant, nothing beyond it, denials that can be pasted, and a granted revision
//! that goes on when its file changes.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const WAKES: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"wake\"\n[actions.wake]\n[actions.compile]\n";
const LOGS: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

fn listed(home: &TestHome, name: &str) -> Value {
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    list.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
}

/// Takes one mail in and gives its trace.
fn decide(home: &TestHome, id: &str) -> Value {
    home.ingest(&lines([mail(id, &node(0xd1), "hello")])).ok();
    home.run(&["explain", id, "--json"]).ok().json()[0]["runs"][0][1].clone()
}

fn operations(trace: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    trace["action"]["operations"]
        .as_array()
        .unwrap_or_else(|| panic!("{trace}"))
        .iter()
        .map(|one| (text(&one["type"]), text(&one["denied_by"])))
        .collect()
}

#[test]
fn without_a_grant_nothing_runs_and_with_one_what_it_says() {
    let home = TestHome::new();
    home.write("recipes/x.toml", WAKES);
    home.ingest(&lines([mail("m0", &node(0xd1), "hello")])).ok();
    assert!(home.journal().is_empty());
    assert_eq!(listed(&home, "x")["reason"], "needs grant: thrall grant allow x");

    home.recipe_under("x", WAKES, "mode = \"automated\"\n");
    let denied = operations(&decide(&home, "m1"));
    let line = "wake = { per_hour = 1 }  # grants/x.toml, [operations]";
    assert_eq!(denied, [("wake".to_owned(), line.to_owned())]);

    // As it stands, pasted under its table, it is enough.
    home.recipe_under("x", WAKES, &format!("mode = \"automated\"\n[operations]\n{line}\n"));
    assert_eq!(operations(&decide(&home, "m2")), [("wake".to_owned(), String::new())]);

    home.run(&["grant", "revoke", "x"]).ok();
    home.ingest(&lines([mail("m3", &node(0xd1), "hello")])).ok();
    assert_eq!(home.journal().len(), 2, "revoked at once");
    let history = home.run(&["grant", "history", "x", "--json"]).ok().json();
    assert_eq!(history.as_array().unwrap().len(), 3, "{history}");
    assert_eq!(history[0]["content"], "");
}

#[test]
fn more_than_the_hour_allows_is_collected_instead() {
    let home = TestHome::new();
    let grant = "mode = \"automated\"\n[operations]\nwake = { per_hour = 2 }\ncompile = { buffers = [\"default\"] }\n";
    home.recipe_under("x", WAKES, grant);
    let known: Vec<String> = (0..4).map(|n| format!("\"{}\"", node(0xd0 + n))).collect();
    home.configure(&format!("[trust_tiers]\nknown = [{}]\n", known.join(", ")));
    let mails = (0..4).map(|n| mail(&format!("m{n}"), &node(0xd0 + n), "hello"));
    home.ingest(&lines(mails)).ok();
    let mut names: Vec<String> =
        home.journal().iter().map(|row| row["action_name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["rate_limited", "rate_limited", "summon", "summon"]);
    let waiting: i64 =
        home.database().query_row("SELECT count(*) FROM buffers", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 2, "nothing is lost");
    let denied = home.database().query_row(
        "SELECT count(*) FROM traces WHERE body LIKE '%wake = { per_hour = 3 }%(2 in the last hour)%'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(denied.unwrap(), 2);
}

#[test]
fn an_edit_that_widens_waits_and_the_granted_revision_goes_on_after_a_restart() {
    let home = TestHome::new();
    home.recipe_under("x", LOGS, "mode = \"automated\"\n");
    decide(&home, "m0");
    home.write("recipes/x.toml", WAKES);
    let trace = decide(&home, "m1");
    assert_eq!(trace["action"]["name"], "log");
    let row = listed(&home, "x");
    assert_eq!(row["state"], "live");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.contains("it widens") && reason.contains("# grants/x.toml, [operations]"),
        "{row}"
    );
    // Inside the grant it is followed without anybody.
    home.write("recipes/x.toml", LOGS.replace("\"log\"", "\"drop\""));
    assert_eq!(decide(&home, "m2")["action"]["name"], "drop");
    home.write("recipes/x.toml", "mode = ");
    assert_eq!(decide(&home, "m3")["action"]["name"], "drop", "broken, and restarted");

    let history = home.run(&["recipe", "history", "x", "--json"]).ok().json();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history}");
    home.run(&["recipe", "rollback", "x", history[1]["revision"].as_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(home.path("recipes/x.toml")).unwrap(), LOGS);
    assert_eq!(decide(&home, "m4")["action"]["name"], "log");
    assert_eq!(home.run(&["recipe", "rollback", "x", "ffff"]).code, 1);
}

#[test]
fn another_component_under_the_same_name_waits() {
    let home = TestHome::new();
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ncomponent = \"x.wasm\"\nfallback_action = \"log\"\n";
    home.write("recipes/x.wasm", guests::bytes("names-undeclared"));
    home.recipe_under("x", recipe, "mode = \"automated\"\n");
    let before = decide(&home, "m0")["recipe"]["revision"].clone();
    home.write("recipes/x.wasm", guests::bytes("traps"));
    assert_eq!(decide(&home, "m1")["recipe"]["revision"], before, "the granted one goes on");
    let row = listed(&home, "x");
    assert!(row["reason"].as_str().unwrap().contains("thrall grant allow x"), "{row}");
    home.run(&["grant", "allow", "x"]).ok();
    assert_ne!(decide(&home, "m2")["recipe"]["revision"], before);
}

#[test]
fn a_grant_that_others_may_write_is_none() {
    let home = TestHome::new();
    home.recipe_under("x", LOGS, "mode = \"automated\"\n");
    let file = home.path("grants/x.toml");
    let set = |mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (mode, what) in [(0o646, "everybody may write it"), (0o664, "group")] {
        set(mode);
        let row = listed(&home, "x");
        assert_eq!(row["state"], "suspended", "{mode:o}");
        assert!(row["reason"].as_str().unwrap().contains(what), "{row}");
    }
    set(0o644);
    assert_eq!(listed(&home, "x")["state"], "live");
    let folder = home.path("grants");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(listed(&home, "x")["reason"].as_str().unwrap().contains("of the folder grants/"));
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    if std::os::unix::fs::chown(&file, Some(65534), None).is_ok() {
        let reason = listed(&home, "x")["reason"].clone();
        assert!(reason.as_str().unwrap().contains("belongs to user 65534"), "{reason}");
    } else {
        eprintln!("SKIPPED: only root can give a grant to another user");
    }
}

#[test]
fn a_plan_is_what_the_events_needed_and_granting_it_is_enough() {
    let home = TestHome::new();
    home.recipe_under("watch", LOGS, "mode = \"automated\"\n");
    let mails = (0..3).map(|n| mail(&format!("m{n}"), &node(0xd0 + n), "hello"));
    home.ingest(&lines(mails)).ok();
    home.write("recipes/x.toml", WAKES);
    let plan = home.run(&["grant", "plan", "x", "--json"]).ok().json();
    assert_eq!(plan["events"], 3);
    let added = plan["added"].to_string();
    assert!(added.contains("wake = { per_hour = 3 }"), "{plan}");
    assert!(!added.contains("compile"), "not needed: {plan}");
    assert!(plan["declared_only"].to_string().contains("compile"), "{plan}");
    assert_eq!(home.journal().len(), 3, "nothing was performed");
    assert!(!home.path("grants/x.toml").exists());

    home.run(&["grant", "allow", "x", "--planned", "--mode", "automated"]).ok();
    home.ingest(&lines([mail("m9", &node(0xd9), "hello")])).ok();
    let rows = home.journal();
    let woken = rows.iter().filter(|row| row["recipe"] == "x" && row["action_name"] == "summon");
    assert_eq!(woken.count(), 1, "{rows:?}");
    let bad = home.run(&["grant", "allow", "x", "--mode", "automatic"]);
    assert!(bad.code == 2 && bad.stderr.contains("automated"), "{bad:?}");
}

#[test]
fn without_an_event_there_is_no_plan_and_none_is_granted() {
    let home = TestHome::new();
    home.write("recipes/x.toml", WAKES);
    let plan = home.run(&["grant", "plan", "x"]);
    assert_eq!(plan.code, 1, "{plan:?}");
    assert!(plan.stderr.contains("nothing to go by"), "{plan:?}");
    assert!(plan.stderr.contains("thrall grant allow x --recipe sha256:"), "{plan:?}");
    assert!(!plan.stderr.contains("--planned") && !plan.stdout.contains("---"), "{plan:?}");
    let said: Vec<&str> = plan.stdout.lines().collect();
    assert!(said.iter().any(|line| line.starts_with("declared: wake")), "{plan:?}");
    assert!(said.iter().enumerate().all(|(n, line)| !said[..n].contains(line)), "{plan:?}");

    let planned = home.run(&["grant", "allow", "x", "--planned"]);
    assert_eq!(planned.code, 1, "{planned:?}");
    assert!(!home.path("grants/x.toml").exists());

    // What a plan shows is what is written, the mode included.
    home.recipe_under("watch", LOGS, "mode = \"automated\"\n");
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    let plan = home.run(&["grant", "plan", "x", "--json"]).ok().json();
    home.run(&["grant", "allow", "x", "--planned"]).ok();
    let written = std::fs::read_to_string(home.path("grants/x.toml")).unwrap();
    assert_eq!(plan["grant"].as_str().unwrap().trim(), written.trim());
    assert!(written.contains("mode = \"supervised\""), "{written}");
}

/// A recipe that emits what `operations` lists, in TOML.
fn emitting(operations: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"act\"\n[actions.act]\ncomponent = \"emits.wasm\"\ntemplate = \"Thank you, {{{{envelope.msg_type}}}}.\"\n[config]\noperations = [{operations}]\n"
    )
}

#[test]
fn operations_are_held_against_their_bounds() {
    let other = node(0xee);
    // Operation, the bounds under which it is denied, and those under which it is not.
    let cases = [
        (
            "{ type = \"compile\", buffer = \"b\" }".to_owned(),
            "compile = { buffers = [\"a\"] }".to_owned(),
            "compile = { buffers = [\"b\"] }".to_owned(),
        ),
        (
            "{ type = \"reply\", body = \"free words\" }".to_owned(),
            "reply = { to = \"sender\", body = \"template\", per_hour = 9 }".to_owned(),
            "reply = { to = \"sender\", body = \"any\", per_hour = 9 }".to_owned(),
        ),
        (
            "{ type = \"reply\", body = \"Thank you, text.\" }".to_owned(),
            "wake = { per_hour = 1 }".to_owned(),
            "reply = { to = \"sender\", body = \"template\", per_hour = 9 }".to_owned(),
        ),
        (
            format!("{{ type = \"mail\", to_node = \"{other}\", body_json = \"{{}}\" }}"),
            format!("mail = {{ nodes = [\"{}\"], per_hour = 9 }}", node(0xaa)),
            format!("mail = {{ nodes = [\"{other}\"], per_hour = 9 }}"),
        ),
        (
            "{ type = \"skill\", skill = \"s\", input_json = '{\"a\": \"x\"}' }".to_owned(),
            "skill = { s = { input = { a = [\"y\"] }, max_input_bytes = 99 } }".to_owned(),
            "skill = { s = { input = { a = [\"x\"] }, max_input_bytes = 99 } }".to_owned(),
        ),
        (
            "{ type = \"skill\", skill = \"s\", input_json = '{\"a\": \"x\", \"b\": 1}' }"
                .to_owned(),
            "skill = { s = { input = { a = [\"x\"] }, max_input_bytes = 99 } }".to_owned(),
            "skill = { s = { input = { a = [\"x\"], b = [\"1\"] }, max_input_bytes = 99 } }"
                .to_owned(),
        ),
        (
            "{ type = \"set-context\", session = \"other\", key = \"k\", value = \"v\" }"
                .to_owned(),
            "set-context = { scope = \"session\" }".to_owned(),
            "set-context = { scope = \"all\" }".to_owned(),
        ),
        (
            "{ type = \"set-flag\", key = \"oom:n\", value = \"v\" }".to_owned(),
            "set-flag = { prefixes = [\"b:\"] }".to_owned(),
            "set-flag = { prefixes = [\"oom:\"] }".to_owned(),
        ),
        (
            "{ type = \"trip-breaker\", target = \"y\" }".to_owned(),
            "trip-breaker = { targets = [\"z\"] }".to_owned(),
            "trip-breaker = { targets = [\"y\"] }".to_owned(),
        ),
        (
            "{ type = \"trigger\", trigger = \"next\" }".to_owned(),
            "trigger = { kinds = [\"last\"] }".to_owned(),
            "trigger = { kinds = [\"next\"] }".to_owned(),
        ),
    ];
    let home = TestHome::new();
    home.write("recipes/emits.wasm", guests::bytes("emits-anything"));
    for (index, (operation, narrow, wide)) in cases.iter().enumerate() {
        for (bounds, is_allowed) in [(narrow, false), (wide, true)] {
            let recipe = emitting(operation);
            let grant = format!("mode = \"automated\"\n[operations]\n{bounds}\n");
            home.recipe_under("x", &recipe, &grant);
            let trace = decide(&home, &format!("m{index}-{is_allowed}"));
            let planned = operations(&trace);
            assert_eq!(planned.len(), 1, "{operation}: {trace}");
            assert_eq!(
                planned[0].1.is_empty(),
                is_allowed,
                "{operation} under {bounds}: {planned:?}"
            );
        }
    }
    // No grant can allow these.
    for (operation, why) in [
        ("{ type = \"extension\", code = \"c\", input_json = \"{}\" }", "knows no extension"),
        (
            "{ type = \"trigger\", trigger = \"next\", fields = [{ name = \"from_node\", value = \"x\" }] }",
            "from_node",
        ),
        (
            "{ type = \"trigger\", trigger = \"next\", fields = [{ name = \"host.x\", value = \"x\" }] }",
            "host.x",
        ),
        ("{ type = \"skill\", skill = \"s\", input_json = \"[]\" }", "JSON object"),
    ] {
        let grant = "mode = \"automated\"\n[operations]\ntrigger = { kinds = [\"next\"] }\nskill = { s = { max_input_bytes = 99 } }\n";
        home.recipe_under("x", &emitting(operation), grant);
        let trace = decide(&home, &format!("never-{why}"));
        assert!(operations(&trace)[0].1.contains(why), "{operation}: {trace}");
    }
}

/// A recipe that asks what `calls` lists.
fn asking(calls: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ncomponent = \"asks.wasm\"\n[config]\ncalls = [{calls}]\n"
    )
}

fn answers(trace: &Value) -> String {
    trace["evaluate"]["result"]["reason"].as_str().unwrap_or_else(|| panic!("{trace}")).to_owned()
}

#[test]
fn questions_are_held_against_their_bounds_and_every_refusal_is_recorded() {
    let home = TestHome::new();
    home.write("recipes/asks.wasm", guests::bytes("asks-anything"));
    let session = format!("s-{}", node(0xd1));
    // Question, import, narrow reads, wide reads.
    let cases = [
        (
            "{ call = \"journal-read.count\", recipe = \"other\" }",
            "journal-read",
            "journal = { scope = \"own\" }",
            "journal = { scope = \"sender\" }",
        ),
        (
            "{ call = \"context-read.get\", session = \"another\", key = \"k\" }",
            "context-read",
            "context = { scope = \"session\" }",
            "context = { scope = \"all\" }",
        ),
        (
            "{ call = \"context-read.flag\", key = \"oom:n\" }",
            "context-read",
            "flags = { prefixes = [\"b:\"] }",
            "flags = { prefixes = [\"oom:\"] }",
        ),
        (
            "{ call = \"cockpit-read.get\", route = \"status\", params = \"{}\" }",
            "cockpit-read",
            "cockpit = { routes = [\"peers\"] }",
            "cockpit = { routes = [\"status\"] }",
        ),
        (
            "{ call = \"model.classify\", prompt = \"no-such\", label_set = \"no-such\", text = \"x\" }",
            "model",
            "model = { prompts = [\"triage\"], models = [\"*\"] }",
            "model = { prompts = [\"no-such\"], models = [\"*\"] }",
        ),
        (
            "{ call = \"model.embed\", text = \"x\" }",
            "model",
            "model = { prompts = [\"*\"], models = [\"gemma3-270m\"] }",
            "model = { prompts = [], models = [\"all-minilm-l6-v2\"] }",
        ),
    ];
    for (index, (call, import, narrow, wide)) in cases.iter().enumerate() {
        let grants = [
            (format!("[reads]\n{wide}\n"), true),
            (format!("imports = [\"{import}\"]\n[reads]\n{narrow}\n"), true),
            (format!("imports = [\"{import}\"]\n[reads]\n{wide}\n"), false),
        ];
        for (round, (grant, is_denied)) in grants.iter().enumerate() {
            home.recipe_under("x", &asking(call), &format!("mode = \"automated\"\n{grant}"));
            let trace = decide(&home, &format!("m{index}-{round}"));
            let said = answers(&trace);
            assert_eq!(said.contains("denied: "), *is_denied, "{call} under {grant}: {said}");
            assert!(!*is_denied || said.contains("grants/x.toml"), "{said}");
            let call = trace["host_calls"].as_array().unwrap();
            assert_eq!(call.len(), 1, "{trace}");
        }
    }
    // The event's own session needs no wider scope.
    let own =
        asking(&format!("{{ call = \"context-read.get\", session = \"{session}\", key = \"k\" }}"));
    home.recipe_under("x", &own, "mode = \"automated\"\nimports = [\"context-read\"]\n");
    assert!(!answers(&decide(&home, "own")).contains("denied"));

    let flood = asking("{ call = \"context-read.flag\", key = \"k\", times = 9 }");
    let grant =
        "mode = \"automated\"\nimports = [\"context-read\"]\n[budget]\nhost_calls_per_run = 4\n";
    home.recipe_under("x", &flood, grant);
    let said = answers(&decide(&home, "flood"));
    assert!(
        said.contains("(times 4)") && said.contains("budget: host_calls_per_run = 4"),
        "{said}"
    );
}

#[test]
fn the_same_component_under_two_names_has_two_grants_and_two_memories() {
    let home = TestHome::new();
    home.write("recipes/asks.wasm", guests::bytes("asks-anything"));
    let recipe = asking("{ call = \"context-read.flag\", key = \"k\" }");
    home.recipe_under("may", &recipe, "mode = \"automated\"\nimports = [\"context-read\"]\n");
    home.recipe_under("may-not", &recipe, "mode = \"automated\"\n");
    let sets = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"set-flag\"\n[actions.set-flag]\nkey = \"k\"\nvalue = \"mine\"\n";
    let grant = "mode = \"automated\"\n[operations]\nset-flag = { prefixes = [\"k\"] }\n";
    home.recipe_under("a-setter", sets, grant);
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    let reason = |name: &str| {
        let rows = home.journal();
        let row = rows.iter().rev().find(|row| row["recipe"] == name).unwrap().clone();
        row["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("may").contains("none"), "its own memory is empty: {}", reason("may"));
    assert!(reason("may-not").contains("denied"), "{}", reason("may-not"));

    // Shared on both sides it is one memory.
    home.recipe_under("a-setter", sets, &format!("shared = [\"flags\"]\n{grant}"));
    let shared = "mode = \"automated\"\nimports = [\"context-read\"]\nshared = [\"flags\"]\n[reads]\nflags = { prefixes = [\"k\"] }\n";
    home.recipe_under("may", &recipe, shared);
    home.ingest(&lines([mail("m2", &node(0xd2), "hello")])).ok();
    assert!(reason("may").contains("mine"), "{}", reason("may"));
}

#[test]
fn a_triggered_run_can_do_no_more_than_what_triggered_it() {
    let home = TestHome::new();
    let parent = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"trigger\"\n[actions.trigger]\ntrigger = \"next\"\n";
    let child = "mode = \"automated\"\n[trigger]\ntype = \"on_action\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"wake\"\n[actions.wake]\n";
    let wake = "[operations]\nwake = { per_hour = 9 }\n";
    let trigger = "mode = \"automated\"\n[operations]\ntrigger = { kinds = [\"next\"] }\n";
    home.recipe_under("child", child, &format!("mode = \"automated\"\n{wake}"));
    home.recipe_under("parent", parent, trigger);
    let of_child = |home: &TestHome, id: &str| {
        home.ingest(&lines([mail(id, &node(0xd1), "hello")])).ok();
        let story = home.run(&["explain", id, "--json"]).ok().json()[0].clone();
        let next =
            story["triggered"][0]["id"].as_str().unwrap_or_else(|| panic!("{story}")).to_owned();
        operations(&home.run(&["explain", &next, "--json"]).ok().json()[0]["runs"][0][1])
    };
    let denied = of_child(&home, "m1");
    assert!(denied[0].1.contains("grants/parent.toml"), "{denied:?}");
    home.recipe_under("parent", parent, &format!("{trigger}wake = {{ per_hour = 9 }}\n"));
    assert_eq!(of_child(&home, "m2"), [("wake".to_owned(), String::new())]);
}

#[test]
fn the_hour_of_what_triggered_counts_what_it_led_to() {
    let home = TestHome::new();
    let four = "{ type = \"trigger\", trigger = \"next\" }, ".repeat(4);
    let parent = format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"many\"\n[actions.many]\nsteps = [{four}]\n"
    );
    let child = WAKES.replace("on_mail", "on_action").replace("[actions.compile]\n", "");
    home.recipe_under(
        "child",
        &child,
        "mode = \"automated\"\n[operations]\nwake = { per_hour = 100 }\n",
    );
    let grant = "mode = \"automated\"\n[operations]\ntrigger = { kinds = [\"next\"] }\nwake = { per_hour = 1 }\n";
    home.recipe_under("parent", &parent, grant);
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    let wakes: i64 = home
        .database()
        .query_row("SELECT count(*) FROM outbox WHERE kind = 'wake'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(wakes, 1);
}

#[test]
fn a_flush_and_a_wake_of_one_plan_are_two_wakes() {
    let home = TestHome::new();
    let steps = "{ type = \"compile\", summon_threshold = 1 }, { type = \"wake\" }";
    let both = format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"both\"\n[actions.both]\nsteps = [{steps}]\n"
    );
    let grant = "mode = \"automated\"\n[operations]\ncompile = { buffers = [\"default\"] }\nwake = { per_hour = 1 }\n";
    home.recipe_under("x", &both, grant);
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    let count =
        |sql: &str| -> i64 { home.database().query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM outbox WHERE kind = 'wake'"), 1);
    assert_eq!(
        count("SELECT count(*) FROM buffers WHERE flush_id IS NULL"),
        1,
        "it waits for its timer"
    );
}

#[test]
fn init_gives_no_grant_to_a_recipe_that_is_not_the_shipped_one() {
    let home = TestHome::shipped();
    home.run(&["grant", "revoke", "mail-triage"]).ok();
    home.write("recipes/mail-triage.toml", WAKES);
    let again = home.run(&["init"]).ok();
    assert!(again.stderr.contains("gets no grant"), "{again:?}");
    assert!(!home.path("grants/mail-triage.toml").exists());
}

#[test]
fn what_a_sender_writes_never_stands_for_what_a_filter_injects() {
    let home = TestHome::new();
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[filter.inject]\nother = \"x\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n[[evaluate.rules]]\nfield = \"inject.other\"\npattern = \"yes\"\naction = \"wake\"\n[actions.wake]\n";
    home.recipe("x", recipe);
    let mut event = mail("m1", &node(0xd1), "hello");
    event["fields"]["inject.other"] = "yes".into();
    home.ingest(&lines([event])).ok();
    assert_eq!(home.journal()[0]["action"], "log");
}

#[test]
fn a_stale_look_at_a_recipe_grants_nothing() {
    let home = TestHome::new();
    home.write("recipes/x.toml", WAKES);
    let plan = home.run(&["grant", "plan", "x", "--json"]).json();
    let seen = plan["revision"].as_str().unwrap();
    home.write("recipes/x.toml", LOGS);
    let stale = home.run(&["grant", "allow", "x", "--recipe", seen]);
    assert!(stale.code == 1 && stale.stderr.contains("look at it again"), "{stale:?}");
    assert!(!home.path("grants/x.toml").exists());
    home.write("recipes/x.toml", WAKES);
    home.run(&["grant", "allow", "x", "--recipe", seen]).ok();
}

fn post(home: &TestHome, body: &str) -> Option<u16> {
    let mut stream = UnixStream::connect(home.path("run/operator.sock")).ok()?;
    let head = format!(
        "POST /thrall/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_revision_that_fails_for_three_senders_gives_way_to_the_last_good_one() {
    let home = TestHome::new();
    let good = LOGS
        .replace("default_action = \"log\"", "component = \"x.wasm\"\nfallback_action = \"log\"");
    home.write("recipes/x.wasm", guests::bytes("names-undeclared"));
    home.recipe_under("x", &good, "mode = \"automated\"\n");
    decide(&home, "m0");
    home.write("recipes/x.wasm", guests::bytes("traps"));
    home.run(&["grant", "allow", "x"]).ok();
    let mut served = home.spawn(&["serve"]);
    for n in 0..40u8 {
        let event = mail(&format!("t{n}"), &node(0xd0 + n % 3), "hello").to_string();
        wait_for("the service", Duration::from_secs(60), || {
            (post(&home, &event) == Some(202)).then_some(())
        });
        let state = listed(&home, "x");
        if state["reason"].as_str().unwrap_or_default().contains("tripped") {
            break;
        }
    }
    let state = wait_for("the trip", Duration::from_secs(20), || {
        let row = listed(&home, "x");
        row["reason"].as_str()?.contains("tripped").then_some(row)
    });
    assert_eq!(state["state"], "live", "{state}");
    served.kill().unwrap();
    served.wait().unwrap();
    // Also after a restart, until it is granted anew.
    let trace = decide(&home, "after");
    assert!(trace.get("faults").is_none(), "{trace}");
    home.run(&["grant", "allow", "x"]).ok();
    assert_eq!(decide(&home, "again")["faults"][0][1], "trapped");
}

#[test]
fn a_budget_of_a_day_outlives_a_restart_real_model() {
    let home = TestHome::new();
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"llm\"\nprompt = \"triage\"\nfallback_action = \"log\"\n[actions.compile]\n[actions.wake]\n[actions.reply]\ntemplate = \"hi\"\n";
    let grant = "mode = \"automated\"\nimports = [\"model\"]\n[reads]\nmodel = { prompts = [\"triage\"], models = [\"*\"] }\n[operations]\nwake = { per_hour = 9 }\ncompile = { buffers = [\"default\"] }\nreply = { to = \"sender\", body = \"template\", per_hour = 9 }\n[budget]\nmodel_calls_per_day = 1\n";
    home.recipe_under("x", recipe, grant);
    let first = decide(&home, "m1");
    assert!(first["host_calls"][0]["answer"].to_string().contains("classification"), "{first}");
    let second = decide(&home, "m2");
    assert_eq!(second["evaluate"]["type"], "fallback", "{second}");
    assert!(
        second["evaluate"]["notes"].to_string().contains("model_calls_per_day = 1"),
        "{second}"
    );
}
