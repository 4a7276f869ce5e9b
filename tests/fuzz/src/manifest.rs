//! Recipe files. What loads has one canonical form, which written out as TOML
//! again loads as the same recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use thrall::envelope::sender::Tier;
use thrall::recipes::{GatherSource, Known, Recipe, manifest as file};
use thrall::strict_toml::MAX_FILE_BYTES;

use crate::{places, shape};

/// Pieces of recipes.
pub const WORDS: &[&str] = &[
    "mode = \"automated\"\n",
    "priority = ",
    "stop = true\n",
    "[trigger]\n",
    "type = \"on_mail\"\n",
    "type = \"on_event\"\n",
    "msg_types = [\"text\"]\n",
    "event_pattern = \"*\"\n",
    "type = \"on_log\"\npath = \"/var/log/x\"\n",
    "pattern = '(?<code>\\d+)'\n",
    "type = \"on_bus\"\nsubscribe = '^credit'\n",
    "match_field = \"body_text\"\nmatch_pattern = \"a|b\"\n",
    "[filter]\n",
    "trust_bypass = true\n",
    "cooldown_key = \"{{from_node}}\"\ncooldown_seconds = 5\n",
    "rate_limit_window = 60\nrate_limit_max = 5\n",
    "cache_ttl = 60\n",
    "inject = { a = \"{{filter.tier}}\" }\n",
    "[[gather]]\nname = \"log\"\nsource = \"file\"\npath = \"/var/log/x\"\nmax_bytes = 4096\n",
    "field = \"gather.log\"\n",
    "gather = [\"peer_count\", \"journal.*\", { name = \"a\", source = \"static\", value = 1 }]\n",
    "source = \"journal\"\nwhat = \"count\"\nsince = \"24h\"\nlimit = 5\n",
    "source = \"cockpit\"\nroute = \"skills\"\npointer = \"/local/0\"\n",
    "source = \"flag\"\nkey = \"oom:x\"\n",
    "[evaluate]\n",
    "type = \"hotwire\"\n",
    "type = \"llm\"\nprompt = \"triage\"\n",
    "threshold = 0.5\n",
    "threshold = { known = 0.4, unknown = 0.7 }\n",
    "type = \"cascade\"\nfirst = { prompt = \"triage\", threshold = 0.6 }\n",
    "prompts = { known = \"triage\" }\n",
    "[[evaluate.senders]]\nnode = \"aabbccddeeff0011\"\nprompt = \"triage\"\n",
    "default_action = \"log\"\n",
    "fallback_action = \"tier\"\n",
    "[[evaluate.rules]]\nfield = \"body_text\"\npattern = \"x\"\naction = \"wake\"\n",
    "[[hotwires]]\n",
    "component = \"x.wasm\"\n",
    "on_failure = \"block\"\n",
    "[evaluate.kinds]\nspam = \"drop\"\n",
    "[actions.wake]\n",
    "[actions.stop]\ntype = \"trip-breaker\"\ntarget = \"skill:x\"\n",
    "[[actions.x.steps]]\ntype = \"reply\"\ntemplate = \"{{verdict.reason}}\"\n",
    "summon_keywords = [\"urgent\"]\n",
    "[config]\n",
    "{{inject.a}}",
    "{{gather.log}}",
    "\"\"\"",
    "'''",
    "\\u0000",
    "1979-05-27T07:32:00Z",
    "9223372036854775808",
    "1e999",
    "nan",
    "[[",
    "]]",
    "{",
    "= ",
    "# ",
    "\u{feff}",
    "\r\n",
];

/// The target.
#[must_use]
pub fn manifest(data: &[u8]) -> u64 {
    match file::parse_bytes("fuzzed", data, known()) {
        Err(problems) => places::check(data, &problems),
        Ok(recipe) => {
            check_bounds(&recipe);
            check_canonical(&recipe);
            let actions: Vec<&String> = recipe.actions.keys().collect();
            shape::of((&recipe.trigger.kind, actions, recipe.evaluators.len(), recipe.gather.len()))
        }
    }
}

fn check_bounds(recipe: &Recipe) {
    for evaluator in &recipe.evaluators {
        for tier in Tier::ALL {
            assert!((0.0..=1.0).contains(&evaluator.threshold.of(tier)), "{evaluator:?}");
        }
        for asking in evaluator.kind.questions() {
            assert!(known().prompts.contains_key(asking.prompt), "{asking:?}");
        }
    }
    for (_, _, stage) in recipe.stages() {
        let config: Result<serde_json::Value, _> = serde_json::from_str(&stage.config);
        assert!(config.is_ok(), "{stage:?}");
    }
    for source in &recipe.gather {
        assert!((1..=65_536).contains(&source.max_bytes), "{source:?}");
        let GatherSource::File(path) = &source.source else { continue };
        let parts = path.strip_prefix('/').map(|path| path.split('/').collect::<Vec<_>>());
        let is_plain =
            parts.is_some_and(|parts| parts.iter().all(|part| !matches!(*part, "" | "." | "..")));
        assert!(is_plain, "{source:?}");
    }
}

fn check_canonical(recipe: &Recipe) {
    let document: serde_json::Value = serde_json::from_str(&recipe.canonical_text).unwrap();
    let text = toml::to_string(&document).expect("what came from TOML can be written as TOML");
    if text.len() > MAX_FILE_BYTES {
        return;
    }
    match file::parse("fuzzed", &text, known()) {
        Ok(again) => assert_eq!(again.canonical_text, recipe.canonical_text, "{text}"),
        Err(problems) => panic!("its canonical form does not load: {problems:?}\n{text}"),
    }
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| Known {
        prompts: BTreeMap::from([(
            "triage".to_owned(),
            BTreeMap::from([("spam".to_owned(), "drop".to_owned())]),
        )]),
        placeholders: BTreeMap::new(),
        models_on_disk: BTreeSet::from(["gemma3-270m".to_owned()]),
        models_known: BTreeSet::from(["gemma3-270m".to_owned(), "gemma3-1b".to_owned()]),
        model_aliases: BTreeMap::new(),
    })
}
