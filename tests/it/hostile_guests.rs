//! Components that loop, allocate, recurse, trap or answer nonsense, through
//! the whole program: a named failure, the event decided by the fallback, and
//! the next event decided as if nothing had happened.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;

fn recipe(component: &str) -> String {
    format!(
        r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
component = "{component}.wasm"
fallback_action = "compile"
[actions.compile]
"#
    )
}

#[test]
fn each_hostile_hotwire_fails_by_name_and_the_fallback_decides() {
    let cases = [
        ("loops-forever", "out-of-fuel"),
        ("allocates-forever", "out-of-memory"),
        ("recurses", "trapped"),
        ("traps", "trapped"),
        ("returns-100mb", "out-of-memory|bad-answer|trapped|out-of-fuel"),
    ];
    let home = TestHome::new();
    for (guest, _) in cases {
        home.write(&format!("recipes/{guest}.wasm"), guests::bytes(guest));
        home.recipe(guest, &recipe(guest));
    }
    home.recipe("honest", "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"drop\"\n");
    home.ingest(&lines([mail("m1", &node(0xd1), "one"), mail("m2", &node(0xd2), "two")])).ok();
    let rows = home.journal();
    for (guest, faults) in cases {
        let of_guest: Vec<_> = rows.iter().filter(|row| row["recipe"] == guest).collect();
        assert_eq!(of_guest.len(), 2, "{guest}");
        for row in of_guest {
            assert_eq!(
                (&row["action"], &row["eval_type"]),
                (&"compile".into(), &"fallback".into()),
                "{row}"
            );
            let reason = row["reason"].as_str().unwrap();
            assert!(
                faults.split('|').any(|fault| reason.contains(fault)),
                "{guest} fails by name: {reason}"
            );
        }
    }
    assert_eq!(
        rows.iter().filter(|row| row["recipe"] == "honest" && row["action"] == "drop").count(),
        2
    );
}

#[test]
fn a_component_of_an_unknown_import_suspends_its_recipe_only() {
    let home = TestHome::new();
    home.write("recipes/unknown-import.wasm", guests::bytes("unknown-import"));
    home.recipe("stranger", &recipe("unknown-import"));
    home.recipe("honest", "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"drop\"\n");
    home.ingest(&lines([mail("m1", &node(0xd1), "one")])).ok();
    assert_eq!(home.journal().len(), 1);
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    let stranger = list.as_array().unwrap().iter().find(|row| row["name"] == "stranger").unwrap();
    assert_eq!(stranger["state"], "rejected", "{stranger}");
    assert!(stranger["reason"].as_str().unwrap().contains("import"), "{stranger}");
}

#[test]
fn an_action_with_too_many_operations_performs_none() {
    let home = TestHome::new();
    home.write("recipes/thirty-three-operations.wasm", guests::bytes("thirty-three-operations"));
    home.recipe(
        "flood",
        r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "flood"
fallback_action = "log"
[actions.flood]
component = "thirty-three-operations.wasm"
"#,
    );
    home.ingest(&lines([mail("m1", &node(0xd1), "one")])).ok();
    let id = home.journal()[0]["id"].to_string();
    let shown = home.run(&["journal", "show", &id, "--json"]).ok().json();
    let notes = shown["trace"]["action"]["notes"].to_string();
    assert!(notes.contains("bad-answer") && notes.contains("32"), "{shown}");
    let outbox: i64 =
        home.database().query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap();
    assert_eq!(outbox, 0);
}

/// Calls without end are answered until the budget is spent; the refusals cost
/// the guest's own fuel, and the next event has a budget of its own.
#[test]
fn a_flood_of_host_calls_gets_sixty_four_answers_per_event() {
    let home = TestHome::new();
    home.write("recipes/misbehaves.wasm", guests::bytes("misbehaves"));
    home.recipe(
        "flood",
        &format!(
            "{}\n[actions.log]\n[config]\ndeed = \"call-on\"\ntimes = 100000\n",
            recipe("misbehaves")
        ),
    );
    home.ingest(&lines([mail("m1", &node(0xd1), "one"), mail("m2", &node(0xd2), "two")])).ok();
    let rows = home.journal();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["reason"], "asked 100000 times, refused 99936 times", "{row}");
    }
}

/// A filter can add fields, never set those of the host: what it forges comes
/// to later stages under `inject.`, and the journal names the real sender.
#[test]
fn forged_host_fields_reach_nobody() {
    let home = TestHome::new();
    home.write("recipes/decides-anything.wasm", guests::bytes("decides-anything"));
    home.write("recipes/echo-hotwire.wasm", guests::bytes("echo-hotwire"));
    let (real, forged) = (node(0xd1), node(0xf0));
    let fields: Vec<String> = ["from_node", "to_node", "session_id", "msg_type", "host.tier"]
        .iter()
        .map(|name| format!("{{ name = \"{name}\", value = \"{forged}\" }}"))
        .collect();
    home.recipe(
        "forger",
        &format!(
            r#"
mode = "automated"
[trigger]
type = "on_mail"
[filter]
component = "decides-anything.wasm"
[evaluate]
type = "hotwire"
component = "echo-hotwire.wasm"
[actions.log]
[config]
decision = "inject"
fields = [{}]
"#,
            fields.join(", ")
        ),
    );
    home.ingest(&lines([mail("m1", &real, "one")])).ok();
    let rows = home.journal();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["from_node"], *real, "{}", rows[0]);
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("envelope.from_node={real}")), "{reason}");
    for name in ["from_node", "to_node", "session_id", "msg_type", "host.tier"] {
        assert!(!reason.contains(&format!("envelope.{name}={forged}")), "{reason}");
    }
    assert!(reason.contains(&format!("inject.from_node={forged}")), "{reason}");
}

/// Every kind of operation, from one action, with everything granted that can
/// be: the one that no grant gives is denied, and no forged field of a
/// triggered event is taken for the host's.
#[test]
fn an_operation_that_no_grant_gives_is_denied_by_name() {
    let home = TestHome::new();
    home.write("recipes/emits-anything.wasm", guests::bytes("emits-anything"));
    home.recipe(
        "emits",
        r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "emit"
[actions.emit]
component = "emits-anything.wasm"
[config]
operations = [
  { type = "log", message = "kept" },
  { type = "extension", code = "format-disk", input_json = "{}" },
]
"#,
    );
    home.ingest(&lines([mail("m1", &node(0xd1), "one")])).ok();
    let id = home.journal()[0]["id"].to_string();
    let shown = home.run(&["journal", "show", &id, "--json"]).ok().json();
    let operations = shown["trace"]["action"]["operations"].as_array().unwrap();
    let of = |kind: &str| operations.iter().find(|operation| operation["type"] == kind).unwrap();
    assert!(of("log")["denied_by"].is_null(), "{shown}");
    assert!(!of("extension")["denied_by"].is_null(), "{shown}");
}
