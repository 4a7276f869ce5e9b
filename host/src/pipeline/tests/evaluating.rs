//! Who decides: cascades, thresholds and prompts by tier and sender, and what
//! becomes of an action that nobody declared.

use std::sync::Arc;

use super::scripted::{GRANT, NODE, Nothing, Play};
use crate::envelope::sender::Tier;
use crate::journal::{Commit, EvalType};
use crate::stage::HostError;
use crate::verdict::Verdict;

fn play(recipe: &str) -> Play {
    play_with(recipe, None)
}

fn play_with(recipe: &str, verdict: Option<Verdict>) -> Play {
    let recipe = format!("mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n{recipe}");
    Play::new(&recipe, GRANT, verdict, Arc::new(Nothing))
}

const CASCADE: &str = "[evaluate]\ntype = \"cascade\"\n\
    first = { prompt = \"l1\", model = \"small\", threshold = { known = 0.9, unknown = 0.6 } }\n\
    prompt = \"main\"\nmodel = \"large\"\nfallback_action = \"compile\"\n\
    [actions.wake]\n[actions.compile]\nbuffer = \"b\"\n";

/// Evaluate type, deciding stage, action, model.
fn decided(commit: &Commit) -> (EvalType, &str, &str, Option<&str>) {
    let row = &commit.row;
    let stage = commit.trace.evaluate.stage.as_str();
    (row.eval_type, stage, row.action.as_str(), row.model.as_deref())
}

fn prompts(play: &Play) -> Vec<String> {
    play.model.asked.lock().unwrap().iter().map(|(prompt, _)| prompt.clone()).collect()
}

#[tokio::test]
async fn a_first_step_that_is_sure_drops_and_the_second_is_not_asked() {
    let play = play(CASCADE);
    play.says("l1", Ok(("drop", 0.7)));
    let commit = play.mail(Tier::Unknown, NODE, "buy now").await;
    assert_eq!(decided(&commit), (EvalType::Cascade, "evaluate-first", "drop", Some("small")));
    assert_eq!((commit.row.reason.as_str(), commit.row.confidence), ("drop (0.70)", Some(0.7)));
    assert_eq!(prompts(&play), ["l1"]);
}

#[tokio::test]
async fn whatever_else_the_first_step_says_the_second_decides_and_is_told() {
    for (tier, answer) in [
        (Tier::Unknown, ("escalate", 0.99)),
        // Drops, and is not sure enough: by its own measure for known senders,
        // by the operator's for unknown ones.
        (Tier::Known, ("drop", 0.89)),
        (Tier::Unknown, ("drop", 0.45)),
    ] {
        let play = play(CASCADE);
        play.says("l1", Ok(answer));
        play.says("main", Ok(("wake", 0.8)));
        let commit = play.mail(tier, NODE, "hello").await;
        assert_eq!(decided(&commit), (EvalType::Cascade, "evaluate-second", "wake", Some("large")));
        let words = format!("{} ({:.2})", answer.0, answer.1);
        let note = format!("evaluate: first step escalated: {words}");
        assert_eq!(commit.trace.evaluate.notes, [note]);
        let asked = play.model.asked.lock().unwrap().clone();
        assert_eq!(asked[1].1, format!("[\"escalate\"|\"{words}\"] \"hello\""));
        let stages: Vec<&str> =
            commit.trace.host_calls.iter().map(|call| call.stage.as_str()).collect();
        assert_eq!(stages, ["evaluate-first", "evaluate-second"]);
    }
}

#[tokio::test]
async fn only_a_drop_is_final_whatever_the_first_prompts_kinds_lead_to() {
    let play = play(&CASCADE.replace("\"l1\"", "\"l1-kinds\""));
    play.says("l1-kinds", Ok(("alarm", 0.99)));
    play.says("main", Ok(("compile", 0.8)));
    let commit = play.mail(Tier::Unknown, NODE, "hello").await;
    assert_eq!(decided(&commit).2, "compile", "the first step's wake counts for nothing");
    play.says("l1-kinds", Ok(("noise", 0.99)));
    let commit = play.mail(Tier::Unknown, NODE, "hello").await;
    assert_eq!((decided(&commit).1, decided(&commit).2), ("evaluate-first", "drop"));
}

#[tokio::test]
async fn a_first_step_that_fails_or_is_busy_or_denied_hands_on() {
    for (grant, answer, words) in [
        (GRANT.to_owned(), Some(Err(HostError::Unavailable(70))), "overflow: model busy"),
        (GRANT.to_owned(), Some(Err(HostError::Failed("gone".to_owned()))), "failed: gone"),
        (GRANT.replace("prompts = [\"*\"]", "prompts = [\"main\"]"), None, "denied: model = "),
    ] {
        let recipe = format!("mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n{CASCADE}");
        let play = Play::new(&recipe, &grant, None, Arc::new(Nothing));
        if let Some(answer) = answer {
            play.says("l1", answer);
        }
        play.says("main", Ok(("wake", 0.8)));
        let commit = play.mail(Tier::Unknown, NODE, "hello").await;
        assert_eq!((decided(&commit).1, decided(&commit).2), ("evaluate-second", "wake"));
        assert!(
            commit.trace.evaluate.notes[0].contains(words),
            "{:?}",
            commit.trace.evaluate.notes
        );
        let asked = play.model.asked.lock().unwrap().clone();
        assert_eq!(asked.last().unwrap().1, "[\"\"|\"\"] \"hello\"", "nothing was said");
    }
}

#[tokio::test]
async fn a_cascade_without_a_verdict_takes_the_fallback_and_says_both_reasons() {
    let play = play(&CASCADE.replace("prompt = \"main\"", "threshold = 0.9\nprompt = \"main\""));
    play.says("l1", Ok(("escalate", 0.8)));
    play.says("main", Ok(("wake", 0.8)));
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    assert_eq!(decided(&commit), (EvalType::Fallback, "", "compile", None));
    assert!(commit.row.prompt_hash.is_some(), "it was asked in vain, with a prompt");
    assert_eq!(
        commit.trace.evaluate.notes,
        ["evaluate: first step escalated: escalate (0.80)", "evaluate: unsure: wake at 0.80"]
    );
}

#[tokio::test]
async fn one_message_is_decided_differently_for_known_and_unknown() {
    let llm = "[evaluate]\ntype = \"llm\"\nprompt = \"main\"\nfallback_action = \"compile\"\n\
        threshold = { known = 0.4, unknown = 0.7 }\n[actions.wake]\n[actions.compile]\nbuffer = \"b\"\n";
    for (tier, expected) in [
        (Tier::Known, (EvalType::Llm, "evaluate", "wake", Some("usual"))),
        (Tier::Unknown, (EvalType::Fallback, "", "compile", None)),
    ] {
        let play = play(llm);
        play.says("main", Ok(("wake", 0.5)));
        assert_eq!(decided(&play.mail(tier, NODE, "are you there?").await), expected);
    }
    // So it is with a rule's or component's verdict.
    let hotwire = "[evaluate]\ntype = \"hotwire\"\ncomponent = \"x.wasm\"\nfallback_action = \"log\"\n\
        threshold = { known = 0.4, unknown = 0.7 }\n[actions.wake]\n";
    for (tier, action) in [(Tier::Known, "wake"), (Tier::Unknown, "log")] {
        let verdict = Verdict { confidence: Some(0.5), ..Verdict::certain("wake", "half sure") };
        let play = play_with(hotwire, Some(verdict));
        assert_eq!(decided(&play.mail(tier, NODE, "are you there?").await).2, action);
    }
}

#[tokio::test]
async fn a_sender_has_its_own_prompt_and_a_tier_another() {
    let play = play(&format!(
        "[evaluate]\ntype = \"llm\"\nprompt = \"main\"\n[evaluate.prompts]\nknown = \"l1-kinds\"\n\
         [[evaluate.senders]]\nnode = \"{}\"\nprompt = \"l1\"\n",
        &NODE[..16]
    ));
    let other = "0123456789abcdef0123456789abcdef";
    for (tier, from, prompt, label) in [
        (Tier::Known, NODE, "l1", "drop"),
        (Tier::Known, other, "l1-kinds", "noise"),
        (Tier::Unknown, other, "main", "drop"),
    ] {
        play.says(prompt, Ok((label, 0.9)));
        let commit = play.mail(tier, from, "hello").await;
        assert_eq!(commit.row.action, "drop");
        assert_eq!(prompts(&play).last().unwrap(), prompt);
    }
}

#[tokio::test]
async fn an_action_that_is_not_declared_is_never_done_whoever_names_it() {
    let rest = "fallback_action = \"compile\"\n[actions.compile]\nbuffer = \"b\"\n";
    let llm = format!("[evaluate]\ntype = \"llm\"\nprompt = \"l1-kinds\"\n{rest}");
    let cascade = format!(
        "[evaluate]\ntype = \"cascade\"\nfirst = {{ prompt = \"l1\" }}\nprompt = \"l1-kinds\"\n{rest}"
    );
    let hotwire = format!("[evaluate]\ntype = \"hotwire\"\ncomponent = \"x.wasm\"\n{rest}");
    for recipe in [llm, cascade, hotwire] {
        let play = play_with(&recipe, Some(Verdict::certain("wake", "it said so")));
        play.says("l1", Ok(("escalate", 0.9)));
        play.says("l1-kinds", Ok(("alarm", 0.9)));
        let commit = play.mail(Tier::Known, NODE, "hello").await;
        assert_eq!(commit.row.eval_type, EvalType::Fallback, "{recipe}");
        assert_eq!(commit.row.action, "compile", "{recipe}");
        assert_eq!(commit.trace.evaluate.result.action, "wake", "what was said stays in the trace");
        let notes = commit.trace.evaluate.notes.join("\n");
        assert!(notes.contains("action \"wake\" is not declared"), "{notes}");
    }
}

#[tokio::test]
async fn a_cascades_verdict_is_kept_for_the_same_message_and_for_no_other() {
    let play = play(&format!("[filter]\ncache_ttl = 60\n{CASCADE}"));
    play.says("l1", Ok(("escalate", 0.8)));
    play.says("main", Ok(("wake", 0.8)));
    let first = play.mail(Tier::Unknown, NODE, "hello").await;
    let again = play.mail(Tier::Unknown, NODE, "hello").await;
    assert_eq!((first.row.action.as_str(), again.row.action.as_str()), ("wake", "wake"));
    assert_eq!(again.row.eval_type, EvalType::Cache);
    assert_eq!(again.row.model.as_deref(), Some("large"));
    // Another message, or the same from another tier, is asked about.
    for (tier, body) in [(Tier::Unknown, "hello!"), (Tier::Known, "hello")] {
        play.says("l1", Ok(("drop", 0.95)));
        let other = play.mail(tier, NODE, body).await;
        assert_eq!(decided(&other).1, "evaluate-first");
    }
    let kept = play.mail(Tier::Known, NODE, "hello").await;
    assert_eq!((kept.row.eval_type, kept.row.action.as_str()), (EvalType::Cache, "drop"));
}
