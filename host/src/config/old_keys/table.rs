//! The table of old keys: data alone. Release notes of v2, guide of v3 and the
//! last v3 had different keys and defaults; all are here. To carry a key over
//! that had no new one, turn its row into a `to(...)`: import, the loader's hints
//! and the tests follow.

use super::{Became, NewKey, OldKey};

const fn to(
    path: &'static str,
    defaults: &'static [&'static str],
    table: &'static str,
    key: &'static str,
    default: &'static str,
) -> OldKey {
    OldKey { path, defaults, became: Became::Key(NewKey { table, key, default }) }
}

const fn later(path: &'static str, defaults: &'static [&'static str], why: &'static str) -> OldKey {
    OldKey { path, defaults, became: Became::Later(why) }
}

const fn instead(
    path: &'static str,
    defaults: &'static [&'static str],
    advice: &'static str,
) -> OldKey {
    OldKey { path, defaults, became: Became::Instead(advice) }
}

const fn gone(path: &'static str, defaults: &'static [&'static str], why: &'static str) -> OldKey {
    OldKey { path, defaults, became: Became::Gone(why) }
}

const fn secret(path: &'static str, place: &'static str) -> OldKey {
    OldKey { path, defaults: &["\"\""], became: Became::Secret(place) }
}

const PROGRAM: &str = "thrall is a program of its own";
const SCORED: &str = "labels are scored, no text is generated";
const EMBEDDED: &str = "only the embedded model is in this version";
const NODE: &str = "it comes with the connection to a node";
const CASCADE: &str = "each recipe has its own: write type = \"cascade\" and first = { prompt = \"triage-l1\" } under its [evaluate]";
const PACKS: &str = "knowledge packs are not in this version";
const MONEY: &str = "identity, wallet and settlements are not in this version";
const PLANNER: &str = "the scheduler is not in this version; a recipe on on_tick does such work";
const NEVER_READ: &str = "the earlier thrall never read it";
const MODEL_FILE: &str = "put the file into models/ with `thrall model pull NAME --from-file FILE`, then [model] default = \"NAME\"";

/// How the sentence about a secret begins.
pub(super) const WHERE: &str = "a secret does not belong into this file";

/// Every key of the earlier `plugin.toml`.
pub const OLD_KEYS: &[OldKey] = &[
    gone("name", &["\"knarr-thrall\""], PROGRAM),
    gone("version", &["\"3.0.0\""], PROGRAM),
    gone("handler", &["\"handler:ThrallPlugin\""], PROGRAM),
    to("config.enabled", &["true"], "", "enabled", "true"),
    instead("config.debug", &["false", "true"], "start with `thrall -v serve`, or set THRALL_LOG"),
    to("config.dry_run", &["false"], "", "dry_run", "false"),
    to(
        "config.ignore_msg_types",
        &["[\"ack\", \"delivery\", \"system\"]"],
        "",
        "ignore_msg_types",
        "[\"ack\", \"delivery\", \"system\"]",
    ),
    to(
        "config.max_replies_per_hour_per_node",
        &["5"],
        "guard",
        "max_replies_per_hour_per_node",
        "5",
    ),
    to("config.responder.enabled", &["true"], "responder", "enabled", "true"),
    instead(
        "config.thrall.enabled",
        &["true"],
        "enabled at the top level is the one switch: v2 let all mail pass with this one, v3 never read it",
    ),
    later("config.thrall.backend", &["\"local\"", "\"embedded\""], EMBEDDED),
    instead("config.thrall.model_path", &["\"\""], MODEL_FILE),
    instead("config.thrall.local.model_path", &["\"\""], MODEL_FILE),
    to("config.thrall.n_threads", &["4", "2"], "model", "threads", "\"auto\""),
    to("config.thrall.local.n_threads", &["4", "2"], "model", "threads", "\"auto\""),
    to("config.thrall.n_ctx", &["1024"], "model", "n_ctx", "2048"),
    to("config.thrall.local.n_ctx", &["1024"], "model", "n_ctx", "2048"),
    gone("config.thrall.max_tokens", &["128"], SCORED),
    gone("config.thrall.local.max_tokens", &["128"], SCORED),
    to("config.thrall.queue_timeout", &["5.0"], "model", "queue_timeout_s", "5.0"),
    to("config.thrall.timeout_seconds", &["30", "10"], "model", "timeout_s", "30.0"),
    instead(
        "config.thrall.fallback",
        &["\"tier\""],
        "write fallback_action = \"tier\" (or wake, or drop) under the recipe's [evaluate]",
    ),
    later("config.thrall.classification_ttl_days", &["30"], "the journal keeps its rows"),
    to("config.thrall.loop_threshold", &["2"], "guard", "loop_threshold", "2"),
    to(
        "config.thrall.loop_threshold_sessionless",
        &["5"],
        "guard",
        "loop_threshold_sessionless",
        "5",
    ),
    to("config.thrall.knock_threshold", &["10"], "guard", "knock_threshold", "10"),
    to("config.thrall.trust_tiers.team", &["[]"], "trust_tiers", "team", "[]"),
    to("config.thrall.trust_tiers.known", &["[]"], "trust_tiers", "known", "[]"),
    to("config.thrall.trust_tiers.blocked", &["[]"], "trust_tiers", "blocked", "[]"),
    to("config.compilation.interval_seconds", &["3600"], "compilation", "interval_s", "3600"),
    // Stays so beside `[compilation.buffers]`: that names intervals, this chose one buffer.
    gone(
        "config.compilation.buffer",
        &["\"mail-digest\""],
        "every buffer has the timer; a recipe names its own under [actions.compile]",
    ),
    later("config.thrall.cockpit_url", &["\"http://127.0.0.1:8080\""], NODE),
    secret(
        "config.thrall.cockpit_token",
        "with the connection to a node it goes into the environment of the service",
    ),
    later("config.thrall.cockpit_call_timeout", &["30"], NODE),
    later("config.thrall.poll_max_wait", &["60"], NODE),
    later("config.thrall.poll_initial_interval", &["2.0"], NODE),
    later("config.thrall.max_payload_bytes", &["60000"], NODE),
    instead(
        "config.thrall.priority_keywords",
        &["[\"URGENT\", \"CRITICAL\", \"OUTAGE\", \"INCIDENT\"]"],
        "a recipe names its own words: summon_keywords under [actions.compile]",
    ),
    // v2 had Ollama's keys beside the others, v3 in a table.
    later("config.thrall.ollama_url", &["\"http://localhost:11434\""], EMBEDDED),
    later("config.thrall.model", &["\"gemma3:1b\""], EMBEDDED),
    later("config.thrall.ollama.url", &["\"http://localhost:11434\""], EMBEDDED),
    later("config.thrall.ollama.model", &["\"gemma3:1b\"", "\"qwen3:32b\""], EMBEDDED),
    gone("config.thrall.ollama.temperature", &["0.1"], SCORED),
    gone("config.thrall.ollama.max_tokens", &["128", "256"], SCORED),
    later("config.thrall.ollama.num_ctx", &["1024", "2048"], EMBEDDED),
    later("config.thrall.ollama.timeout", &["5", "30"], EMBEDDED),
    later("config.thrall.openai.url", &["\"https://api.openai.com/v1\""], EMBEDDED),
    later("config.thrall.openai.model", &["\"gpt-4o-mini\""], EMBEDDED),
    secret("config.thrall.openai.api_key", EMBEDDED),
    later("config.thrall.openai.api_key_vault", &["\"\""], EMBEDDED),
    gone("config.thrall.openai.temperature", &["0.1"], SCORED),
    gone("config.thrall.openai.max_tokens", &["128", "1024"], SCORED),
    later("config.thrall.openai.timeout", &["10", "20"], EMBEDDED),
    later("config.thrall.openai.cost_budget_daily", &["0"], EMBEDDED),
    later("config.thrall.cascade.enabled", &["false", "true"], CASCADE),
    later("config.thrall.cascade.l1_backend", &["\"\"", "\"local\""], CASCADE),
    later("config.thrall.cascade.l1_prompt", &["\"triage-l1\""], CASCADE),
    later("config.thrall.rag_dir", &["\"\""], PACKS),
    later("config.thrall.knowledge.trust_level", &["\"none\"", "\"disabled\""], PACKS),
    later("config.thrall.knowledge.storage_dir", &["\"knowledge\""], PACKS),
    later("config.thrall.knowledge.max_domains", &["50"], PACKS),
    later("config.thrall.knowledge.max_chunks_per_domain", &["500"], PACKS),
    later("config.thrall.knowledge.max_pack_bytes", &["5242880"], PACKS),
    gone("config.thrall.knowledge.embedding_source", &["\"l1\""], NEVER_READ),
    later("config.thrall.knowledge.retrieval_mode", &["\"auto\""], PACKS),
    later("config.thrall.knowledge.embed_model", &["\"\""], PACKS),
    later("config.thrall.knowledge.embed_url", &["\"\""], PACKS),
    later("config.thrall.knowledge.rrf_k", &["60"], PACKS),
    later("config.thrall.knowledge.rerank_candidates", &["20"], PACKS),
    later("config.thrall.knowledge.wing", &["\"\""], PACKS),
    later("config.thrall.knowledge.overrides", &["{}"], PACKS),
    later("config.thrall.identity.enabled", &["false"], MONEY),
    later("config.thrall.identity.keyfile", &["\"thrall_identity.key\""], MONEY),
    later("config.thrall.wallet.ceiling", &["50.0"], MONEY),
    later("config.thrall.wallet.window_seconds", &["86400"], MONEY),
    later("config.thrall.wallet.enabled", &["true"], MONEY),
    later("config.thrall.circuit_breaker.failure_threshold", &["3"], MONEY),
    later("config.thrall.circuit_breaker.backoff_seconds", &["3600"], MONEY),
    later("config.thrall.circuit_breaker.max_backoff_seconds", &["86400"], MONEY),
    later("config.thrall.settlement_check_cooldown", &["3600"], MONEY),
    gone("config.thrall.telemetry.include_receipts", &["false"], NEVER_READ),
    later("config.thrall.scheduler.decision_interval", &["0"], PLANNER),
    gone("config.thrall.scheduler.slot_budget_pct", &["80"], NEVER_READ),
    later("config.thrall.scheduler.tool_use", &["false"], PLANNER),
    later("config.thrall.scheduler.decision_mode", &["\"recipe\""], PLANNER),
    later("config.thrall.scheduler.error_report_node", &["\"\""], PLANNER),
    gone("config.thrall.scheduler.goal", &["\"\""], NEVER_READ),
    gone("config.thrall.scheduler.own_skills", &["[]"], NEVER_READ),
];

/// The tables of the earlier `plugin.toml`, and what to say of one that stands
/// in `thrall.toml`.
pub const OLD_TABLES: &[(&str, &str)] = &[
    (
        "config",
        "it is a table of the earlier plugin.toml: `thrall import DIR` carries its folder over, and its keys stand at the top level here",
    ),
    ("config.responder", "it is a table of the earlier plugin.toml"),
    (
        "config.thrall",
        "it is a table of the earlier plugin.toml: its keys stand at the top level and under [model]",
    ),
    ("config.thrall.trust_tiers", "write the table as [trust_tiers]"),
    ("config.compilation", "it is a table of the earlier plugin.toml"),
    ("config.thrall.local", "its keys stand under [model]"),
    ("config.thrall.ollama", EMBEDDED),
    ("config.thrall.openai", EMBEDDED),
    ("config.thrall.cascade", CASCADE),
    ("config.thrall.knowledge", PACKS),
    ("config.thrall.identity", MONEY),
    ("config.thrall.wallet", MONEY),
    ("config.thrall.circuit_breaker", MONEY),
    ("config.thrall.telemetry", NEVER_READ),
    ("config.thrall.scheduler", PLANNER),
];

/// Words that were no keys, and that people write for one.
pub(super) const SLIPS: &[(&str, &str)] = &[
    ("model_name", "write [model] default = \"NAME\""),
    ("temperature", "not needed: labels are scored, no text is generated"),
    ("timeout", "write [model] timeout_s = 30"),
    ("prompt", "prompts are files in prompts/; a recipe names its own under [evaluate]"),
    ("breaker_expire_seconds", "write breaker_expire_seconds = 3600 at the top level"),
    ("workers", "this version has nothing for it, and takes no key that it would not obey"),
    ("ignore", "write ignore_msg_types at the top level"),
];
