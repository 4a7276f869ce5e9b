//! `thrall context show`: what recipes remember is there to be seen until it
//! expires, each in its recipe's name.

use serde_json::{Value, json};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;

fn remembering(key: &str, expires: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\n\
         default_action = \"keep\"\n[actions.keep]\nsteps = [\n\
         {{ type = \"set-context\", key = \"{key}\", value = \"{{{{envelope.body_text}}}}\"{expires} }},\n\
         {{ type = \"set-flag\", key = \"{key}:seen\", value = \"yes\", expires_in_s = 3600 }},\n]\n"
    )
}

fn home() -> TestHome {
    let home = TestHome::new();
    home.write("recipes/notes.toml", remembering("note", ""));
    home.write("recipes/places.toml", remembering("place", ", expires_in_s = 86400"));
    for name in ["notes", "places"] {
        home.run(&["grant", "allow", name, "--mode", "automated"]).ok();
    }
    home.ingest(&lines([
        mail("m1", &node(7), "Oslo"),
        mail("m2", &node(8), "\u{1b}[31mRome\u{202e}"),
    ]))
    .ok();
    home
}

fn show(home: &TestHome, args: &[&str]) -> Value {
    home.run(&[&["context", "show", "--json"], args].concat()).ok().json()
}

fn counts(memories: &Value) -> (usize, usize) {
    (memories["context"].as_array().unwrap().len(), memories["flags"].as_array().unwrap().len())
}

fn assert_shows(home: &TestHome) {
    let all = show(home, &[]);
    assert_eq!(counts(&all), (4, 2), "{all}");
    let keys =
        |list: &str| -> Vec<String> { all[list][0].as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys("context"), ["created_at", "expires_at", "key", "recipe", "session", "value"]);
    assert_eq!(keys("flags"), ["created_at", "expires_at", "key", "recipe", "value"]);

    let places = show(home, &["--recipe", "places"]);
    assert_eq!(counts(&places), (2, 1));
    for value in places["context"].as_array().unwrap() {
        assert_eq!((&value["recipe"], &value["key"]), (&json!("places"), &json!("place")));
        let created = value["created_at"].as_u64().unwrap();
        assert_eq!(value["expires_at"], created + 86_400_000);
    }
    let session = show(home, &["--session", &format!("s-{}", node(7))]);
    assert_eq!(counts(&session), (2, 0), "flags belong to no session: {session}");
    assert!(session["context"].as_array().unwrap().iter().all(|one| one["value"] == "Oslo"));
    assert_eq!(counts(&show(home, &["--limit", "1"])), (1, 1));

    let table = home.run(&["context", "show"]).ok().stdout;
    assert!(table.contains("·[31mRome·") && !table.contains('\u{1b}'), "{table}");
    assert!(table.contains("never") && table.contains("(flag)"), "{table}");
    let wrong = home.run(&["context", "show", "--recipe", "place"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("did you mean \"places\"?"), "{wrong:?}");
}

#[test]
fn what_is_remembered_is_shown_with_and_without_a_service() {
    let home = home();
    assert_shows(&home);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_shows(&home);
}

#[test]
fn what_has_expired_is_not_shown() {
    let home = home();
    let database = rusqlite::Connection::open(home.path("state/thrall.db")).unwrap();
    database.execute("UPDATE context SET expires_at = 1 WHERE namespace = 'places'", []).unwrap();
    database.execute("UPDATE flags SET expires_at = 1", []).unwrap();
    let left = show(&home, &[]);
    assert_eq!(counts(&left), (2, 0), "{left}");
}

#[test]
fn an_agent_reads_it_and_a_source_does_not() {
    let home = home();
    home.configure("[sources.bridge]\ntriggers = [\"on_event\"]\n");
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let ask = |socket: &str, target: &str| {
        send(&At::Socket(home.path(&format!("run/{socket}.sock"))), "GET", target, &[], b"")
            .unwrap()
    };
    let read = ask("agent", "/thrall/context?recipe=notes&limit=1");
    assert_eq!((read.status, counts(&read.body)), (200, (1, 1)), "{read:?}");
    assert_eq!(ask("agent", "/thrall/context?recpie=notes").status, 400);
    assert_eq!(ask("source-bridge", "/thrall/context").status, 404);
}
