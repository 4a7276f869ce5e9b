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
