//! What holds for any text: the parser ends with a recipe or with problems
//! whose places lie in the file, and the digest follows the content alone.

use proptest::prelude::*;

use super::*;

/// Pieces of recipes, good and bad, in any order.
fn piece() -> impl Strategy<Value = String> {
    let fixed = proptest::sample::select(vec![
        "mode = \"automated\"",
        "priority = 7",
        "stop = maybe",
        "[trigger]",
        "type = \"on_mail\"",
        "type = \"on_log\"",
        "type = \"on_bus\"",
        "path = \"/var/../x\"",
        "pattern = '(?<line>.)|('",
        "subscribe = '.*'",
        "type = \"llm\"",
        "msg_types = [\"text\", 1]",
        "[filter]",
        "cooldown_key = \"{{from_node}}\"",
        "cooldown_seconds = 9e9",
        "inject = { a = \"{{x\" }",
        "[evaluate]",
        "[[evaluate.rules]]",
        "field = \"body_text\"",
        "pattern = \"(a|b\"",
        "[[hotwires]]",
        "component = \"x.wasm\"",
        "[actions.wake]",
        "[actions.reply]",
        "steps = [{ type = \"reply\" }, [1], {}]",
        "[config]",
        "x = [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]",
        "= = =",
        "\u{feff}",
        "a.b.c.d = 1979-05-27",
    ])
    .prop_map(str::to_owned);
    prop_oneof![4 => fixed, 1 => "\\PC{0,30}", 1 => "[\\[\\]{}=\"'.,a-c1-9\n ]{0,20}"]
}

fn assert_sound(text: &str) -> Result<(), TestCaseError> {
    if let Err(problems) = parse("x", text, &known()) {
        prop_assert!(!problems.is_empty());
        let lines: Vec<&str> = text.split('\n').collect();
        for problem in problems {
            prop_assert!(problem.line >= 1 && problem.line <= lines.len(), "{problem} in {text:?}");
            let width = lines[problem.line - 1].chars().count();
            prop_assert!(
                problem.column >= 1 && problem.column <= width + 1,
                "{problem} in {text:?}"
            );
            prop_assert!(!problem.to_string().contains('\n'), "{problem:?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_ends_in_a_recipe_or_in_places(text in "\\PC{0,200}") {
        assert_sound(&text)?;
    }

    #[test]
    fn any_pile_of_pieces_does_too(pieces in proptest::collection::vec(piece(), 0..20)) {
        assert_sound(&pieces.join("\n"))?;
    }

    #[test]
    fn any_bytes_do_too(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes("x", &bytes, &known());
    }

    #[test]
    fn a_damaged_recipe_does_too(at in 0..super::MAIL_TRIAGE.len(), with in "\\PC") {
        let mut text = String::new();
        for (index, letter) in MAIL_TRIAGE.char_indices() {
            if index == at { text.push_str(&with) } else { text.push(letter) }
        }
        assert_sound(&text)?;
    }

    /// The same keys in another order, with comments and other white space.
    #[test]
    fn the_digest_does_not_see_how_a_file_is_written(
        order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle(),
        gap in "[ \t]{0,3}",
        comment in "[ -~]{0,20}",
        mode in proptest::sample::select(Mode::WORDS.to_vec()),
    ) {
        let plain = recipe(&(0..7).collect::<Vec<_>>(), "", "", "manual", 0, None);
        let other = recipe(&order, &gap, &comment, mode, 0, None);
        prop_assert_eq!(good(&plain).canonical, good(&other).canonical, "{}", other);
    }

    #[test]
    fn the_digest_sees_every_value(changed in 0..7_usize, by in 1_u32..50) {
        let order: Vec<usize> = (0..7).collect();
        let plain = recipe(&order, "", "", "manual", 0, None);
        let other = recipe(&order, "", "", "manual", by, Some(changed));
        prop_assert_ne!(good(&plain).canonical, good(&other).canonical, "{}", other);
    }
}

/// A recipe of seven keys; the one named by `changed` has `by` more.
fn recipe(
    order: &[usize],
    gap: &str,
    comment: &str,
    mode: &str,
    by: u32,
    changed: Option<usize>,
) -> String {
    let value = |key: usize| 10 + if changed == Some(key) { by } else { 0 };
    let filter = |key: usize| match key {
        0 => format!("cooldown_seconds{gap}={gap}{}", value(0)),
        1 => format!("rate_limit_window{gap}={gap}{}", value(1)),
        2 => format!("rate_limit_max ={gap}{}", value(2)),
        3 => format!("cache_ttl = {}", value(3)),
        4 => format!("cooldown_key = \"k{}\"", value(4)),
        5 => format!("rate_limit_action = \"{}\"", if changed == Some(5) { "drop" } else { "log" }),
        _ => format!("reject = [{{ field = \"body_text\", pattern = \"p{}\" }}]", value(6)),
    };
    let lines: Vec<String> =
        order.iter().map(|key| format!("{}{gap}# {comment}\n", filter(*key))).collect();
    format!(
        "mode = \"{mode}\"\n[trigger]\ntype = \"on_mail\"\n[filter] # {comment}\n{}",
        lines.concat()
    )
}
