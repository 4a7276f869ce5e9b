//! Evaluators that ask the model, as recipe files say it: cascades, thresholds by
//! tier, prompts by tier and sender.

use super::*;
use crate::envelope::sender::Tier;
use crate::grants::{Need, need};

/// As [`known`], with prompts for every use.
fn with_prompts() -> Known {
    let mut known = known();
    let kinds = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(kind, action)| ((*kind).to_owned(), (*action).to_owned())).collect()
    };
    known.prompts.insert("l1".to_owned(), kinds(&[("noise", "drop"), ("other", "escalate")]));
    known.prompts.insert("never-drops".to_owned(), kinds(&[("a", "wake"), ("b", "escalate")]));
    known.prompts.insert("asks-peers".to_owned(), BTreeMap::new());
    known.placeholders.insert(
        "asks-peers".to_owned(),
        ["cascade.reason", "envelope.body_text", "filter.tier", "gather.peers"]
            .map(str::to_owned)
            .to_vec(),
    );
    known
}

fn read(text: &str) -> Recipe {
    parse("x", text, &with_prompts()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn problem(text: &str) -> String {
    let found = parse("x", text, &with_prompts()).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].to_string()
}

const CASCADE: &str = "[evaluate]\ntype = \"cascade\"\n\
    first = { prompt = \"l1\", model = \"small\", threshold = { known = 0.8, unknown = 0.6 } }\n\
    prompt = \"plain\"\nmodel = \"gemma3-270m\"\nfallback_action = \"log\"\n";

#[test]
fn a_cascade_is_a_cheap_question_before_another() {
    let recipe = read(&mail(CASCADE));
    assert!(recipe.warnings.is_empty(), "{:?}", recipe.warnings);
    let [evaluator] = recipe.evaluators.as_slice() else { panic!() };
    assert_eq!((evaluator.stage.as_str(), evaluator.priority), ("evaluate", 50));
    let EvaluatorKind::Cascade(cascade) = &evaluator.kind else { panic!() };
    assert_eq!(
        (cascade.first.prompt.as_str(), cascade.first.model.as_deref()),
        ("l1", Some("small"))
    );
    assert_eq!(cascade.first.threshold.of(Tier::Team).to_string(), "0.8");
    assert_eq!(cascade.second.prompts.usual, "plain");
    assert_eq!(recipe.answers_to(cascade.first.asking()), ["drop", "escalate"]);
    assert_eq!(
        recipe.answers_to(cascade.second.asking(Tier::Known, "")),
        ["drop", "log"],
        "the second chooses among the recipe's own"
    );

    let needs = need::of_recipe(&recipe, &[], &|_, model| model.unwrap_or("default").to_owned());
    for wanted in [
        Need::Import("model".into()),
        Need::Prompt("l1".into()),
        Need::Model("small".into()),
        Need::Prompt("plain".into()),
        Need::Model("gemma3-270m".into()),
    ] {
        assert!(needs.contains(&wanted), "{wanted:?} in {needs:?}");
    }
}

#[test]
fn a_cascade_with_a_mistake_is_refused_in_words() {
    for (from, to, words) in [
        ("first = { prompt = \"l1\", model", "furst = { prompt = \"l1\", model", "lacks first"),
        ("prompt = \"l1\", model", "model", "[evaluate.first] lacks prompt"),
        ("\nprompt = \"plain\"", "", "[evaluate] lacks prompt"),
        ("\"l1\"", "\"l2\"", "prompt \"l2\" does not exist"),
        ("\"small\"", "\"smoll\"", "[evaluate.first] nobody knows a model \"smoll\""),
        (
            "threshold = { known = 0.8, unknown = 0.6 }",
            "kinds = { a = \"drop\" }",
            "kinds of the second stand under [evaluate.kinds]",
        ),
        ("unknown = 0.6", "unknown = 1.6", "a number from 0 to 1"),
        (
            "type = \"cascade\"",
            "type = \"llm\"",
            "unknown key \"first\" in [evaluate]: it belongs to type = \"cascade\"",
        ),
        (
            "fallback_action = \"log\"",
            "rules = []",
            "rules beside a model stand under [[hotwires]]",
        ),
        ("fallback_action = \"log\"", "l1_prompt = \"x\"", "write first = { prompt"),
    ] {
        let text = mail(&CASCADE.replacen(from, to, 1));
        let found = parse("x", &text, &with_prompts()).unwrap_err();
        assert!(found.iter().any(|one| one.to_string().contains(words)), "{to}: {found:#?}");
    }
    let never = read(&mail(&CASCADE.replace("\"l1\"", "\"never-drops\"")));
    assert!(never.warnings[0].contains("hands everything on"), "{:?}", never.warnings);
}

#[test]
fn a_threshold_is_one_number_or_one_for_each_tier() {
    let of = |line: &str| {
        let text =
            mail(&format!("[evaluate]\ntype = \"llm\"\nprompt = \"plain\"\nthreshold = {line}\n"));
        let threshold = read(&text).evaluators[0].threshold;
        [Tier::Team, Tier::Known, Tier::Unknown].map(|tier| threshold.of(tier))
    };
    assert_eq!(of("0.6"), [0.6, 0.6, 0.6]);
    assert_eq!(of("1"), [1.0, 1.0, 1.0]);
    assert_eq!(of("{ known = 0.4, unknown = 0.7 }"), [0.4, 0.4, 0.7]);
    assert_eq!(of("{ unknown = 0.7 }"), [0.7, 0.7, 0.7], "nobody is held to less by silence");
    assert_eq!(of("{ team = 0.1, unknown = 0.7 }"), [0.1, 0.7, 0.7]);
    for (line, words) in [
        ("{ known = 0.4 }", "[evaluate.threshold] lacks unknown"),
        ("{ known = 1.4, unknown = 0.7 }", "a number from 0 to 1"),
        ("{ knwon = 0.4, unknown = 0.7 }", "did you mean \"known\"?"),
        ("{ blocked = 0.4, unknown = 0.7 }", "a blocked sender is not evaluated at all"),
        ("\"high\"", "a number from 0 to 1"),
    ] {
        let text =
            mail(&format!("[evaluate]\ntype = \"llm\"\nprompt = \"plain\"\nthreshold = {line}\n"));
        assert!(problem(&text).contains(words), "{line}: {}", problem(&text));
    }
    let hotwire = read(&mail(
        "[[hotwires]]\ncomponent = \"x.wasm\"\nthreshold = { known = 0.2, unknown = 0.9 }\n",
    ));
    assert_eq!(hotwire.evaluators[0].threshold.of(Tier::Unknown), 0.9);
}

const PROMPTS: &str = "[evaluate]\ntype = \"llm\"\nprompt = \"plain\"\nfallback_action = \"log\"\n\
    [evaluate.prompts]\nknown = \"l1\"\n\
    [[evaluate.senders]]\nnode = \"aabbccddeeff0011\"\nprompt = \"never-drops\"\n";

#[test]
fn a_prompt_is_chosen_by_sender_then_tier_and_each_has_to_be_granted() {
    let recipe = read(&mail(&format!("{PROMPTS}[evaluate.kinds]\nnoise = \"drop\"\n")));
    let EvaluatorKind::Llm(llm) = &recipe.evaluators[0].kind else { panic!() };
    let sender = "aabbccddeeff0011".to_owned() + &"0".repeat(48);
    assert_eq!(llm.asking(Tier::Unknown, &sender).prompt, "never-drops");
    assert_eq!(llm.asking(Tier::Known, &"1".repeat(64)).prompt, "l1");
    assert_eq!(llm.asking(Tier::Unknown, &"1".repeat(64)).prompt, "plain");
    let needs = need::of_recipe(&recipe, &[], &|_, _| "m".to_owned());
    for prompt in ["plain", "l1", "never-drops"] {
        assert!(needs.contains(&Need::Prompt(prompt.into())), "{prompt}");
    }
    for (from, to, words) in [
        ("known = \"l1\"", "knwon = \"l1\"", "did you mean \"known\"?"),
        ("known = \"l1\"", "known = \"l2\"", "prompt \"l2\" does not exist"),
        ("\"never-drops\"", "\"never\"", "prompt \"never\" does not exist"),
        ("aabbccddeeff0011", "aabb", "node \"aabb\" is no node id"),
        ("node = ", "from_node = ", "the key is node"),
    ] {
        let text = mail(&PROMPTS.replacen(from, to, 1));
        let found = parse("x", &text, &with_prompts()).unwrap_err();
        assert!(found.iter().any(|one| one.to_string().contains(words)), "{to}: {found:#?}");
    }
    let twice =
        format!("{PROMPTS}[[evaluate.senders]]\nnode = \"AABBCCDDEEFF001122\"\nprompt = \"l1\"\n");
    assert!(problem(&mail(&twice)).contains("matches the same nodes as \"aabbccddeeff0011\""));
}

#[test]
fn what_a_prompt_asks_for_has_to_be_there() {
    let llm = "[evaluate]\ntype = \"llm\"\nprompt = \"asks-peers\"\nfallback_action = \"log\"\n";
    let missing = problem(&mail(llm));
    assert!(
        missing.contains("prompt \"asks-peers\": gather.peers cannot be resolved"),
        "{missing}"
    );
    let entry = "gather = [{ name = \"peers\", source = \"peers\" }]\n";
    let there = read(&format!("{entry}{}", mail(llm)));
    assert!(there.warnings.is_empty(), "without a cascade its words are empty: {there:?}");
}
