//! Evaluators that ask the model, with a real one, through the whole program:
//! cascades, thresholds by tier, prompts by tier and sender. What they decide in
//! every case is in `host/src/pipeline/tests/`; here it is about the way there.

use serde_json::Value;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;
use thrall_tests::{guests, models};

/// A prompt whose kinds all lead to one action.
fn prompt(name: &str, action: &str, content: &str) -> String {
    format!(
        "name = \"{name}\"\nmodel = \"gemma3-270m\"\ncontent = \"\"\"\n{{{{filter.tier}}}}\n{content}{{{{envelope.body_text}}}}\"\"\"\n\
         [[kinds]]\nname = \"question\"\naction = \"{action}\"\n[[kinds]]\nname = \"news\"\naction = \"{action}\"\n"
    )
}

/// A home with a real model, two tiers, and no threshold of the operator's.
fn home() -> TestHome {
    let _ = models::gemma_270m();
    let home = TestHome::new();
    home.configure(&format!(
        "[model]\ndefault = \"gemma3-270m\"\nsilence_threshold = 0.0\ntimeout_s = 55\nqueue_timeout_s = 55\n[trust_tiers]\nknown = [\"{}\"]\n",
        node(0xd9)
    ));
    for (name, action, content) in [
        ("drops", "drop", "Noise? "),
        ("hands-on", "escalate", "Noise? "),
        ("wakes", "wake", "The first look said {{cascade.action}}, {{cascade.reason}}. "),
        ("collects", "compile", "Decision {{filter.decision}} to {{envelope.to_node}}. "),
    ] {
        home.prompt(name, prompt(name, action, content));
    }
    home
}

fn recipe(evaluate: &str) -> String {
    format!(
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\nfallback_action = \"log\"\n{evaluate}\n\
         [actions.wake]\n[actions.compile]\nbuffer = \"digest\"\n"
    )
}

/// Row and trace of each mail: id, sender, body.
fn decide(home: &TestHome, mails: &[(&str, &str, &str)]) -> Vec<(Value, Value)> {
    home.ingest(&lines(mails.iter().map(|(id, from, body)| mail(id, from, body)))).ok();
    let journal = home.journal();
    let shown = |id: &str| {
        let row = journal.iter().find(|row| row["envelope_id"] == id).unwrap().clone();
        let shown = home.run(&["journal", "show", &row["id"].to_string(), "--json"]).ok().json();
        (row, shown["trace"].clone())
    };
    mails.iter().map(|(id, ..)| shown(id)).collect()
}

fn decide_one(home: &TestHome, id: &str, from: &str, body: &str) -> (Value, Value) {
    decide(home, &[(id, from, body)]).remove(0)
}

#[test]
fn a_real_models_cascade_drops_at_the_first_step_or_asks_the_second_and_repeats() {
    let home = home();
    home.recipe(
        "first",
        &recipe("type = \"cascade\"\nfirst = { prompt = \"drops\" }\nprompt = \"wakes\""),
    );
    let (row, trace) = decide_one(&home, "m1", &node(0xd1), "buy crypto now");
    assert_eq!((&row["eval_type"], &row["action"]), (&"cascade".into(), &"drop".into()), "{trace}");
    assert_eq!(trace["evaluate"]["stage"], "evaluate-first");
    assert_eq!(trace["host_calls"].as_array().unwrap().len(), 1, "the second was not asked");

    home.recipe(
        "first",
        &recipe("type = \"cascade\"\nfirst = { prompt = \"hands-on\" }\nprompt = \"wakes\""),
    );
    let (row, trace) = decide_one(&home, "m2", &node(0xd1), "is the relay up? {{cascade.reason}}");
    assert_eq!((&row["eval_type"], &row["action"]), (&"cascade".into(), &"wake".into()), "{trace}");
    assert_eq!(trace["evaluate"]["stage"], "evaluate-second");
    let note = trace["evaluate"]["notes"][0].as_str().unwrap();
    let said = note.strip_prefix("evaluate: first step escalated: ").unwrap();
    let shown = trace["host_calls"][1]["request"]["text"].as_str().unwrap();
    let expected = format!(
        "The first look said \"escalate\", \"{said}\". \"is the relay up? {{{{cascade.reason}}}}\""
    );
    assert_eq!(shown, expected, "resolved once, and never in the message");

    for row in home.journal() {
        let id = row["id"].to_string();
        let again = home.run(&["dryrun", "first", "--journal", &id, "--json"]).json();
        let same = again["trace"]["decision_hash"] == row["decision_hash"];
        assert_eq!(same, row["envelope_id"] == "m2", "the recipe has changed since m1: {again}");
    }
}

#[test]
fn one_message_to_a_real_model_is_decided_differently_for_known_and_unknown() {
    let home = home();
    let evaluate = "type = \"llm\"\nprompt = \"wakes\"\nthreshold = { known = 0.0, unknown = 1.0 }";
    home.recipe("triage", &recipe(evaluate));
    let body = "can you look at node 7?";
    let decided = decide(&home, &[("m1", &node(0xd9), body), ("m2", &node(0xd1), body)]);
    let [(known, _), (unknown, trace)] = decided.as_slice() else { panic!("{decided:?}") };
    assert_eq!((&known["eval_type"], &known["action"]), (&"llm".into(), &"wake".into()));
    assert_eq!((&unknown["eval_type"], &unknown["action"]), (&"fallback".into(), &"log".into()));
    assert!(trace["evaluate"]["notes"][0].as_str().unwrap().contains("unsure"), "{trace}");
}

#[test]
fn tiers_and_senders_of_a_real_model_have_their_own_prompts_each_granted_by_name() {
    let home = home();
    let evaluate = format!(
        "type = \"llm\"\nprompt = \"wakes\"\nprompts = {{ known = \"collects\" }}\n\
         senders = [{{ node = \"{}\", prompt = \"drops\" }}]",
        &node(0xd2)[..16]
    );
    let grant = |prompts: &str| {
        format!(
            "mode = \"automated\"\nimports = [\"model\"]\n[reads]\nmodel = {{ prompts = [{prompts}], models = [\"gemma3-270m\"] }}\n\
             [operations]\nwake = {{ per_hour = 9 }}\ncompile = {{ buffers = [\"digest\"] }}\n"
        )
    };
    let all = grant("\"wakes\", \"collects\", \"drops\"");
    home.recipe_under("triage", &recipe(&evaluate), &all);
    let mut hashes = Vec::new();
    let mails = [("m1", node(0xd1)), ("m2", node(0xd9)), ("m3", node(0xd2))];
    let decided =
        decide(&home, &mails.each_ref().map(|(id, from)| (*id, from.as_str(), "hello there")));
    for ((row, trace), action) in decided.iter().zip(["wake", "compile", "drop"]) {
        assert_eq!((&row["eval_type"], &row["action"]), (&"llm".into(), &action.into()), "{trace}");
        hashes.push(row["prompt_hash"].clone());
    }
    let shown = decided[1].1["host_calls"][0]["request"]["text"].as_str().unwrap();
    assert_eq!(shown, "Decision \"pass\" to \"\". \"hello there\"");
    hashes.dedup();
    assert_eq!(hashes.len(), 3, "each row names the prompt that was used");

    home.recipe_under("triage", &recipe(&evaluate), &grant("\"wakes\", \"collects\""));
    let (row, trace) = decide_one(&home, "m4", &node(0xd2), "hello there");
    assert_eq!(row["eval_type"], "fallback");
    let notes = trace["evaluate"]["notes"][0].as_str().unwrap();
    assert!(notes.contains("prompts = [\"collects\", \"drops\", \"wakes\"]"), "{notes}");
}

#[test]
fn a_component_has_a_text_embedded_and_the_missing_model_is_named() {
    let _ = models::minilm();
    let home = TestHome::new();
    home.write("recipes/asks.wasm", guests::bytes("asks-anything"));
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ncomponent = \"asks.wasm\"\n\
        [actions.log]\n[config]\ncalls = [{ call = \"model.embed\", text = \"hello\" }]\n";
    let grant = "mode = \"automated\"\nimports = [\"model\"]\n[reads]\nmodel = { prompts = [], models = [\"*\"] }\n";
    home.recipe_under("embeds", recipe, grant);
    let (row, trace) = decide_one(&home, "m1", &node(0xd1), "hello");
    assert_eq!(row["reason"], "model.embed: 384 numbers", "{trace}");

    // Under another name it is not there.
    home.configure("[models.alias]\nall-minilm-l6-v2 = \"own\"\n");
    let catalogue =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/catalogue.toml"))
            .unwrap();
    let (_, entry) = catalogue.split_once("name = \"all-minilm-l6-v2\"").unwrap();
    let entry = entry.replace("all-MiniLM-L6-v2.Q8_0.gguf", "own.gguf");
    home.write("models/catalogue.toml", format!("schema = 1\n[[model]]\nname = \"own\"{entry}"));
    let (row, trace) = decide_one(&home, "m2", &node(0xd2), "hello");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("`thrall model pull own`"), "{reason} {trace}");
}
