//! What was mistyped is not answered with nothing: commands that look for what
//! cannot be there say so, with the nearest word, and exit status 1.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::{Ran, TestHome};

const COLLECT: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ndefault_action = \"digest\"\n[actions.digest]\ntype = \"compile\"\nbuffer = \"b\"\n";

/// A home with one recipe and one row, on which commands can be mistaken.
fn home() -> TestHome {
    let home = TestHome::new();
    home.write("recipes/mail-triage.toml", COLLECT);
    home.run(&["grant", "allow", "mail-triage", "--mode", "supervised"]).ok();
    home.ingest(&lines([mail("m1", &node(0xd9), "hello")])).ok();
    home
}

fn assert_no(ran: &Ran, words: &str) {
    assert_eq!(ran.code, 1, "{words}: {ran:?}");
    assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    assert!(!ran.stderr.contains("os error"), "{words}: {ran:?}");
}

#[test]
fn a_list_of_what_cannot_be_says_so() {
    let home = home();
    for (args, words) in [
        (&["journal", "list", "--recipe", "mail-triaeg"][..], "did you mean \"mail-triage\"?"),
        (&["journal", "list", "--action", "digset"], "did you mean \"digest\"?"),
        (&["journal", "list", "--action", "wak"], "did you mean \"wake\"?"),
        (&["journal", "list", "--sender", "d9d9"], "did you mean \"d9d9d9d9d9d9d9d9\"?"),
        (&["journal", "show", "m1"], "thrall explain m1"),
        (&["review", "list", "--recipe", "mail-triaeg"], "did you mean \"mail-triage\"?"),
        (&["review", "correct", "1", "digset"], "did you mean \"digest\"?"),
        (&["recipe", "history", "mail-triaeg"], "did you mean \"mail-triage\"?"),
        (&["recipe", "rollback", "mail-triaeg"], "did you mean \"mail-triage\"?"),
        (&["grant", "history", "nosuch"], "no recipe is called \"nosuch\""),
        (&["grant", "plan", "mail-triaeg"], "did you mean \"mail-triage\"?"),
        (&["grant", "allow", "mail-triaeg"], "did you mean \"mail-triage\"?"),
        (&["dryrun", "mail-triaeg", "--last", "1"], "did you mean \"mail-triage\"?"),
        (&["recipe", "check", "mail-triaeg"], "did you mean \"mail-triage\"?"),
    ] {
        assert_no(&home.run(args), words);
    }
    let states = home.run(&["review", "list", "--state", "foo"]);
    assert_eq!(states.code, 2, "{states:?}");
    assert!(states.stderr.contains("open, confirmed, corrected"), "{states:?}");
    assert_eq!(home.run(&["bench", "model", "--rounds", "0"]).code, 2);
}

#[test]
fn what_there_could_be_is_an_empty_table() {
    let home = home();
    for args in [
        &["journal", "list", "--recipe", "mail-triage", "--action", "wake"][..],
        &["journal", "list", "--action", "loop_blocked"],
        &["journal", "list", "--sender", "aaaaaaaaaaaaaaaa"],
        &["review", "list", "--state", "corrected"],
    ] {
        let ran = home.run(args).ok();
        assert_eq!(ran.stdout.lines().count(), 1, "{args:?}: {ran:?}");
    }
    home.run(&["review", "correct", "1", "digest"]).ok();
    // Its file is gone, and what it did is not.
    std::fs::remove_file(home.path("recipes/mail-triage.toml")).unwrap();
    home.run(&["journal", "list", "--recipe", "mail-triage", "--action", "drop"]).ok();
    home.run(&["recipe", "history", "mail-triage"]).ok();
    assert_eq!(home.run(&["dryrun", "mail-triage", "--last", "1"]).code, 1);
}

#[test]
fn a_checked_file_is_named_as_it_was_given() {
    let home = home();
    let file = home.write("bad.toml", "modee = \"automated\"\n");
    let given = file.to_str().unwrap();
    let ran = home.run(&["recipe", "check", given]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("{given}:1:1: unknown key \"modee\"")), "{ran:?}");
    assert!(!ran.stdout.contains("recipes/bad.toml"), "{ran:?}");
    let named = home.run(&["recipe", "check", "mail-triage"]).ok();
    assert!(named.stdout.contains("recipes/mail-triage.toml: good"), "{named:?}");
}

#[test]
fn a_key_of_the_configuration_that_stands_there_twice_is_named() {
    let home = home();
    home.configure("[responder]\nenabled = true\nenabled = true\n");
    let ran = home.run(&["doctor"]);
    assert!(ran.stdout.contains("duplicate key enabled"), "{ran:?}");
}
