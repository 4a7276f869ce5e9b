use std::collections::BTreeSet;

use super::file::KEYS;
use super::old_keys::{Became, OLD_KEYS, OLD_TABLES};
use super::*;

const EXAMPLE: &str = include_str!("../../thrall.example.toml");

const PASSWD: &str = "root:x:0:0::/:/bin/sh\nthrall:x:900:900::/:/bin/sh\nbot:x:1001:1001::/:/bin/sh\nana:x:1002:1002::/:/bin/sh\n";
const GROUP: &str = "thrall-agent:x:950:bot\nthrall-op:x:951:ana\n";

fn parsed(text: &str) -> Result<Config, Vec<Problem>> {
    parse("thrall.toml", text, &Accounts::parse(PASSWD, GROUP))
}

fn good(text: &str) -> Config {
    parsed(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn bad(text: &str) -> Vec<String> {
    match parsed(text) {
        Ok(_) => panic!("loaded: {text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The example with its keys uncommented; `##` marks an example that is no
/// default.
fn uncommented(with_examples: bool) -> String {
    let line = |line: &str| match line.strip_prefix("##") {
        Some(example) if with_examples && !example.starts_with(' ') => example.to_owned(),
        Some(_) => String::new(),
        None => match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => key.to_owned(),
            _ => String::new(),
        },
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Every `table.key` of a file; a declared source counts as `sources.NAME`.
fn keys(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_end_matches(']');
            table = if name.starts_with("sources.") {
                "sources.NAME".to_owned()
            } else {
                name.to_owned()
            };
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert(format!("{table}.{key}"));
        }
    }
    found
}

#[test]
fn the_example_as_it_is_sets_nothing() {
    let shipped = good(EXAMPLE);
    assert_eq!(format!("{shipped:?}"), format!("{:?}", good("")));
    assert!(shipped.enabled && shipped.sources.is_empty());
    let appended = good(&format!("{EXAMPLE}\n[trust_tiers]\nteam = [\"{}\"]\n", "ab".repeat(32)));
    assert_eq!(appended.trust.tier_of(&"ab".repeat(32)).as_str(), "team");
}

#[test]
fn the_examples_defaults_are_the_codes() {
    assert_eq!(format!("{:?}", good(&uncommented(false))), format!("{:?}", good("")));
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let in_code: BTreeSet<String> = KEYS
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(move |key| format!("{table}.{key}")))
        .filter(|key| {
            !KEYS.iter().any(|(table, _)| format!(".{table}") == *key) && key != ".sources"
        })
        .collect();
    let example = uncommented(true);
    assert_eq!(keys(&example), in_code);
    assert_eq!(good(&example).sources.len(), 1);
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = good("");
    assert_eq!(config.ignore_msg_types, ["ack", "delivery", "system"]);
    assert_eq!((config.model.queue_timeout.as_secs(), config.model.timeout.as_secs()), (5, 30));
    assert_eq!((config.pending.per_lane, config.pending.in_all), (256, 20_000));
    assert_eq!(config.tick_interval.as_secs(), 60);
    assert_eq!(config.node_id, None);
}

#[test]
fn values_are_taken_over() {
    let id = "AB".repeat(32);
    let config = good(&format!(
        "enabled = false\nignore_msg_types = []\ntick_interval_s = 5\n[node]\nid = \"{id}\"\n\
         [model]\ndefault = \"gemma3-1b\"\nqueue_timeout_s = 0.5\nthreads = 3\nthreshold = 0.25\n\
         [models]\nalias = {{ \"gemma3-1b\" = \"gemma3-270m\" }}\n\
         [sources.bridge]\ntriggers = [\"on_mail\"]\nmay_assert_sender = true\n[limits]\nmax_pending_per_lane = 7\nmax_pending = 5000\n"
    ));
    assert!(!config.enabled && config.ignore_msg_types.is_empty());
    assert_eq!(config.node_id, Some(id.to_lowercase()));
    assert_eq!((config.model.queue_timeout.as_millis(), config.model.threads), (500, 3));
    assert_eq!(config.models["gemma3-1b"], "gemma3-270m");
    assert_eq!((config.pending.per_lane, config.pending.in_all), (7, 5000));
    assert_eq!(
        config.sources,
        [Source {
            name: "bridge".to_owned(),
            triggers: vec!["on_mail".to_owned()],
            may_assert_sender: true
        }]
    );
}

#[test]
fn a_source_that_declares_nothing_speaks_for_no_log() {
    let triggers =
        |keys: &str| good(&format!("[sources.bridge]\n{keys}")).sources[0].triggers.clone();
    assert_eq!(triggers(""), ["on_mail", "on_event", "on_bus"]);
    assert_eq!(triggers("triggers = [\"on_log\"]\n"), ["on_log"]);
    assert!(bad("[sources.log]\n")[0].contains("is built in"));
}

#[test]
fn every_problem_is_named_with_its_place_and_the_nearest_word() {
    let found = bad(
        "enabeld = true\n[node]\nid = \"abcd\"\n[model]\nthreads = \"many\"\nqueue_timeout_s = -1\n[trust_tiers]\nteam = [\"xyz\"]\n",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found[0].starts_with("thrall.toml:1:1: unknown key \"enabeld\""), "{}", found[0]);
    assert!(found[0].ends_with("did you mean \"enabled\"?"), "{}", found[0]);
    assert!(found[1].starts_with("thrall.toml:3:6: [node] id is \"abcd\""), "{}", found[1]);
    assert!(found[2].contains("\"auto\" or a whole number"), "{}", found[2]);
    assert!(found[3].contains("[model] queue_timeout_s is -1"), "{}", found[3]);
    assert!(found[4].starts_with("thrall.toml:8:9:"), "{}", found[4]);
}

#[test]
fn short_team_ids_warn_or_are_refused() {
    let short = "team = [\"de2a6068a517c9d7\"]";
    let config = good(&format!("[trust_tiers]\n{short}"));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert_eq!(
        config.trust.tier_of(&format!("de2a6068a517c9d7{}", "0".repeat(48))).as_str(),
        "team"
    );
    let refused = bad(&format!("strict_team_ids = true\n[trust_tiers]\n{short}"));
    assert!(refused[0].contains("only the beginning of a node id: expected all 64"), "{refused:?}");
    let ambiguous = bad(&format!(
        "[trust_tiers]\nteam = [\"{}\"]\nknown = [\"{}\"]",
        "a".repeat(16),
        "a".repeat(20)
    ));
    assert!(ambiguous[0].contains("give full ids"), "{ambiguous:?}");
}

#[test]
fn a_source_cannot_be_the_host_or_the_operator() {
    let found = bad(
        "[sources.operator]\n[sources.bridge]\ntriggers = [\"on_tick\", \"on_male\"]\n[sources.\"Not A Name\"]\n",
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    let all = found.join("\n");
    for wanted in [
        "[sources.operator] is built in",
        "which only the host itself makes",
        "did you mean \"on_mail\"?",
        "cannot name a source",
    ] {
        assert!(all.contains(wanted), "{wanted} in {all}");
    }
    assert!(bad("[models]\nalias = { a = \"b\", b = \"c\" }\n")[0].contains("is an alias itself"));
}

/// Every plugin.toml that an earlier thrall had: the release notes' and the
/// handler's of v2, the operator guide's, and the last one with all its keys.
const OLD_FILES: [&str; 3] = [
    include_str!("../../../tests/fixtures/import/v2/plugin.toml"),
    include_str!("../../../tests/fixtures/import/v3/plugin.toml"),
    include_str!("../../../tests/fixtures/import/v3-last/plugin.toml"),
];

/// Keys in those files that no thrall read.
const NO_KEYS: [&str; 2] = ["config.future_key", "config.thrall.trust_tiers.friends"];

/// The paths of a table's keys; what is a row of the table is not looked into.
fn leaves(table: &toml::Table, prefix: &str, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) if old_keys::find(&path).is_none() => {
                leaves(inner, &path, found);
            }
            _ => drop(found.insert(path)),
        }
    }
}

#[test]
fn the_table_of_old_keys_holds_every_old_key_and_no_other() {
    let mut in_files = BTreeSet::new();
    for file in OLD_FILES {
        leaves(&file.parse().unwrap(), "", &mut in_files);
    }
    let in_table: BTreeSet<String> = OLD_KEYS.iter().map(|row| row.path.to_owned()).collect();
    assert_eq!(in_table.len(), OLD_KEYS.len(), "a key stands there twice");
    let real: BTreeSet<String> =
        in_files.into_iter().filter(|path| !NO_KEYS.contains(&path.as_str())).collect();
    assert_eq!(real, in_table);
    let mut tables = BTreeSet::new();
    for path in &in_table {
        tables.extend(path.match_indices('.').map(|(at, _)| path[..at].to_owned()));
    }
    let named: BTreeSet<String> = OLD_TABLES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(named, tables);
}

#[test]
fn every_new_key_of_the_table_exists_with_that_default() {
    let example: toml::Table = uncommented(true).parse().unwrap();
    let mut new_keys = 0;
    for row in OLD_KEYS {
        for text in row.defaults {
            assert!(format!("value = {text}").parse::<toml::Table>().is_ok(), "{}", row.path);
        }
        let Became::Key(new) = row.became else { continue };
        new_keys += 1;
        let keys = KEYS.iter().find(|(table, _)| *table == new.table).unwrap().1;
        assert!(keys.contains(&new.key), "{}: no key {}", row.path, new.name());
        let mut inside = &example;
        for part in new.table.split('.').filter(|part| !part.is_empty()) {
            inside = inside[part].as_table().unwrap();
        }
        let default: toml::Table = format!("value = {}", new.default).parse().unwrap();
        assert_eq!(inside[new.key], default["value"], "{}", row.path);
    }
    assert!(new_keys > 5);
}

/// The shortest file with a key at a path.
fn with_key(path: &str, value: &str) -> String {
    match path.rsplit_once('.') {
        Some((table, key)) => format!("[{table}]\n{key} = {value}\n"),
        None => format!("{path} = {value}\n"),
    }
}

#[test]
fn every_old_key_is_told_where_it_went_wherever_it_stands() {
    for row in OLD_KEYS {
        let short = row.path.trim_start_matches("config.").trim_start_matches("thrall.");
        for path in [row.path, short] {
            let top = path.split('.').next().unwrap();
            // Some kept their names.
            if KEYS[0].1.contains(&top) {
                continue;
            }
            let value = row.defaults.first().unwrap_or(&"1");
            let found = bad(&with_key(path, value));
            let key = row.path.rsplit('.').next().unwrap();
            let told = found
                .iter()
                .find(|problem| problem.contains(&format!("unknown key \"{key}\"")))
                .unwrap_or_else(|| panic!("{path} in {found:#?}"));
            assert!(!told.contains("expected one of"), "{told}");
            if let Became::Key(new) = row.became {
                assert!(told.contains(&format!("{} = {value}", new.name())), "{told}");
            }
            if let Became::Later(why) | Became::Instead(why) | Became::Gone(why) = row.became {
                assert!(told.contains(why), "{told}");
            }
        }
    }
}

#[test]
fn a_word_alone_is_told_only_where_there_is_no_doubt() {
    assert!(bad("[model]\nn_threads = 4\n")[0].ends_with("write [model] threads = 4"));
    assert!(bad("[model]\nmodel_path = \"x\"\n")[0].contains("thrall model pull"));
    assert!(
        bad("[thrall.trust_tiers]\nteam = []\n")[1].contains("write the table as [trust_tiers]")
    );
    // There were several of that name.
    assert!(bad("[http]\nurl = \"x\"\n")[0].contains("expected listen"));
    assert!(bad("[http]\nenabled = true\n")[0].contains("expected listen"));
}

#[test]
fn a_secret_is_not_repeated() {
    let found = bad("[config.thrall]\ncockpit_token = \"s3cret-token\"\n");
    assert!(
        found.iter().any(|problem| problem.contains("environment of the service")),
        "{found:?}"
    );
    assert!(!found.join("\n").contains("s3cret"), "{found:?}");
}

#[test]
fn users_and_groups_are_resolved_by_name_or_number() {
    let roles = good(
        "[roles]\noperator_users = [\"ana\", 4000]\noperator_groups = [\"thrall-op\"]\n\
         agent_users = [\"1500\"]\nagent_groups = [\"thrall-agent\"]\naccept_advisory = true\n",
    )
    .roles;
    assert_eq!((roles.operator_users, roles.operator_groups), (vec![1002, 4000], vec![951]));
    assert_eq!((roles.agent_users, roles.agent_groups), (vec![1500], vec![950]));
    let agents: Vec<_> = roles.agents.iter().map(|peer| (peer.uid, peer.gids.clone())).collect();
    assert_eq!(agents, [(1001, vec![950, 1001]), (1500, vec![])]);
    assert!(roles.accept_advisory);
}

#[test]
fn users_that_are_not_there_are_named_with_the_nearest() {
    let found = bad(
        "[roles]\nagent_users = [\"bott\"]\nagent_groups = [\"thral-agent\", -1, true]\noperator_users = \"ana\"\n",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(
        found[0].starts_with("thrall.toml:2:16: [roles] agent_users holds \"bott\""),
        "{}",
        found[0]
    );
    assert!(found[0].ends_with("did you mean \"bot\"?"), "{}", found[0]);
    assert!(found[1].ends_with("did you mean \"thrall-agent\"?"), "{}", found[1]);
    assert!(found[2].contains("group names or numbers") && found[3].contains("group names"));
    assert!(found[4].contains("[roles] operator_users is no list"), "{}", found[4]);
}

#[test]
fn http_listens_on_this_machine_alone() {
    assert_eq!(good("[http]\nlisten = \"\"\n").http, None);
    let given = |listen: &str| format!("[http]\nlisten = \"{listen}\"\n");
    assert_eq!(good(&given("127.0.0.1:7171")).http, "127.0.0.1:7171".parse().ok());
    assert_eq!(good(&given("[::1]:7171")).http, "[::1]:7171".parse().ok());
    for (wide, why) in [
        ("0.0.0.0:7171", "in the clear"),
        ("192.168.1.2:7171", "in the clear"),
        ("[::]:7171", "in the clear"),
        ("localhost:7171", "an address and a port"),
        ("7171", "an address and a port"),
    ] {
        let found = bad(&given(wide));
        assert!(found[0].starts_with("thrall.toml:2:10: [http] listen is"), "{found:?}");
        assert!(found[0].contains(why), "{found:?}");
    }
}

#[test]
fn the_agents_own_source_cannot_be_declared() {
    assert!(bad("[sources.agent]\nmay_assert_sender = true\n")[0].contains("is built in"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nonexistent/thrall.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/thrall.toml");
}
