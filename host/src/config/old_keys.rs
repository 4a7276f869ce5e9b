//! What became of the keys of the earlier thrall's `plugin.toml`. Whoever
//! carries a line over is told the new one instead of "unknown key".

use crate::strict_toml::Table;
use crate::strict_toml::table::Hint;

const NONE_YET: &str = "this version has nothing for it, and takes no key that it would not obey";

/// Old key, in whichever table it stood, and what to do now.
pub(super) const OLD_KEYS: [Hint<'static>; 39] = [
    ("name", "not needed: thrall is a program of its own"),
    ("version", "not needed: thrall is a program of its own"),
    ("handler", "not needed: thrall is a program of its own"),
    ("debug", "start with `thrall -v serve`, or set THRALL_LOG"),
    (
        "dry_run",
        "set mode = \"manual\" in grants/NAME.toml: the recipe then only says what it would do",
    ),
    ("max_replies_per_hour_per_node", NONE_YET),
    ("responder", NONE_YET),
    ("backend", "not needed: the model is embedded"),
    ("local", "its keys stand under [model]"),
    ("ollama", NONE_YET),
    ("openai", NONE_YET),
    (
        "cascade",
        "each recipe has its own: write type = \"cascade\" and first = { prompt = \"triage-l1\" } under its [evaluate]",
    ),
    (
        "model_path",
        "put the file into models/ with `thrall model pull NAME --from-file FILE`, then [model] default = \"NAME\"",
    ),
    ("model_name", "write [model] default = \"NAME\""),
    ("n_threads", "write [model] threads = 4, or leave it to the machine"),
    ("n_ctx", "write [model] n_ctx = 1024"),
    ("max_tokens", "not needed: labels are scored, no text is generated"),
    ("temperature", "not needed: labels are scored, no text is generated"),
    ("queue_timeout", "write [model] queue_timeout_s = 5"),
    ("timeout_seconds", "write [model] timeout_s = 30"),
    ("timeout", "write [model] timeout_s = 30"),
    ("fallback", "write fallback_action = \"tier\" under the recipe's [evaluate]"),
    ("prompt", "prompts are files in prompts/; a recipe names its own under [evaluate]"),
    ("cockpit_url", NONE_YET),
    ("cockpit_token", NONE_YET),
    ("classification_ttl_days", NONE_YET),
    ("loop_threshold", NONE_YET),
    ("loop_threshold_sessionless", NONE_YET),
    ("knock_threshold", NONE_YET),
    ("breaker_expire_seconds", NONE_YET),
    ("team", "write it under [trust_tiers]"),
    ("known", "write it under [trust_tiers]"),
    ("compilation", NONE_YET),
    ("interval_seconds", NONE_YET),
    ("buffer", "a recipe names its buffer under [actions.compile]"),
    ("workers", NONE_YET),
    ("config", "write its keys at the top level of thrall.toml"),
    ("thrall", "write its keys at the top level of thrall.toml"),
    ("ignore", "write ignore_msg_types at the top level"),
];

/// Reports the keys of a table that are not among the known ones. The tables
/// of the old file are looked into, so that each of their keys is told where
/// it has gone.
pub(super) fn refuse(table: &Table<'_>, known: &[&str]) {
    table.only(known, &OLD_KEYS);
    for name in ["config", "thrall", "local", "compilation", "responder"] {
        if !known.contains(&name)
            && let Some(inner) = table
                .value(name)
                .filter(|value| value.get_ref().is_table())
                .and_then(|_| table.table(name))
        {
            refuse_all(&inner);
        }
    }
}

/// Keys that kept their name and only moved.
const MOVED: [Hint<'static>; 3] = [
    ("enabled", "write enabled at the top level of thrall.toml"),
    ("ignore_msg_types", "write ignore_msg_types at the top level of thrall.toml"),
    ("trust_tiers", "write the table as [trust_tiers]"),
];

fn refuse_all(table: &Table<'_>) {
    let hints: Vec<Hint<'_>> = MOVED.iter().chain(&OLD_KEYS).copied().collect();
    table.only(&[], &hints);
    for name in ["thrall", "local", "compilation", "responder"] {
        if let Some(inner) = table
            .value(name)
            .filter(|value| value.get_ref().is_table())
            .and_then(|_| table.table(name))
        {
            refuse_all(&inner);
        }
    }
}
