//! Reads `thrall.toml`: strict, whole, with every problem named. Pure.

use std::time::Duration;

use super::{
    Config, Source, guard_section, model_section, old_keys, roles_section, switchboard_sections,
};
use crate::breakers::Trip;
use crate::engine::room::Bounds;
use crate::envelope::sender::{FULL_ID_LEN, MIN_PREFIX_LEN, Tier, TrustList, is_node_id};
use crate::envelope::{HOST_TRIGGERS, log_line};
use crate::ids::is_valid_name;
use crate::recipes::TriggerSpec;
use crate::roles::accounts::Accounts;
use crate::strict_toml::{self, Placed, Problem, Sink, Table};

/// Every key by its table; the top level is the empty name. `sources` holds
/// tables of the operator's own naming, each with the keys of `sources.NAME`.
pub(super) const KEYS: [(&str, &[&str]); 13] = [
    (
        "",
        &[
            "enabled",
            "ignore_msg_types",
            "strict_team_ids",
            "tick_interval_s",
            "dry_run",
            "breaker_expire_seconds",
            "responder",
            "compilation",
            "promotion",
            "guard",
            "node",
            "trust_tiers",
            "model",
            "models",
            "sources",
            "limits",
            "roles",
            "http",
        ],
    ),
    ("node", &["id"]),
    ("trust_tiers", &["team", "known", "blocked"]),
    (
        "model",
        &[
            "default",
            "queue_timeout_s",
            "timeout_s",
            "n_ctx",
            "threads",
            "threshold",
            "silence_threshold",
        ],
    ),
    ("models", &["alias"]),
    ("sources.NAME", &["triggers", "may_assert_sender"]),
    ("limits", &["max_pending", "max_pending_per_lane"]),
    (
        "roles",
        &["operator_users", "operator_groups", "agent_users", "agent_groups", "accept_advisory"],
    ),
    ("http", &["listen"]),
    ("responder", &["enabled"]),
    ("compilation", &["interval_s", "buffers"]),
    ("promotion", &["reviewed", "corrected"]),
    (
        "guard",
        &[
            "loop_threshold",
            "loop_threshold_sessionless",
            "loop_threshold_sender",
            "knock_threshold",
            "max_replies_per_hour_per_node",
            "max_wakes_per_hour",
            "max_replies_per_hour",
            "max_mails_per_hour",
        ],
    ),
];

/// Sources that exist without being declared.
const BUILT_IN_SOURCES: [&str; 6] =
    ["agent", "ingest", log_line::SOURCE, "operator", "tick", "thrall"];

/// What a source may bring that declares nothing. A line of a log is not among
/// it: it speaks for a file of this machine.
const USUAL_TRIGGERS: [&str; 3] = ["on_mail", "on_event", "on_bus"];

const DEFAULT_IGNORED: [&str; 3] = ["ack", "delivery", "system"];
const DEFAULT_TICK_S: u64 = 60;
/// Ten years.
const MAX_BREAKER_S: i64 = 10 * 365 * 24 * 3600;
const DEFAULT_PER_LANE: usize = 256;
const DEFAULT_PENDING: usize = 20_000;

fn keys_of(table: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(name, _)| *name == table).map_or(&[], |(_, keys)| keys)
}

/// Reads a configuration as it lies on disk. `file` is how it is called in
/// messages; names of users and groups are looked up in `accounts`.
///
/// # Errors
/// Every problem of the file, in its order.
pub(super) fn parse_bytes(
    file: &str,
    bytes: &[u8],
    accounts: &Accounts,
) -> Result<Config, Vec<Problem>> {
    let text = strict_toml::text_of(file, bytes).map_err(|problem| vec![problem])?;
    parse(file, text, accounts)
}

/// Reads a configuration. `file` is how it is called in messages; names of
/// users and groups are looked up in `accounts`.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn parse(file: &str, text: &str, accounts: &Accounts) -> Result<Config, Vec<Problem>> {
    let sink = Sink::new(file, text);
    let config = strict_toml::parse(&sink).map(|root| read(&Table::top(&sink, &root), accounts));
    let (errors, warnings) = sink.into_parts();
    match config {
        Some(config) if errors.is_empty() => {
            Ok(Config { warnings: warnings.iter().map(ToString::to_string).collect(), ..config })
        }
        _ => Err(errors),
    }
}

fn read(top: &Table<'_>, accounts: &Accounts) -> Config {
    old_keys::refuse(top, keys_of(""));
    let ignored = top
        .texts("ignore_msg_types")
        .map(|types| types.iter().map(|one| one.value.to_owned()).collect());
    Config {
        enabled: top.flag("enabled").unwrap_or(true),
        node_id: node_id(top),
        trust: trust(top),
        ignore_msg_types: ignored.unwrap_or_else(|| DEFAULT_IGNORED.map(str::to_owned).to_vec()),
        dry_run: top.flag("dry_run").unwrap_or(false),
        breaker_expire_s: top
            .integer("breaker_expire_seconds", 0..=MAX_BREAKER_S)
            .unwrap_or(Trip::DEFAULT_EXPIRY_S),
        responder_enabled: switchboard_sections::responder_enabled(top),
        compilation: switchboard_sections::compilation(top),
        promotion: switchboard_sections::promotion(top),
        limits: guard_section::limits(top),
        tick_interval: Duration::from_secs(
            top.integer("tick_interval_s", 1..=86_400).unwrap_or(DEFAULT_TICK_S),
        ),
        model: model_section::model(top),
        models: model_section::aliases(top),
        sources: sources(top),
        pending: pending(top),
        roles: roles_section::roles(top, accounts),
        http: roles_section::http(top),
        warnings: Vec::new(),
    }
}

/// A table with its unknown keys reported.
pub(super) fn section<'a>(top: &Table<'a>, name: &str) -> Option<Table<'a>> {
    let table = top.table(name)?;
    old_keys::refuse(&table, keys_of(name));
    Some(table)
}

fn node_id(top: &Table<'_>) -> Option<String> {
    let id = section(top, "node")?.text("id").filter(|id| !id.value.is_empty())?;
    if id.value.len() != FULL_ID_LEN || !is_node_id(id.value) {
        // A prefix would never equal the full id that mail carries.
        let what = format!("[node] id is {:?}", id.value);
        top.sink().error_expected(
            id.at,
            what,
            format!("the node's full id, {FULL_ID_LEN} hex characters"),
        );
    }
    Some(id.value.to_ascii_lowercase())
}

fn trust(top: &Table<'_>) -> TrustList {
    let is_strict = top.flag("strict_team_ids").unwrap_or(false);
    let Some(table) = section(top, "trust_tiers") else {
        return TrustList::default();
    };
    let mut entries = Vec::new();
    for (key, tier) in [("team", Tier::Team), ("known", Tier::Known), ("blocked", Tier::Blocked)] {
        for entry in table.texts(key).unwrap_or_default() {
            if is_entry(top, key, entry) {
                entries.push((entry.value.to_owned(), tier));
            }
            if tier == Tier::Team {
                check_team_length(top, entry, is_strict);
            }
        }
    }
    TrustList::new(entries).unwrap_or_else(|what| {
        top.sink().error(table.at(), what);
        TrustList::default()
    })
}

fn is_entry(top: &Table<'_>, key: &str, entry: Placed<&str>) -> bool {
    if is_node_id(entry.value) {
        return true;
    }
    let what = format!("[trust_tiers] {key} holds {:?}", entry.value);
    let expected =
        format!("node ids: {FULL_ID_LEN} hex characters, or at least the first {MIN_PREFIX_LEN}");
    top.sink().error_expected(entry.at, what, expected);
    false
}

/// A prefix can be made to fit by somebody who generates keys for long enough.
fn check_team_length(top: &Table<'_>, entry: Placed<&str>, is_strict: bool) {
    if !is_node_id(entry.value) || entry.value.len() == FULL_ID_LEN {
        return;
    }
    let what =
        format!("[trust_tiers] team holds {:?}, only the beginning of a node id", entry.value);
    if is_strict {
        top.sink().error_expected(
            entry.at,
            what,
            format!("all {FULL_ID_LEN} hex characters (strict_team_ids)"),
        );
    } else {
        top.sink().warn(
            entry.at,
            format!("{what}: write all {FULL_ID_LEN} characters, others could be made to match"),
        );
    }
}

fn sources(top: &Table<'_>) -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, table) in top.sections("sources") {
        old_keys::refuse(&table, keys_of("sources.NAME"));
        if !is_valid_name(name.value) {
            let what = format!("{} cannot name a source", table.name());
            top.sink().error_expected(
                name.at,
                what,
                "at most 64 of a-z, 0-9, - and _, a letter or digit first",
            );
        }
        if BUILT_IN_SOURCES.contains(&name.value) {
            let what =
                format!("{} is built in and cannot be declared: choose another name", table.name());
            top.sink().error(name.at, what);
        }
        sources.push(Source {
            name: name.value.to_owned(),
            triggers: triggers(&table),
            may_assert_sender: table.flag("may_assert_sender").unwrap_or(false),
        });
    }
    sources
}

fn triggers(table: &Table<'_>) -> Vec<String> {
    let declared = table.texts("triggers").unwrap_or_default();
    if declared.is_empty() {
        return USUAL_TRIGGERS.map(str::to_owned).to_vec();
    }
    let mut triggers = Vec::new();
    for trigger in declared {
        let what = format!("{} triggers holds {:?}", table.name(), trigger.value);
        if HOST_TRIGGERS.contains(&trigger.value) {
            table.sink().error(trigger.at, format!("{what}, which only the host itself makes"));
        } else if TriggerSpec::KINDS.contains(&trigger.value) {
            triggers.push(trigger.value.to_owned());
        } else {
            let valid = TriggerSpec::KINDS.into_iter().filter(|kind| !HOST_TRIGGERS.contains(kind));
            table.sink().wrong_word(trigger.at, what, trigger.value, valid);
        }
    }
    triggers
}

fn pending(top: &Table<'_>) -> Bounds {
    let limits = section(top, "limits");
    let number = |key: &str, range| limits.as_ref().and_then(|table| table.integer(key, range));
    Bounds {
        per_lane: number("max_pending_per_lane", 1..=100_000).unwrap_or(DEFAULT_PER_LANE),
        in_all: number("max_pending", 1_000..=10_000_000).unwrap_or(DEFAULT_PENDING),
    }
}
