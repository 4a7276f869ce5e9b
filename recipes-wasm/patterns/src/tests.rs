use proptest::prelude::*;

use super::*;

/// With a table and without: the answer is the same.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let text = Text::new(text);
    let [with, without] =
        [0, usize::MAX].map(|from| search::is_match(&pattern.program, text.folded(), from));
    assert_eq!(with, without, "{pattern:?} on {text:?}");
    assert_eq!(pattern.is_match(&text), with);
    with
}

fn problem(pattern: &str) -> String {
    Pattern::parse(pattern).unwrap_err().to_string()
}

#[test]
fn usual_patterns_match_what_people_expect() {
    assert!(matches("^[0-1]$", "0"));
    assert!(!matches("^[0-1]$", "10"));
    assert!(matches("urgent|outage", "An OUTAGE since noon"));
    assert!(matches(r"\b(bug|down)\b", "is it down?"));
    assert!(!matches(r"\b(bug|down)\b", "download"));
    assert!(matches("^(thanks|got it)[.! ]*$", "Thanks!!"));
    assert!(matches("a.c", "xxabcxx"));
    assert!(!matches("a.c", "a\nc"));
    assert!(matches("(?s)a.c", "a\nc"));
    assert!(matches("a{2,3}b", "xaaab"));
    assert!(!matches("^a{2,3}b", "ab"));
    assert!(matches(r"\d{4}-\d{2}", "on 2026-03-01"));
    assert!(matches("", "anything"));
    assert!(matches("x*", ""));
}

#[test]
fn case_and_words_are_known_in_every_script() {
    assert!(matches("срочно", "СРОЧНО: сервер"));
    assert!(matches(r"\bсрочно\b", "это срочно!"));
    assert!(!matches(r"\bсрочно\b", "несрочно"));
    assert!(matches("straße|ÜBER", "über uns"));
    assert!(matches("ΟΔΟΣ", "οδος"));
    assert!(matches("[а-я]+", "ПРИВЕТ"));
    assert!(matches("緊急", "これは緊急です"));
    assert!(matches("[A-Z]{3}", "abc"));
}

#[test]
fn a_final_line_break_does_not_hide_the_end() {
    assert!(matches("thanks$", "thanks\n"));
    assert!(!matches(r"thanks\z", "thanks\n"));
    assert!(!matches("thanks$", "thanks\n\n"));
    assert!(matches("(?m)^b$", "a\nb\nc"));
}

#[test]
fn a_brace_that_counts_nothing_is_a_brace() {
    assert!(matches("{x}", "a {x} b"));
    assert!(matches("a{,2}b", "b"));
}

#[test]
fn what_is_not_linear_is_refused_by_name() {
    assert!(problem("(?=a)").contains("look-around"));
    assert!(problem(r"(a)\1").contains("back-references"));
    assert!(problem("a++").contains("possessive"));
}

#[test]
fn malformed_patterns_name_their_place() {
    assert_eq!(problem("ab)"), "character 3: `)` without `(`; write \\) for the character");
    assert!(problem("(ab").contains("`(` without `)`"));
    assert!(problem("[ab").contains("`[` without `]`"));
    assert!(problem("*a").contains("could be repeated"));
    assert!(problem("[z-a]").contains("wrong way round"));
    assert!(problem("a{3,2}").contains("wrong way round"));
    assert!(problem("\\").contains("at the end"));
    assert!(problem(r"\q").contains("means nothing"));
    assert!(problem(r"\u{110000}").contains("no such character"));
}

#[test]
fn size_is_bounded() {
    assert!(problem(&"a".repeat(MAX_PATTERN_BYTES + 1)).contains("1,024 bytes"));
    assert!(problem("((a{100}){100}){100}").contains("too large"));
    assert!(problem("(((x{1000}){1000}){1000}){1000}").contains("too large"));
    assert!(matches("((((){1000}){1000}){1000}){1000}", ""));
    assert!(problem(&"(".repeat(500)).contains("too deep"));
    assert!(problem("a{99999999999999999999}").contains("1,000 at most"));
}

/// A pattern that takes a backtracking engine longer than anybody waits.
#[test]
fn a_hostile_text_takes_no_more_than_linear_time() {
    assert!(!matches("^(a+)+$", &("a".repeat(50_000) + "!")));
    assert!(!matches("(a|aa)*b", &"a".repeat(50_000)));
    assert!(matches("(x?){200}y", &("x".repeat(300) + "y")));
}

/// More sets of threads than a table remembers, and more kinds of characters:
/// the search goes on from there without one.
#[test]
fn what_is_more_than_a_table_holds_is_searched_all_the_same() {
    let mut seed = 7_u32;
    let mut noise: String = (0..4000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if seed >> 31 == 0 { 'a' } else { 'b' }
        })
        .collect();
    assert!(!matches("a[ab]{12}c", &noise));
    noise.push('c');
    assert_eq!(matches("a[ab]{12}c", &noise), noise.as_bytes()[4000 - 13] == b'a');
    assert!(matches("[ab]{12}c$", &noise));
    let letters: String = ('а'..='я').collect();
    let scripts: String = letters.chars().chain('\u{4e00}'..'\u{4e40}').collect();
    let each: Vec<String> = scripts.chars().map(String::from).collect();
    assert!(matches(&format!("({})!", each.join("|")), &format!("{scripts}!")));
    assert!(!matches(&format!("({})!", each.join("|")), &format!("{scripts}?!")));
    assert!(matches(r"\bяблоко\b", &format!("{} яблоко", "слово ".repeat(300))));
}

/// So that a class of ASCII takes nothing else.
#[test]
fn no_folded_character_beyond_ascii_has_a_capital_in_it() {
    for c in ('\u{80}'..=char::MAX).map(fold::fold).filter(|c| !c.is_ascii()) {
        assert!(!fold::upper(c).is_ascii(), "{c:?}");
    }
}

/// Patterns out of the signs that both engines understand alike.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_string()),
        Just("B".to_string()),
        Just("ж".to_string()),
        Just(".".to_string()),
        Just(r"\w".to_string()),
        Just(r"\W".to_string()),
        Just(r"\s".to_string()),
        Just(r"\d".to_string()),
        Just(r"\b".to_string()),
        Just(r"\B".to_string()),
        Just("^".to_string()),
        Just(r"\z".to_string()),
        Just("[a-cЖ]".to_string()),
        Just("[^b1]".to_string()),
        Just(r"[\W1]".to_string()),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("({})", parts.join("|"))),
            (
                inner,
                prop_oneof![
                    Just("*"),
                    Just("+"),
                    Just("?"),
                    Just("{2}"),
                    Just("{1,3}"),
                    Just("{0,}?")
                ]
            )
                .prop_map(|(part, sign)| format!("(?:{part}){sign}")),
        ]
    })
}

/// Found by the property below: steps tried before a skip were taken for tried
/// after it.
#[test]
fn a_step_that_failed_before_a_skip_is_tried_again_after_it() {
    assert!(matches(r"(a|\B)B", "aCB"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_answers_are_those_of_the_regex_crate(
        pattern in pattern(),
        text in "[aAbBcC1жЖ \n_.]{0,12}",
    ) {
        let expected = regex::RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .build()
            .unwrap()
            .is_match(&text);
        prop_assert_eq!(matches(&pattern, &text), expected, "{} on {:?}", pattern, text);
    }

    #[test]
    fn a_long_text_gets_the_answer_of_the_regex_crate(
        pattern in pattern(),
        unit in "[aAbBcC1жЖ \n_.]{1,12}",
        tail in "[aAbBcC1жЖ \n_.]{0,12}",
    ) {
        let text = unit.repeat(TABLE_FROM / unit.len() + 1) + &tail;
        let expected = regex::RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .build()
            .unwrap()
            .is_match(&text);
        prop_assert_eq!(matches(&pattern, &text), expected, "{} on {:?}", pattern, text);
    }

    #[test]
    fn no_text_breaks_the_parser(pattern in any::<String>(), text in any::<String>()) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let _ = pattern.is_match(&Text::new(&text));
        }
    }

    #[test]
    fn no_pile_of_signs_breaks_the_parser(pattern in r"[\\(){}\[\]|*+?^$.:<>=!,0-9a-zж-]{0,40}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let _ = pattern.is_match(&Text::new("abc"));
        }
    }
}
