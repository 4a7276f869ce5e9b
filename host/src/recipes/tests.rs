//! Recipe files from the outside: what loads, what is refused and in which
//! words. The parts have their own tests beside them.

mod evaluator_tests;
mod gather_tests;
mod parser_properties;
mod registry_tests;
mod shipped;

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{parse, parse_bytes};
use super::*;

pub(super) const MAIL_TRIAGE: &str =
    include_str!("../../../tests/fixtures/seed-recipes/mail-triage.toml");
const HEALTH_CHECK: &str = include_str!("../../../tests/fixtures/seed-recipes/health-check.toml");
const CLUSTER_PROBE: &str = include_str!("../../../tests/fixtures/seed-recipes/cluster-probe.toml");

pub(super) fn known() -> Known {
    let set =
        |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<String>>();
    let kinds =
        [("spam", "drop"), ("question", "wake"), ("greeting", "reply"), ("news", "compile")];
    Known {
        prompts: BTreeMap::from([
            (
                "triage".to_owned(),
                kinds
                    .iter()
                    .map(|(kind, action)| ((*kind).to_owned(), (*action).to_owned()))
                    .collect(),
            ),
            ("plain".to_owned(), BTreeMap::new()),
        ]),
        placeholders: BTreeMap::new(),
        models_on_disk: set(&["gemma3-270m"]),
        models_known: set(&["gemma3-270m", "gemma3-1b"]),
        model_aliases: BTreeMap::from([("small".to_owned(), "gemma3-270m".to_owned())]),
    }
}

fn good(text: &str) -> Recipe {
    parse("x", text, &known()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn bad(text: &str) -> Vec<String> {
    match parse("x", text, &known()) {
        Ok(_) => panic!("loaded: {text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The one problem of a file that is otherwise good.
fn only_problem(text: &str) -> String {
    let found = bad(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// A mail recipe with this in it.
fn mail(body: &str) -> String {
    format!("[trigger]\ntype = \"on_mail\"\n{body}")
}

#[test]
fn the_operator_guides_mail_triage_loads_unchanged() {
    let recipe = parse("mail-triage", MAIL_TRIAGE, &known()).unwrap();
    assert_eq!(recipe.mode, Mode::Automated);
    assert_eq!(recipe.trigger.msg_types, ["text", "offer"]);
    assert_eq!(recipe.filter.bypass.as_ref().unwrap().action, "wake");
    let limit = recipe.filter.rate_limit.as_ref().unwrap();
    assert_eq!((limit.window_s, limit.max, limit.action.as_str()), (60, 5, "compile"));
    assert_eq!(recipe.filter.cache_ttl_s, Some(120));
    assert!(recipe.filter.component.is_none());
    let [evaluator] = recipe.evaluators.as_slice() else { panic!("{:?}", recipe.evaluators) };
    assert_eq!((evaluator.stage.as_str(), evaluator.priority), ("evaluate", 50));
    let EvaluatorKind::Llm(llm) = &evaluator.kind else { panic!() };
    assert_eq!((llm.prompts.usual.as_str(), llm.model.as_deref()), ("triage", Some("gemma3-1b")));
    assert_eq!(recipe.fallback, Fallback::Action("compile".to_owned()));
    assert_eq!(
        recipe.actions.keys().collect::<Vec<_>>(),
        ["compile", "drop", "log", "reply", "wake"]
    );
    assert!(recipe.actions["wake"].is_declared && !recipe.actions["drop"].is_declared);
    let stage = json(&recipe.actions["compile"].stage.config);
    assert_eq!(
        stage,
        serde_json::json!({"config": {}, "stage": {
            "name": "compile", "type": "compile", "buffer": "mail-digest", "summon_threshold": 10,
            "summon_keywords": ["BUG", "DOWN", "URGENT", "CRITICAL", "SECURITY"]}})
    );
    // Its model is in the catalogue and not on this disk: said, not refused.
    let [warning] = recipe.warnings.as_slice() else { panic!("{:?}", recipe.warnings) };
    assert!(warning.contains("thrall model pull gemma3-1b"), "{warning}");
}

#[test]
fn the_operator_guides_tick_recipes_load_unchanged() {
    let health = parse("health-check", HEALTH_CHECK, &known()).unwrap();
    assert!(health.warnings.is_empty(), "{:?}", health.warnings);
    let cooldown = health.filter.cooldown.as_ref().unwrap();
    assert_eq!((cooldown.key.as_str(), cooldown.seconds), ("health-check", 300));
    let EvaluatorKind::Component(stage) = &health.evaluators[0].kind else { panic!() };
    assert_eq!(stage.component, ComponentSource::Bundled("declarative-rules".to_owned()));
    assert_eq!(json(&stage.config)["stage"]["rules"][0]["action"], "compile");

    let probe = parse("cluster-probe", CLUSTER_PROBE, &known()).unwrap();
    let act = json(&probe.actions["act"].stage.config);
    assert_eq!(act["stage"]["skill"], "knarr-mail");
    assert_eq!(act["stage"]["input"]["limit"], "1");
    assert_eq!(act["stage"]["type"], "act");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_right_word() {
    let text = mail("[filter]\ncoldown_key = \"x\"\n");
    let problem = only_problem(&text);
    assert!(problem.starts_with("recipes/x.toml:4:1: unknown key \"coldown_key\" in [filter]: expected one of trust_bypass, "), "{problem}");
    assert!(problem.ends_with("; did you mean \"cooldown_key\"?"), "{problem}");
}

#[test]
fn all_problems_of_a_file_are_told_in_order() {
    let text = "mode = \"auto\"\n[trigger]\ntype = \"on_male\"\n[filter]\nrate_limit_max = 5\n\
                [[evaluate.rules]]\nfield = \"a\"\npattern = \"(\"\naction = \"wkae\"\n[actions.reply]\n";
    let found = bad(text);
    let places: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "recipes/x.toml:1:8",
            "recipes/x.toml:3:8",
            "recipes/x.toml:4:2",
            "recipes/x.toml:8:11",
            "recipes/x.toml:9:10",
            "recipes/x.toml:10:10"
        ],
        "{found:#?}"
    );
    assert!(found[3].contains("not a regular expression: unclosed group"), "{}", found[3]);
    assert!(found[4].contains("leads to \"wkae\", which is not declared"), "{}", found[4]);
    assert!(found[5].contains("lacks template"), "{}", found[5]);
}

#[test]
fn hotwires_may_only_reach_declared_actions_and_models_are_warned_of() {
    let hotwire = mail("[filter]\ntrust_bypass = true\n[evaluate]\ndefault_action = \"log\"\n");
    let problem = only_problem(&hotwire);
    assert!(problem.contains("[filter] bypass_action (its default) leads to \"wake\", which is not declared: expected one of drop, log, or a table [actions.wake]"), "{problem}");
    let llm = good(&mail(
        "[filter]\ntrust_bypass = true\n[evaluate]\ntype = \"llm\"\nprompt = \"triage\"\nkinds = { news = \"digest\" }\n",
    ));
    let warnings = llm.warnings.join("\n");
    for wanted in [
        "\"wake\", which is not declared",
        "\"digest\", which is not declared",
        "\"reply\", which is not declared",
    ] {
        assert!(warnings.contains(wanted), "{wanted} in {warnings}");
    }
    // A rule beside a model is still a rule.
    let mixed = mail(
        "[[hotwires]]\ndefault_action = \"wake\"\n[evaluate]\ntype = \"llm\"\nprompt = \"plain\"\n",
    );
    assert!(only_problem(&mixed).contains("[[hotwires]] default_action leads to \"wake\""));
    assert!(good(&mail("[evaluate]\ndefault_action = \"drop\"\n")).warnings.is_empty());
    assert!(
        only_problem(&mail("[evaluate]\ndefault_action = \"wkae\"\n"))
            .ends_with("did you mean \"wake\"?")
    );
}

#[test]
fn summon_is_wake() {
    let recipe = good(&mail(
        "[filter]\ntrust_bypass = true\nbypass_action = \"summon\"\n[actions.summon]\ntask = \"Answer it.\"\n",
    ));
    let wake = &recipe.actions["wake"];
    assert_eq!((wake.name.as_str(), wake.task.as_deref()), ("wake", Some("Answer it.")));
    assert_eq!(json(&wake.stage.config)["stage"]["name"], "wake");
    assert_eq!(recipe.filter.bypass.unwrap().action, "wake");
    assert!(
        only_problem(&mail("[actions.summon]\n[actions.wake]\n")).contains("are the same action")
    );
}

#[test]
fn message_text_can_never_choose() {
    for (key, table) in [
        ("skill", "[actions.act]\nskill = \"{{envelope.body_text}}\"\n"),
        ("buffer", "[actions.compile]\nbuffer = \"b-{{envelope.msg_type}}\"\n"),
        ("to_node", "[actions.mail]\nbody = \"hi\"\nto_node = \"{{from_node}}\"\n"),
        (
            "target",
            "[actions.stop]\ntype = \"trip-breaker\"\ntarget = \"node:{{envelope.from_node}}\"\n",
        ),
        ("task", "[actions.wake]\ntask = \"do {{envelope.body_text}}\"\n"),
        ("trigger", "[actions.again]\ntype = \"trigger\"\ntrigger = \"{{envelope.body_text}}\"\n"),
    ] {
        let problem = only_problem(&mail(table));
        assert!(problem.contains(&format!("{key} may hold no placeholder")), "{key}: {problem}");
    }
    for bad_buffer in ["../x", "A", "a/b", ""] {
        assert!(
            only_problem(&mail(&format!("[actions.compile]\nbuffer = {bad_buffer:?}\n")))
                .contains("buffer is")
        );
    }
}

#[test]
fn placeholders_must_be_resolvable_where_they_stand() {
    let reply = |template: &str| {
        mail(&format!(
            "[actions.reply]\ntemplate = {template:?}\n[evaluate]\ndefault_action = \"reply\"\n"
        ))
    };
    for fine in [
        "{{envelope.body_text}}",
        "{{filter.tier}}",
        "{{context.mood}}",
        "{{eval.reason}}",
        "{{ verdict.kind }}",
        "{single}",
    ] {
        assert!(good(&reply(fine)).warnings.is_empty(), "{fine}");
    }
    for (template, reason) in [
        ("{{envelop.x}}", "did you mean `envelope`?"),
        ("{{tx_hash}}", "nothing is called `tx_hash`"),
        ("{{envelope}}", "lacks a name"),
        ("{{envelope.x", "without `}}`"),
        ("{{filter.teir}}", "did you mean \"tier\"?"),
        ("{{gather.peers}}", "no [[gather]] entry of this recipe has that name"),
        ("{{result.status}}", "no answer of a skill"),
        ("{{inject.greeting}}", "no filter of this recipe injects it"),
    ] {
        let problem = only_problem(&reply(template));
        assert!(problem.contains(reason), "{template}: {problem}");
        assert!(problem.starts_with("recipes/x.toml:4:12:"), "{problem}");
    }
    let injected = "[filter]\ninject = { greeting = \"hi {{filter.tier}}\" }\n[actions.reply]\ntemplate = \"{{inject.greeting}}\"\n";
    good(&mail(injected));
    assert!(
        only_problem(&mail("[filter]\ninject = { a = \"{{verdict.reason}}\" }\n"))
            .contains("there is no verdict yet")
    );
    let doubtful = good(&reply("{{envelope.boddy_text}}"));
    assert!(
        doubtful.warnings[0].ends_with("did you mean \"body_text\"?"),
        "{:?}",
        doubtful.warnings
    );
}

#[test]
fn the_cooldown_key_takes_fields_with_or_without_a_root() {
    let filter = |key: &str| {
        format!(
            "[trigger]\ntype = \"on_event\"\nevent_pattern = \"payment.*\"\n[filter]\ncooldown_key = {key:?}\ncooldown_seconds = 300\n"
        )
    };
    let recipe = good(&filter("payment-recv-{{tx_hash}}"));
    assert_eq!(recipe.filter.cooldown.unwrap().key, "payment-recv-{{tx_hash}}");
    assert!(only_problem(&filter("{{verdict.reason}}")).contains("is not known before the filter"));
    let whole = good("[trigger]\ntype = \"on_tick\"\n[filter]\ncooldown_seconds = 60\n");
    assert_eq!(whole.filter.cooldown.unwrap().key, "x");
}

/// Whoever asks waits: no question is passed over, and each has to be answered.
#[test]
fn a_question_is_neither_passed_over_nor_left_without_an_answer() {
    let guard = |rest: &str| format!("[trigger]\ntype = \"on_mail_send\"\n{rest}");
    good(&guard("[evaluate]\ndefault_action = \"block\"\n"));
    for (key, value) in
        [("cooldown_seconds", "600"), ("cooldown_key", "\"k\"\ncooldown_seconds = 600")]
    {
        let text = format!("[filter]\n{key} = {value}\n[evaluate]\ndefault_action = \"block\"\n");
        let problem = bad(&guard(&text)).remove(0);
        assert!(
            problem.contains(&format!("[filter] {key}: somebody waits for an answer"))
                && problem.contains("rate_limit_max, which block"),
            "{problem}"
        );
    }
    for (rest, by) in [
        ("[evaluate]\ndefault_action = \"drop\"\n", "default_action"),
        (
            "[evaluate]\ndefault_action = \"pass\"\n[[evaluate.rules]]\nfield = \"body_text\"\n\
             pattern = \"secret\"\naction = \"note\"\n[actions.note]\ntype = \"compile\"\n",
            "[[evaluate.rules]]",
        ),
    ] {
        let problem = only_problem(&guard(rest));
        assert!(
            problem.contains(by)
                && problem.contains("which gives whoever asks no answer")
                && problem.contains("one of block, pass"),
            "{problem}"
        );
    }
    // For mail that came in both are good.
    good(&mail("[filter]\ncooldown_seconds = 600\n"));
}

#[test]
fn patterns_are_bounded_and_compiled() {
    let rule = |pattern: &str| {
        mail(&format!(
            "[[evaluate.rules]]\nfield = \"body_text\"\npattern = {pattern:?}\naction = \"log\"\n"
        ))
    };
    good(&rule("^(urgent|dringend)\\b"));
    assert!(
        only_problem(&rule(&"a".repeat(1025))).contains("has 1025 bytes: expected at most 1024")
    );
    assert!(only_problem(&rule("(\\w{500}){500}")).contains("when compiled"));
    assert!(only_problem(&rule("")).contains("is empty"));
    assert!(only_problem(&rule("(?=x)")).contains("look-around"));
    // Good for the host, beyond the bounds of the component that runs it.
    assert!(only_problem(&rule("a{900}b{900}c{900}")).contains("[[evaluate.rules]] pattern: "));
    let trigger = good(&mail("match_field = \"body_text\"\nmatch_pattern = \"URGENT\"\n"));
    assert!(trigger.trigger.field_match.unwrap().pattern.is_match("this is urgent"));
}

#[test]
fn models_and_prompts_are_looked_up() {
    let llm = |model: &str, prompt: &str| {
        mail(&format!("[evaluate]\ntype = \"llm\"\nmodel = {model:?}\nprompt = {prompt:?}\n"))
    };
    assert!(good(&llm("small", "plain")).warnings.is_empty(), "an alias to a model on disk");
    assert!(only_problem(&llm("gemma3-27m", "plain")).ends_with("did you mean \"gemma3-270m\"?"));
    assert!(only_problem(&llm("small", "traige")).contains("prompt \"traige\" does not exist"));
    let typo = good(&format!(
        "{}[evaluate.kinds]\nspma = \"drop\"\n[actions.reply]\ntemplate = \"x\"\n[actions.wake]\n[actions.compile]\n",
        llm("small", "triage")
    ));
    assert_eq!(typo.warnings.len(), 1, "{:?}", typo.warnings);
    assert!(typo.warnings[0].ends_with("did you mean \"spam\"?"), "{:?}", typo.warnings);
}

#[test]
fn evaluators_are_ordered_and_fallback_hotwires_come_last() {
    let recipe = good(&mail(
        "[[hotwires]]\npriority = 10\ndefault_action = \"log\"\n\
         [[hotwires]]\ncomponent = \"repeat-offender.wasm\"\non_failure = \"block\"\n\
         [evaluate]\ntype = \"llm\"\nprompt = \"plain\"\nthreshold = 0.6\n",
    ));
    let order: Vec<(&str, i32)> = recipe
        .evaluators
        .iter()
        .map(|evaluator| (evaluator.stage.as_str(), evaluator.priority))
        .collect();
    assert_eq!(order, [("hotwire-1", 100), ("evaluate", 50), ("hotwire-0", 10)]);
    assert_eq!(recipe.evaluators[1].threshold, Thresholds::same(0.6));
    let EvaluatorKind::Component(own) = &recipe.evaluators[0].kind else { panic!() };
    assert_eq!(own.component, ComponentSource::File("repeat-offender.wasm".to_owned()));
    assert_eq!(own.on_failure, OnFailure::Block);
}

#[test]
fn rules_without_a_match_mean_log_unless_something_comes_after() {
    let default = |text: &str| {
        let recipe = good(&mail(text));
        let stage =
            recipe.evaluators.iter().find(|evaluator| evaluator.stage == "evaluate").cloned();
        let EvaluatorKind::Component(stage) = stage.unwrap().kind else { panic!() };
        json(&stage.config)["stage"]["default_action"].as_str().map(str::to_owned)
    };
    let rules = "[evaluate]\nrules = [{ field = \"body_text\", pattern = \"x\" }]\n";
    assert_eq!(default(rules).as_deref(), Some("log"));
    assert_eq!(default(&format!("{rules}fallback_action = \"drop\"\n")), None);
    assert_eq!(
        default(&format!("[[hotwires]]\npriority = 10\ndefault_action = \"drop\"\n{rules}")),
        None
    );
}

#[test]
fn only_what_stands_in_the_file_runs() {
    let names = |text: &str| {
        good(&mail(text))
            .stages()
            .iter()
            .map(|(name, _, stage)| format!("{name}={}", stage.component))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("[filter]\ntrust_bypass = false\n"),
        ["action-drop=declarative-steps", "action-log=declarative-steps"]
    );
    let filtered = names("[filter]\nrequire = [{ field = \"body_text\", pattern = \"x\" }]\n");
    assert_eq!(filtered[0], "filter=declarative-filter");
    let own = good(&mail(
        "[filter]\ncomponent = \"ack-noise.wasm\"\nreject = [{ field = \"body_text\", pattern = \"x\" }]\n",
    ));
    assert!(
        own.warnings.iter().any(|line| line.contains("the bundled filter does not run")),
        "{:?}",
        own.warnings
    );
    for odd in ["../x.wasm", "x", "X.wasm", ".wasm", "a/b.wasm"] {
        assert!(
            only_problem(&mail(&format!("[filter]\ncomponent = {odd:?}\n")))
                .contains("component is"),
            "{odd}"
        );
    }
}

#[test]
fn keys_belong_to_their_kind_of_action() {
    assert!(
        only_problem(&mail("[actions.reply]\ntemplate = \"x\"\nbuffer = \"b\"\n"))
            .contains("it belongs to actions of type = \"compile\", this one is \"reply\"")
    );
    assert!(only_problem(&mail("[actions.act]\n")).contains("[actions.act] lacks skill"));
    assert!(
        only_problem(&mail("[actions.approve]\n"))
            .contains("[actions.approve] does not say what it does")
    );
    assert!(
        only_problem(&mail("[actions.x]\ntype = \"rply\"\n")).ends_with("did you mean \"reply\"?")
    );
    assert!(
        only_problem(&mail("[actions.act]\nskill = \"s\"\ncontinue_as = \"after\"\n"))
            .contains("leads to \"after\"")
    );
    assert!(only_problem(&mail("[actions.Wake]\n")).contains("the name of an action is \"Wake\""));
    good(&mail("[actions.consult]\nskill = \"business-advisor-lite\"\n"));
    let steps = good(&mail(
        "[actions.apologise]\nsteps = [{ type = \"reply\", template = \"We look into it.\" }, { type = \"set_context\", key = \"k\", value = \"yes\", expires_in_s = 3600 }, { type = \"summon\" }]\ntask = \"Look into it.\"\n",
    ));
    let stage = json(&steps.actions["apologise"].stage.config);
    let kinds: Vec<&str> = stage["stage"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["reply", "set-context", "wake"]);
    assert!(
        only_problem(&mail("[actions.x]\nsteps = [{ type = \"reply\" }]\n"))
            .contains("[[actions.x.steps]] lacks template")
    );
}

#[test]
fn what_belongs_to_other_versions_is_said() {
    for (text, words) in [
        (
            "gather = \"peer_count\"\n[trigger]\ntype = \"on_tick\"\n",
            "gather is a string: expected names of facts, such as \"peer_count\", or tables",
        ),
        (
            "[trigger]\ntype = \"on_tick\"\n[compile]\nbuffer = \"x\"\n",
            "the buffer's settings stand under [actions.compile]",
        ),
        (
            "[trigger]\ntype = \"on_tick\"\n[evaluate]\ntype = \"learned\"\n",
            "[evaluate] type \"learned\" is not in this version of thrall: expected hotwire, llm or cascade",
        ),
        ("[trigger]\ntype = \"on_tick\"\ncooldown_seconds = 5\n", "it belongs under [filter]"),
        (
            "[trigger]\ntype = \"on_tick\"\nmsg_types = [\"text\"]\n",
            "msg_types belongs to type = \"on_mail\"",
        ),
    ] {
        let problem = only_problem(text);
        assert!(problem.contains(words), "{problem}");
    }
    let rule =
        only_problem(&mail("[[evaluate.rules]]\nfield = \"a\"\npattern = \"b\"\nmatch = \"c\"\n"));
    assert!(rule.contains("unknown key \"match\" in [[evaluate.rules]]: write field"), "{rule}");
    let longer = |more: &str| mail(&format!("[[evaluate.rules]]\nfield = \"body_text\"\n{more}\n"));
    assert!(good(&longer("longer_than = 4000")).warnings.is_empty());
    let both = only_problem(&longer("longer_than = 4000\npattern = \"x\""));
    assert!(both.contains("write two rules"), "{both}");
    assert!(only_problem(&longer("longer_than = -1")).contains("longer_than"));
}

#[test]
fn what_recipes_trigger_is_matched_by_name_and_carries_no_field_of_the_hosts() {
    let recipe = good("[trigger]\ntype = \"on_action\"\nevent_pattern = \"follow-*\"\n");
    assert_eq!(recipe.trigger.kind, "on_action");
    assert_eq!(recipe.trigger.event_pattern.as_deref(), Some("follow-*"));
    let problem = only_problem("[trigger]\ntype = \"on_tick\"\nevent_pattern = \"follow-*\"\n");
    assert!(
        problem.contains("event_pattern belongs to type = \"on_event\" or \"on_action\""),
        "{problem}"
    );

    let step = |field: &str| {
        mail(&format!(
            "[actions.trigger]\ntrigger = \"follow-up\"\nfields = {{ {field:?} = \"x\" }}\n"
        ))
    };
    good(&step("kind"));
    for forged in ["from_node", "host.tier", "event_name"] {
        let problem = only_problem(&step(forged));
        assert!(problem.contains(&format!("{forged:?}, which only the host sets")), "{problem}");
    }
}

#[test]
fn numbers_have_bounds_and_zero_switches_off() {
    assert!(
        only_problem(&mail("[filter]\ncache_ttl = -1\n"))
            .contains("expected a whole number from 0 to")
    );
    assert!(
        only_problem("priority = 5000\n[trigger]\ntype = \"on_tick\"\n")
            .contains("from -1000 to 1000")
    );
    let off = good(&mail(
        "[filter]\ncache_ttl = 0\nrate_limit_window = 0\nrate_limit_max = 5\ncooldown_key = \"k\"\ncooldown_seconds = 0\n",
    ));
    assert!(
        off.filter.cache_ttl_s.is_none()
            && off.filter.rate_limit.is_none()
            && off.filter.cooldown.is_none()
    );
}

#[test]
fn a_config_that_no_component_could_be_given_is_refused() {
    // Every quotation mark takes two bytes in JSON.
    let text = |marks: usize| {
        mail(&format!(
            "[evaluate]\ndefault_action = \"log\"\n[config]\nwords = '{}'\n",
            "\"".repeat(marks)
        ))
    };
    assert!(parse("x", &text(32_000), &known()).is_ok());
    let problems = parse("x", &text(33_000), &known()).unwrap_err();
    assert!(problems[0].to_string().contains("bytes of configuration: expected at most 65536"));
}

#[test]
fn files_that_are_no_recipe_are_refused_in_words() {
    assert!(only_problem("").contains("the file lacks [trigger]"));
    let utf8 = parse_bytes("x", b"a = \"\xff\"", &known()).unwrap_err();
    assert!(utf8[0].to_string().contains("not valid UTF-8 at byte 5"));
    let name = parse("../x", MAIL_TRIAGE, &known()).unwrap_err();
    assert!(name[0].to_string().contains("cannot name a recipe"), "{}", name[0]);
    assert_eq!(
        good("[trigger]\ntype = \"on_tick\"\n").mode,
        Mode::Manual,
        "whoever wants more writes it"
    );
}

#[test]
fn an_action_silences_by_what_it_does_not_by_its_name() {
    let recipe = good(
        r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "log"
[actions.bye]
type = "drop"
[actions.both]
steps = [{ type = "compile", buffer = "digest" }, { type = "reply", template = "Thanks." }]
[actions.keep]
type = "compile"
"#,
    );
    let silences = |name: &str| recipe.actions[name].silences();
    assert!(silences("bye") && silences("both") && silences("drop"));
    assert!(!silences("keep") && !silences("log"));
}

fn gathering(entries: &str) -> String {
    format!("[trigger]\ntype = \"on_tick\"\n{entries}")
}

#[test]
fn what_is_gathered_is_read_named_and_part_of_the_canonical_form() {
    let text = gathering(
        r#"
        [[gather]]
        name = "log"
        source = "file"
        path = "/var/log/node/serve.log"
        max_bytes = 4096
        [[gather]]
        name = "load"
        source = "file"
        path = "/run/load"
        [[evaluate.rules]]
        field = "gather.log"
        pattern = "oom"
        [actions.log]
        message = "{{gather.load}} {{envelope.gather.log}}"
        "#,
    );
    let recipe = good(&text);
    assert!(recipe.warnings.is_empty(), "{:?}", recipe.warnings);
    let found: Vec<_> = recipe
        .gather
        .iter()
        .map(|one| (one.name.as_str(), one.source.to_string(), one.max_bytes))
        .collect();
    assert_eq!(
        found,
        [
            ("log", "file /var/log/node/serve.log".to_owned(), 4096),
            ("load", "file /run/load".to_owned(), 65_536),
        ]
    );
    assert!(recipe.canonical_text.contains("/var/log/node/serve.log"));
    assert_ne!(recipe.canonical, good(&text.replace("4096", "4097")).canonical);
}

#[test]
fn a_gather_entry_that_could_mean_something_else_is_refused() {
    let entry = |source: &str, path: &str, more: &str| {
        gathering(&format!(
            "[[gather]]\nname = \"log\"\nsource = {source:?}\npath = {path:?}\n{more}\n"
        ))
    };
    for (path, reason) in [
        ("var/log/x", "is not absolute"),
        ("", "is not absolute"),
        ("/var/log/", "ends with a slash"),
        ("/", "ends with a slash"),
        ("/var/../etc/shadow", "holds an empty part, . or .."),
        ("/var/./x", "holds an empty part, . or .."),
        ("/var//x", "holds an empty part, . or .."),
        ("//x", "holds an empty part, . or .."),
        ("/x\n", "control character"),
        ("/logs/{{envelope.body_text}}", "holds a placeholder"),
    ] {
        let problem = only_problem(&entry("file", path, ""));
        assert!(problem.contains(reason), "{path:?}: {problem}");
        assert!(problem.starts_with("recipes/x.toml:6:8:"), "{problem}");
    }
    let long = format!("/{}", "a".repeat(4096));
    assert!(only_problem(&entry("file", &long, "")).contains("is too long"));
    let other = only_problem(&entry("fiel", "/status", ""));
    assert!(other.contains("source \"fiel\" is not in this version of thrall"), "{other}");
    assert!(other.ends_with("did you mean \"file\"?"), "{other}");
    for max_bytes in ["0", "65537", "-1", "\"1\""] {
        let problem = only_problem(&entry("file", "/x", &format!("max_bytes = {max_bytes}")));
        assert!(problem.contains("max_bytes"), "{problem}");
    }
    for (entries, reason) in [
        ("[[gather]]\nname = \"x\"\nsource = \"file\"\n", "[[gather]] lacks path"),
        ("[[gather]]\nname = \"x\"\npath = \"/x\"\n", "[[gather]] lacks source"),
        ("[[gather]]\nsource = \"file\"\npath = \"/x\"\n", "[[gather]] lacks name"),
        (
            "[[gather]]\nname = \"../x\"\nsource = \"file\"\npath = \"/x\"\n",
            "[[gather]] name is \"../x\"",
        ),
        (
            "[[gather]]\nname = \"x\"\nsource = \"file\"\npath = \"/x\"\nfollow = true\n",
            "unknown key \"follow\" in [[gather]]",
        ),
    ] {
        let problem = only_problem(&gathering(entries));
        assert!(problem.contains(reason), "{problem}");
    }
    let two = |first: (&str, &str), second: (&str, &str)| {
        let entries = [first, second].map(|(name, path)| {
            format!("[[gather]]\nname = {name:?}\nsource = \"file\"\npath = {path:?}\n")
        });
        only_problem(&gathering(&entries.concat()))
    };
    assert!(two(("a", "/x"), ("a", "/y")).contains("two [[gather]] entries are called \"a\""));
    assert!(two(("a", "/x"), ("b", "/x")).contains("[[gather]] reads file /x twice"));
    let many: String = (0..33)
        .map(|n| format!("[[gather]]\nname = \"n{n}\"\nsource = \"file\"\npath = \"/{n}\"\n"))
        .collect();
    assert!(only_problem(&gathering(&many)).contains("33 [[gather]] entries: expected at most 32"));
}

#[test]
fn gathered_data_is_named_only_where_it_is_there() {
    let entry = "[[gather]]\nname = \"log\"\nsource = \"file\"\npath = \"/x\"\n";
    let early = format!("{entry}[[filter.require]]\nfield = \"gather.log\"\npattern = \"x\"\n");
    assert!(only_problem(&gathering(&early)).contains("gathering comes after the filter"));
    let unknown = format!(
        "{entry}[[evaluate.rules]]\nfield = \"gather.lag\"\npattern = \"x\"\naction = \"log\"\n"
    );
    assert!(
        only_problem(&gathering(&unknown))
            .contains("no [[gather]] entry of this recipe has that name")
    );
}

#[test]
fn a_breaker_target_is_checked_where_it_is_written() {
    let trip = |target: &str| {
        mail(&format!("[actions.stop]\ntype = \"trip-breaker\"\ntarget = {target:?}\n"))
    };
    for target in ["global", "relay", "skill:knarr-mail", "node:aabbccddeeff0011"] {
        good(&trip(target));
    }
    for target in ["../x", "a/b", "skill:", "Relay", ".hidden", "relay/"] {
        let problem = only_problem(&trip(target));
        assert!(problem.contains("breaker target") && problem.contains("node:HEX"), "{problem}");
    }
}

#[test]
fn a_recipe_whose_breakers_would_be_taken_for_common_ones_is_refused() {
    for name in ["node", "skill", "global"] {
        let problems = parse(name, "[trigger]\ntype = \"on_tick\"\n", &known()).unwrap_err();
        assert!(problems[0].to_string().contains("its own breakers"), "{problems:?}");
    }
}

/// An on_log recipe with this in its trigger.
fn log_recipe(keys: &str) -> String {
    format!("[trigger]\ntype = \"on_log\"\n{keys}\n[evaluate]\ndefault_action = \"log\"\n")
}

#[test]
fn an_on_log_trigger_names_one_file_and_perhaps_a_pattern() {
    let recipe = good(&log_recipe(
        r"path = '/var/log/a'
pattern = 'error (?<code>\d+)'",
    ));
    let log = recipe.trigger.log.unwrap();
    assert_eq!(log.path, "/var/log/a");
    assert!(log.takes("an ERROR 7") && !log.takes("fine"), "without regard to case");
    let every = good(&log_recipe("path = '/var/log/a'")).trigger.log.unwrap();
    assert!(every.takes(""));
    for (keys, what) in [
        ("pattern = 'x'", "[trigger] lacks path"),
        ("path = 'var/log/a'", "[trigger] path \"var/log/a\" is not absolute"),
        ("path = '/var/log/{{envelope.file}}'", "holds a placeholder"),
        ("path = '/var/../etc/shadow'", ". or .."),
        ("path = '/a'\npattern = ''", "write \".*\""),
        ("path = '/a'\npattern = '('", "not a regular expression"),
        ("path = '/a'\npattern = '(?<from_node>.)'", "a group called \"from_node\""),
        ("path = '/a'\npattern = '(?<line>.)'", "a group called \"line\""),
        ("path = '/a'\npattern = '(?<group_9>.)'", "a group called \"group_9\""),
        ("path = '/a'\nsubscribe = 'x.y'", "subscribe belongs to type = \"on_bus\""),
        ("file = '/a'\npath = '/a'", "the file of an on_log trigger is its path"),
    ] {
        let problem = only_problem(&log_recipe(keys));
        assert!(problem.contains(what), "{keys}: {problem}");
    }
    let many = log_recipe(&format!("path = '/a'\npattern = '{}'", "(x)".repeat(33)));
    assert!(only_problem(&many).contains("33 groups"));
    let elsewhere = only_problem("[trigger]\ntype = \"on_tick\"\npath = '/a'\n");
    assert!(elsewhere.contains("path belongs to type = \"on_log\""), "{elsewhere}");
}

#[test]
fn the_groups_of_a_pattern_are_fields_that_can_be_named() {
    let with = |field: &str| {
        let trigger = r"path = '/a'
pattern = '(?<pool>\w+) (\d+)'";
        good(&format!(
            "{}[[evaluate.rules]]\nfield = \"{field}\"\npattern = \"x\"\naction = \"drop\"\n",
            log_recipe(trigger)
        ))
        .warnings
    };
    for field in ["line", "source_file", "template", "truncated", "group_1", "group_2", "pool"] {
        assert!(with(field).is_empty(), "{field}: {:?}", with(field));
    }
    assert!(with("group_3")[0].contains("brings no field \"group_3\""));
    assert!(with("pol")[0].contains("did you mean \"pool\""), "{:?}", with("pol"));
}

#[test]
fn nobody_subscribes_to_everything() {
    let bus = |pattern: &str| {
        format!(
            "[trigger]\ntype = \"on_bus\"\nsubscribe = '{pattern}'\n[evaluate]\ndefault_action = \"log\"\n"
        )
    };
    for pattern in
        ["", ".*", "^", "$", "x*", ".", ".+", r"\w", "[a-z]", "[^ ]", r"\D{6}", "credit|", "(|.)"]
    {
        let problem = only_problem(&bus(pattern));
        assert!(problem.contains("takes every event") && problem.contains("^credit"), "{problem}");
    }
    for pattern in [r"^credit\.", "failed$", "^(task|skill)[.]", "[0-9]"] {
        assert!(good(&bus(pattern)).trigger.subscribe.is_some(), "{pattern}");
    }
    let lacks = only_problem("[trigger]\ntype = \"on_bus\"\n");
    assert!(lacks.contains("[trigger] lacks subscribe"), "{lacks}");
    let glob =
        only_problem("[trigger]\ntype = \"on_bus\"\nsubscribe = 'a.b'\nevent_pattern = \"a\"\n");
    assert!(glob.contains("event_pattern belongs to"), "{glob}");
}
