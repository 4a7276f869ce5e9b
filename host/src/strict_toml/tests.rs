use proptest::prelude::*;

use super::*;

fn problems(text: &str, look: impl Fn(&Table<'_>)) -> Vec<String> {
    let sink = Sink::new("x.toml", text);
    if let Some(root) = parse(&sink) {
        to_json(&sink, &root);
        look(&Table::top(&sink, &root));
    }
    sink.into_parts().0.iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_has_its_place_and_all_are_found() {
    let text = "# é\n[filter]\ncoldown_key = \"a\"\nmax = \"5\"\n  on = 1\n";
    let found = problems(text, |top| {
        let filter = top.table("filter").unwrap();
        filter.only(&["cooldown_key", "max", "on"], &[]);
        filter.integer::<u32>("max", 0..=9);
        filter.flag("on");
        filter.missing("need", "need = 1");
    });
    assert_eq!(
        found,
        [
            "x.toml:3:1: unknown key \"coldown_key\" in [filter]: expected one of cooldown_key, max, on; did you mean \"cooldown_key\"?",
            "x.toml:4:7: [filter] max is a string: expected a whole number from 0 to 9",
            "x.toml:5:8: [filter] on is a whole number: expected true or false",
            "x.toml:2:2: [filter] lacks need: expected need = 1",
        ]
    );
}

#[test]
fn a_key_that_stands_there_twice_is_named() {
    let found = problems("enabled = true\n[a]\nb = 1\n[c]\nx = 1\nx = 2\n", |_| ());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("x.toml:6:1: not valid TOML: duplicate key x"), "{found:?}");
}

#[test]
fn lists_of_tables_and_named_tables_are_named_as_written() {
    let text = "[[evaluate.rules]]\nx = 1\n[[evaluate.rules]]\ny = 1\n[actions.wake]\nz = 1\n[actions.log]\n";
    let found = problems(text, |top| {
        for rule in top.table("evaluate").unwrap().tables("rules") {
            rule.only(&["x"], &[]);
        }
        for (_, table) in top.sections("actions") {
            table.only(&[], &[("z", "not any more")]);
        }
    });
    assert_eq!(
        found,
        [
            "x.toml:4:1: unknown key \"y\" in [[evaluate.rules]]: expected x",
            "x.toml:6:1: unknown key \"z\" in [actions.wake]: not any more",
        ]
    );
}

#[test]
fn numbers_are_checked_for_range_and_kind() {
    let found = problems(
        "a = 10\nb = 1.5\nc = 99999999999999999999\nd = -1\ne = nan\nf = 2024-01-01\n",
        |top| {
            assert_eq!(top.integer::<u32>("a", 0..=9), None);
            assert_eq!(top.number("b", 0.0..=1.0), None);
            assert_eq!(top.integer::<u8>("d", -5..=5), None);
        },
    );
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[0].ends_with("a is 10: expected a whole number from 0 to 9"), "{}", found[0]);
    assert!(found[5].contains("a date is written as a string: \"2024-01-01\""), "{}", found[5]);
}

#[test]
fn all_syntax_errors_are_told_at_once() {
    let found = problems("a = \nb = 1\nb = 2\n[c\n", |_| {});
    assert!(found.len() >= 3, "{found:?}");
    assert!(found[0].starts_with("x.toml:1:"), "{found:?}");
    assert!(found.iter().all(|line| !line.contains('\n')), "{found:?}");
}

#[test]
fn what_is_not_text_or_too_long_is_refused_before_it_is_parsed() {
    let problem = text_of("x.toml", b"a = \"\n\xff\"").unwrap_err();
    assert_eq!(
        problem.to_string(),
        "x.toml:1:6: not valid UTF-8 at byte 6: save the file as UTF-8"
    );
    let long = "#".repeat(MAX_FILE_BYTES + 1);
    assert!(
        text_of("x.toml", long.as_bytes()).unwrap_err().to_string().contains("the limit is 65536")
    );
    assert!(problems(&long, |_| {})[0].contains("the limit is 65536"));
}

#[test]
fn deep_nesting_is_a_clear_error() {
    let mild = format!("a = {}1{}", "[".repeat(MAX_DEPTH + 2), "]".repeat(MAX_DEPTH + 2));
    assert!(problems(&mild, |_| {})[0].contains("nests deeper than 16 levels"));
    let wild = format!("a = {}", "[".repeat(30_000));
    assert!(!problems(&wild, |_| {}).is_empty());
    let dotted = format!("{}a = 1", "a.".repeat(20_000));
    assert!(!problems(&dotted, |_| {}).is_empty());
}

proptest! {
    #[test]
    fn places_lie_inside_the_file(text in "[ -~\n\u{e9}\\[\\]=\".{}#]{0,80}", at in 0_usize..200) {
        let problem = Problem::at("x", &text, at, "y");
        let lines: Vec<&str> = text.split('\n').collect();
        prop_assert!(problem.line >= 1 && problem.line <= lines.len());
        let length = lines[problem.line - 1].chars().count();
        prop_assert!(problem.column >= 1 && problem.column <= length + 1);
    }
}
