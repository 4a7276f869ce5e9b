//! Taking the same file in again decides nothing anew.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;

const LOG_ALL: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "log"
"#;

#[test]
fn the_demo_file_twice_is_all_duplicates() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/messages.jsonl");
    let ingest = || {
        let ran = home.run(&["ingest", demo, "--json"]);
        assert_eq!(ran.code, 1, "one line of it is too long: {ran:?}");
        ran.json()
    };
    let first = ingest();
    assert_eq!(first["accepted"], 88, "{first}");
    assert_eq!(first["duplicates"], 1, "{first}");
    assert_eq!(first["refused"], 1, "{first}");
    let rows = home.journal();

    let second = ingest();
    assert_eq!(second["accepted"], 0, "{second}");
    assert_eq!(second["duplicates"], 89, "{second}");
    assert_eq!(second["refused"], 1, "{second}");
    assert_eq!(home.journal(), rows);
}

#[test]
fn one_id_with_other_content_is_a_new_event_and_says_so() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let sender = node(0xd1);
    let first = mail("m1", &sender, "pay 10");
    let other = mail("m1", &sender, "pay 1000");
    let ran = home
        .run_with_input(&["ingest", "-", "--json"], &lines([first.clone(), other, first]))
        .ok()
        .json();
    assert_eq!(
        (&ran["accepted"], &ran["duplicates"], &ran["conflicts"]),
        (&2.into(), &1.into(), &1.into()),
        "{ran}"
    );
    assert_eq!(home.journal().len(), 2);
}

#[test]
fn events_without_an_id_are_told_apart_by_file_and_line() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let mut event = mail("", &node(0xd1), "hello");
    event.as_object_mut().unwrap().remove("id");
    let text = lines([event.clone(), event]);
    assert!(home.ingest(&text).ok().stderr.contains("2 accepted"));
    assert!(home.ingest(&text).ok().stderr.contains("2 duplicates"));
    assert_eq!(home.journal().len(), 2);
}
