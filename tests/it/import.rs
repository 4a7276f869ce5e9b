//! A plugin folder of the earlier thrall is carried over: what loads is placed
//! and granted in its own mode, what does not is named with its line, nothing
//! is overwritten, and a secret goes nowhere.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::{Ran, TestHome};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
/// The values of both secrets in the fixtures.
const SECRETS: [&str; 2] = ["cockpit-bearer-5f1e9a77", "sk-notreally-2b9cd1"];
/// Whoever runs tests is agent, operator and service in one.
const ROLES: &str = "[roles]\naccept_advisory = true\n";

/// A copy of a fixture's folder, as the earlier thrall left it.
struct Old {
    folder: TempDir,
}

impl Old {
    fn new(fixture: &str) -> Self {
        let folder = TempDir::new().unwrap();
        copy(&Path::new(FIXTURES).join("import").join(fixture), folder.path());
        Self { folder }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn replace(&self, inside: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path(inside)).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(self.path(inside), text.replace(old, new)).unwrap();
    }

    /// Without the one line that needs a person wherever the model is missing.
    fn without_model_path(self) -> Self {
        self.replace("plugin.toml", "model_path = \"/path/to/gemma3-1b.gguf\"\n", "");
        self
    }

    fn import(&self, home: &TestHome, more: &[&str]) -> Ran {
        let mut args = vec!["import", self.folder.path().to_str().unwrap()];
        args.extend(more);
        home.run(&args)
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A home with no recipe, prompt or setting of its own.
fn bare_home() -> TestHome {
    let home = TestHome::new();
    std::fs::remove_file(home.path("prompts/triage.toml")).unwrap();
    // The shipped prompt is in use by the database.
    std::fs::remove_file(home.path("state/thrall.db")).unwrap();
    untouched(&home);
    home
}

/// Puts the thrall.toml of `init` back.
fn untouched(home: &TestHome) {
    let example = format!("{FIXTURES}/../../host/thrall.example.toml");
    home.write("thrall.toml", std::fs::read(example).unwrap());
}

/// Every file below a folder, with what is in it; but for what every command that
/// looks may fill: the cache of compiled code, and what SQLite's readers share.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_empty = std::fs::metadata(&path).is_ok_and(|found| found.len() == 0);
        let is_shared =
            path.ends_with("thrall.db-shm") || (path.ends_with("thrall.db-wal") && is_empty);
        if path.ends_with("code-cache") || is_shared {
            continue;
        } else if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
}

/// Insists that two states of a folder are one, and names what is not.
fn assert_same(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let changed: Vec<_> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

/// The result of each thing, by what it is; the last one of a name.
fn results(report: &Value) -> BTreeMap<String, String> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
    report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(item, "what"), text(item, "result")))
        .collect()
}

fn item(report: &Value, what: &str) -> Value {
    let items = report["items"].as_array().unwrap();
    let found = items.iter().rev().find(|item| item["what"] == what);
    found.unwrap_or_else(|| panic!("{what} in {report:#}")).clone()
}

/// `file:line` of an item's problems.
fn places(item: &Value) -> Vec<String> {
    let problems = item["problems"].as_array().cloned().unwrap_or_default();
    problems
        .iter()
        .map(|one| format!("{}:{}", one["file"].as_str().unwrap(), one["line"]))
        .collect()
}

/// What `recipe list` says: state and mode, by name.
fn listed(home: &TestHome) -> BTreeMap<String, (String, String)> {
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["name"]), (text(&one["state"]), text(&one["mode"]))))
        .collect()
}

fn live(mode: &str) -> (String, String) {
    ("live".to_owned(), mode.to_owned())
}

#[test]
fn the_operator_guides_folder_runs_as_the_guide_says() {
    let (home, old) = (bare_home(), Old::new("v3").without_model_path());
    let report = old.import(&home, &["--json"]).ok().json();
    let carried: Vec<String> = results(&report)
        .into_iter()
        .filter(|(_, result)| result == "carried")
        .map(|(what, _)| what)
        .collect();
    assert_eq!(
        carried,
        [
            "config.thrall.queue_timeout",
            "config.thrall.trust_tiers.known",
            "config.thrall.trust_tiers.team",
            "prompts/triage.toml",
            "recipes/cluster-probe.toml",
            "recipes/health-check.toml",
            "recipes/mail-triage.toml",
        ],
        "{report:#}"
    );

    home.configure(ROLES);
    for name in ["cluster-probe", "health-check", "mail-triage"] {
        assert_eq!(listed(&home)[name], live("automated"), "{name}");
        let file = format!("recipes/{name}.toml");
        assert_eq!(
            std::fs::read(home.path(&file)).unwrap(),
            std::fs::read(old.path(&file)).unwrap(),
            "{name} is the same, byte for byte"
        );
    }
    let grant: toml::Table =
        std::fs::read_to_string(home.path("grants/mail-triage.toml")).unwrap().parse().unwrap();
    let operations: Vec<&String> = grant["operations"].as_table().unwrap().keys().collect();
    assert_eq!(operations, ["compile", "reply", "wake"], "what it declares, and no more");
    assert_eq!(grant["imports"].as_array().unwrap().len(), 1);

    // Team bypasses the model and wakes; who is unknown is collected while the
    // model is missing, ten such or an alarm summon; the sixth in a minute is
    // limited; acknowledgements never get in.
    let team = format!("de2a6068a517c9d7{}", "0".repeat(48));
    let mut events = vec![
        mail("team", &team, "lunch?"),
        mail("news", &node(0xd1), "just some news"),
        mail("alarm", &node(0xd2), "the relay is DOWN"),
    ];
    let mut ack = mail("ack", &node(0xd3), "got it");
    ack["fields"]["msg_type"] = json!("ack");
    events.push(ack);
    events.extend((0..6).map(|n| mail(&format!("many{n}"), &node(0xd4), &format!("again {n}"))));
    home.ingest(&lines(events)).ok();
    let row = |id: &str| home.journal().into_iter().find(|row| row["envelope_id"] == id).unwrap();
    let decided = |id: &str| (row(id)["eval_type"].clone(), row(id)["action_name"].clone());
    assert_eq!(decided("team"), ("bypass".into(), "summon".into()));
    assert_eq!(row("news")["action_name"], "compile");
    assert_eq!(row("alarm")["action_name"], "compile+summon");
    assert_eq!(row("ack")["recipe"], "", "{}", row("ack"));
    assert_ne!(decided("many4").0, "rate_limit");
    assert_eq!(decided("many5"), ("rate_limit".into(), "rate_limited".into()));
    assert_eq!(row("many5")["action"], "compile", "{}", row("many5"));
}

#[test]
fn a_second_import_changes_nothing() {
    let (home, old) = (bare_home(), Old::new("v3").without_model_path());
    let before = files(old.folder.path());
    old.import(&home, &[]).ok();
    let first = files(&home.path(""));
    let report = old.import(&home, &["--json"]).ok().json();
    assert_same(&files(&home.path("")), &first);
    let carried: Vec<_> =
        results(&report).into_iter().filter(|(_, result)| result == "carried").collect();
    assert!(carried.is_empty(), "{carried:?}");
    for what in
        ["recipes/mail-triage.toml", "prompts/triage.toml", "config.thrall.trust_tiers.team"]
    {
        assert_eq!(results(&report)[what], "already there", "{what}");
    }
    old.import(&home, &["--force"]).ok();
    assert_same(&files(&home.path("")), &first);
    assert_same(&files(old.folder.path()), &before);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let (home, old) = (bare_home(), Old::new("v3"));
    v2_database(&old, &[]);
    let (home_before, old_before) = (files(&home.path("")), files(old.folder.path()));
    let dry = old.import(&home, &["--dry-run", "--json"]);
    assert_same(&files(&home.path("")), &home_before);
    assert_same(&files(old.folder.path()), &old_before);
    let wet = old.import(&home, &["--json"]);
    assert_eq!((dry.code, dry.json()["dry_run"].clone()), (wet.code, json!(true)));
    assert_eq!(dry.json()["items"], wet.json()["items"]);
    let people = old.import(&bare_home(), &["--dry-run"]);
    assert!(people.stderr.contains("nothing was written; it would be: "), "{people:?}");
}

#[test]
fn what_lies_there_is_not_overwritten_unless_forced() {
    let home = TestHome::shipped();
    let old = Old::new("v3").without_model_path();
    let before = files(&home.path(""));
    let ran = old.import(&home, &["--json"]);
    assert_eq!(ran.code, 1);
    let report = ran.json();
    for (file, place) in [
        ("recipes/mail-triage.toml", "recipes/mail-triage.toml"),
        ("recipes/health-check.toml", "recipes/health-check.toml"),
        ("prompts/triage.toml", "prompts/triage.toml"),
    ] {
        assert_eq!(results(&report)[file], "needs you");
        assert!(item(&report, file)["detail"].as_str().unwrap().contains("--force replaces it"));
        let path = home.path(place);
        assert_eq!(std::fs::read(&path).unwrap(), before[&path], "{file}");
    }
    // Its thrall.toml has a key, so the lines are said instead of written.
    assert_eq!(
        report["paste"],
        json!([
            "[model]",
            "queue_timeout_s = 2.5",
            "[trust_tiers]",
            "team = [\"de2a6068a517c9d7\", \"840d544087cbacb1\"]",
            "known = [\"d9196be699447a12\"]",
        ])
    );
    let toml = home.path("thrall.toml");
    assert_eq!(std::fs::read(&toml).unwrap(), before[&toml]);

    let forced = old.import(&home, &["--force", "--json"]).ok().json();
    assert_eq!(results(&forced)["recipes/mail-triage.toml"], "carried");
    let text = std::fs::read_to_string(&toml).unwrap();
    assert!(text.contains("\n[model]\n") && text.contains("\nqueue_timeout_s = 2.5\n"), "{text}");
    assert!(text.contains("accept_advisory = true"), "what was set stays set: {text}");
    assert_eq!(listed(&home)["mail-triage"], live("automated"));
    assert_eq!(listed(&home)["health-check"], live("automated"));
}

#[test]
fn a_grant_of_that_name_stands_until_it_is_looked_at() {
    let (home, old) = (bare_home(), Old::new("v3").without_model_path());
    home.write("grants/health-check.toml", "mode = \"manual\"\n");
    let ran = old.import(&home, &["--json"]);
    assert_eq!(
        (ran.code, results(&ran.json())["recipes/health-check.toml"].as_str()),
        (1, "needs you")
    );
    assert!(!home.path("recipes/health-check.toml").exists());
    // A revoked grant does not come back by importing again.
    home.run(&["grant", "revoke", "cluster-probe"]).ok();
    let again = old.import(&home, &["--json"]).json();
    assert!(
        item(&again, "recipes/cluster-probe.toml")["detail"]
            .as_str()
            .unwrap()
            .contains("has no grant")
    );
    assert!(!home.path("grants/cluster-probe.toml").exists());
}

/// v2's database, with the prompt that its handler had built in, and more.
fn v2_database(old: &Old, more: &[(&str, &str, i64)]) {
    let prompt: toml::Table =
        std::fs::read_to_string(format!("{FIXTURES}/seed-prompts/triage-v2.toml"))
            .unwrap()
            .parse()
            .unwrap();
    let database = rusqlite::Connection::open(old.path("thrall.db")).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database
        .execute_batch(
            "CREATE TABLE thrall_classifications (rowid INTEGER PRIMARY KEY AUTOINCREMENT, from_node TEXT NOT NULL);
             CREATE TABLE thrall_prompts (name TEXT PRIMARY KEY, content TEXT NOT NULL, hash TEXT NOT NULL,
                 pushed_by TEXT NOT NULL, pushed_at REAL NOT NULL, active INTEGER DEFAULT 1)",
        )
        .unwrap();
    let mut rows = vec![("triage", prompt["content"].as_str().unwrap(), 1)];
    rows.extend(more);
    for (name, content, active) in rows {
        database
            .execute(
                "INSERT INTO thrall_prompts VALUES (?1, ?2, 'x', 'hardcoded', 1.0, ?3)",
                (name, content, active),
            )
            .unwrap();
    }
}

#[test]
fn v2s_prompt_comes_out_of_its_database_with_both_hashes() {
    let (home, old) = (TestHome::shipped(), Old::new("v2"));
    std::fs::remove_file(home.path("prompts/triage.toml")).unwrap();
    v2_database(&old, &[("older", "Tier {tier}", 0), ("bad", "Tier {tier} {", 1)]);
    let before = files(old.folder.path());
    let ran = old.import(&home, &["--json"]);
    assert_same(&files(old.folder.path()), &before);
    let report = ran.json();
    assert_eq!(results(&report)["thrall.db: prompt triage"], "carried");
    // First 16 hex of SHA-256 of the text, as v2's own journal rows have it.
    let notes = item(&report, "thrall.db: prompt triage")["notes"].to_string();
    let text = {
        let file: toml::Table =
            std::fs::read_to_string(home.path("prompts/triage.toml")).unwrap().parse().unwrap();
        file["content"].as_str().unwrap().to_owned()
    };
    let seed: toml::Table =
        std::fs::read_to_string(format!("{FIXTURES}/seed-prompts/triage-v2.toml"))
            .unwrap()
            .parse()
            .unwrap();
    assert_eq!(Some(text.as_str()), seed["content"].as_str());
    assert!(notes.contains(&format!("the hash of its text is {}", hash(&text))), "{notes}");
    let converted = text
        .replace("{tier}", "\u{1}")
        .replace("{{", "{")
        .replace("}}", "}")
        .replace('\u{1}', "{{filter.tier}}");
    assert!(
        notes.contains(&format!("as it is read here its hash is {}", hash(&converted))),
        "{notes}"
    );

    assert_eq!(results(&report)["thrall.db: prompt bad"], "needs you");
    assert!(!results(&report).contains_key("thrall.db: prompt older"));
    assert_eq!(results(&report)["thrall.db"], "left out", "the journal");
    assert!(item(&report, "recipes/")["detail"].as_str().unwrap().contains("mail-triage"));
    assert!(!item(&report, "thrall.db")["detail"].as_str().unwrap().is_empty());
    assert_eq!(listed(&home)["mail-triage"], live("automated"));

    // The settings fit v2's: the team wakes, a type that it ignored stays out.
    old.import(&home, &["--force"]);
    let team = format!("de2a6068a517c9d7{}", "0".repeat(48));
    let mut receipt = mail("receipt", &node(0xd3), "read");
    receipt["fields"]["msg_type"] = json!("receipt");
    home.ingest(&lines([mail("team", &team, "lunch?"), receipt])).ok();
    let row = |id: &str| home.journal().into_iter().find(|row| row["envelope_id"] == id).unwrap();
    assert_eq!(row("team")["action_name"], "summon");
    assert_eq!(row("receipt")["recipe"], "", "{}", row("receipt"));
}

fn hash(text: &str) -> String {
    thrall::ids::Digest::of(text.as_bytes()).short()
}

#[test]
fn a_database_in_use_is_not_half_read() {
    let (home, old) = (bare_home(), Old::new("v2"));
    v2_database(&old, &[]);
    let open = rusqlite::Connection::open(old.path("thrall.db")).unwrap();
    open.execute("UPDATE thrall_prompts SET pushed_at = 2.0", []).unwrap();
    let report = old.import(&home, &["--json"]).json();
    assert_eq!(results(&report)["thrall.db: prompts"], "needs you");
    assert!(!home.path("prompts/triage.toml").exists());
    drop(open);
    old.import(&home, &[]);
    assert!(home.path("prompts/triage.toml").exists());
}

#[test]
fn the_last_v3s_folder_is_carried_as_far_as_it_loads() {
    let (home, old) = (bare_home(), Old::new("v3-last"));
    let ran = old.import(&home, &["--json"]);
    assert_eq!(ran.code, 1);
    let report = ran.json();
    home.configure(ROLES);
    assert_eq!(listed(&home)["queue-backpressure"], live("automated"), "its mode was the default");
    assert_eq!(listed(&home)["log-tail"], live("manual"));
    assert_eq!(listed(&home)["selftest"].0, "disabled");
    let text = std::fs::read_to_string(home.path("recipes/log-tail.toml")).unwrap();
    assert!(text.contains("note = \"{{gather.log}}\""), "{text}");
    let notes = |what: &str| item(&report, what)["notes"].to_string();
    assert!(notes("recipes/log-tail.toml").contains("{{ log }} is written {{gather.log}} now"));
    assert!(notes("recipes/queue-backpressure.toml").contains("mode = "));
    assert!(notes("prompts/chat.toml").contains("its hash was"));

    // Each with its line, and what to write instead.
    for (what, place, advice) in [
        ("recipes/advisor-consult.toml", "recipes/advisor-consult.toml:12", "leave it out"),
        ("recipes/broken.toml", "recipes/broken.toml:3", "expected `]`"),
        ("recipes/cashout-trigger.toml", "recipes/cashout-trigger.toml:9", "[[evaluate.rules]]"),
        ("recipes/digest.toml", "recipes/digest.toml:10", "compile"),
        ("recipes/wm-review.toml", "recipes/wm-review.toml:11", "write field = "),
    ] {
        let item = item(&report, what);
        assert_eq!(item["result"], "needs you", "{what}");
        assert!(places(&item).contains(&place.to_owned()), "{item:#}");
        assert!(item["problems"].to_string().contains(advice), "{item:#}");
        assert!(!home.path(what).exists(), "{what} is left out");
        let name = what.strip_prefix("recipes/");
        assert!(name.is_none_or(|name| !home.path("grants").join(name).exists()), "{what}");
    }
    // A list of fields to gather: placed if it loads, else named with its line.
    let probe = item(&report, "recipes/swarm-probe.toml");
    if probe["result"] == "carried" {
        assert_eq!(listed(&home)["swarm-probe"], live("automated"));
    } else {
        assert!(places(&probe).contains(&"recipes/swarm-probe.toml:2".to_owned()), "{probe:#}");
    }
    assert_eq!(results(&report)["recipes/: other files"], "left out");
    assert_eq!(results(&report)["config.future_key"], "left out");
    assert_eq!(results(&report)["config.thrall.trust_tiers.friends"], "needs you");
    assert_eq!(results(&report)["config.thrall.local.n_threads"], "carried");
}

#[test]
fn a_choice_that_is_not_obeyed_is_never_left_out_quietly() {
    let (home, old) = (bare_home(), Old::new("v3-last"));
    old.replace("plugin.toml", "trust_level = \"none\"", "trust_level = \"open\"");
    old.replace("plugin.toml", "dry_run = false", "dry_run = true");
    let ran = old.import(&home, &["--json"]);
    let said = results(&ran.json());
    assert_eq!((ran.code, said["config.thrall.knowledge.trust_level"].as_str()), (1, "needs you"));
    assert_eq!(said["config.thrall.knowledge.max_domains"], "left out", "the earlier default");
    assert!(["needs you", "carried"].contains(&said["config.dry_run"].as_str()));
}

#[test]
fn lines_are_those_of_the_old_file_where_a_mode_was_put_before_it() {
    let (home, old) = (bare_home(), Old::new("v3-last"));
    old.replace(
        "recipes/queue-backpressure.toml",
        "default_action = \"log\"",
        "default_action = \"logg\"",
    );
    let report = old.import(&home, &["--json"]).json();
    let item = item(&report, "recipes/queue-backpressure.toml");
    assert_eq!(places(&item), ["recipes/queue-backpressure.toml:12"], "{item:#}");
}

#[test]
fn a_secret_is_neither_copied_nor_shown() {
    for fixture in ["v3", "v3-last"] {
        let (home, old) = (bare_home(), Old::new(fixture));
        let careless = format!(
            "mode = \"automated\"\n[trigger]\ntype = \"on_tick\"\n[evaluate]\ndefault_action = \"act\"\n\
             [actions.act]\nskill = \"knarr-mail\"\ninput = {{ token = \"{}\" }}\n",
            SECRETS[0]
        );
        std::fs::write(old.path("recipes/careless.toml"), careless).unwrap();
        let mut said = String::new();
        for args in [&["--dry-run"][..], &["-v", "-v"], &["--json"], &["--force"]] {
            let ran = old.import(&home, args);
            said.push_str(&format!("{ran:?}"));
        }
        // Nor where the file is broken, at that very line or before it.
        for (old_text, new) in [
            (format!("\"{}\"", SECRETS[0]), format!("\"{}", SECRETS[0])),
            (
                format!("cockpit_token = \"{}", SECRETS[0]),
                format!("cockpit_token = {}", SECRETS[0]),
            ),
            ("[config.thrall]".to_owned(), "[config.thrall".to_owned()),
        ] {
            old.replace("plugin.toml", &old_text, &new);
            let ran = old.import(&home, &["--json"]);
            assert!(!places(&item(&ran.json(), "plugin.toml")).is_empty(), "{ran:?}");
            said.push_str(&format!("{ran:?}"));
        }
        for secret in SECRETS {
            assert!(!said.contains(secret), "{said}");
            for (path, content) in files(&home.path("")) {
                let is_in = content.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!is_in, "{} holds it", path.display());
            }
        }
    }
}

#[test]
fn a_hostile_folder_is_bounded_and_said() {
    let (home, old) = (bare_home(), Old::new("v3").without_model_path());
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret.toml");
    std::fs::write(&secret, "mode = \"automated\"\n[trigger]\ntype = \"on_tick\"\n[evaluate]\ndefault_action = \"log\"\n").unwrap();
    symlink(&secret, old.path("recipes/linked.toml")).unwrap();
    symlink(outside.path(), old.path("recipes/deep.toml")).unwrap();
    std::fs::write(old.path("recipes/huge.toml"), "# x\n".repeat(400_000)).unwrap();
    std::fs::write(old.path("recipes/latin.toml"), b"# caf\xe9\n").unwrap();
    std::fs::write(old.path("recipes/..\u{1b}[2J.toml"), "").unwrap();
    std::fs::write(old.path("recipes/Name With Spaces.toml"), "").unwrap();
    std::fs::remove_file(old.path("prompts/triage.toml")).unwrap();
    std::fs::remove_dir(old.path("prompts")).unwrap();
    symlink(outside.path(), old.path("prompts")).unwrap();
    symlink(&secret, old.path("thrall.db")).unwrap();
    let before = files(outside.path());
    let ran = old.import(&home, &["--json"]);
    assert_eq!(ran.code, 1);
    let report = ran.json();
    for (what, why) in [
        ("recipes/linked.toml", "not a plain file but a link"),
        ("recipes/deep.toml", "not a plain file but a link"),
        ("recipes/huge.toml", "more than 64 KiB"),
        ("recipes/latin.toml", "not valid UTF-8"),
        ("recipes/..\\u{1b}[2J.toml", "cannot name a recipe"),
        ("recipes/Name With Spaces.toml", "cannot name a recipe"),
        ("prompts/", "is a link"),
        ("thrall.db: prompts", "a link"),
    ] {
        let item = item(&report, what);
        assert_eq!(item["result"], "needs you", "{what}");
        assert!(item["problems"].to_string().contains(why), "{item:#}");
    }
    assert!(!old.import(&home, &[]).stdout.contains('\u{1b}'));
    assert_same(&files(outside.path()), &before);
    // health-check needs no prompt; the two that lack theirs are left out.
    let recipes: Vec<PathBuf> = files(&home.path("recipes")).into_keys().collect();
    assert_eq!(
        recipes,
        [home.path("recipes/cluster-probe.toml"), home.path("recipes/health-check.toml")]
    );

    std::fs::remove_file(old.path("plugin.toml")).unwrap();
    symlink(&secret, old.path("plugin.toml")).unwrap();
    let report = old.import(&home, &["--json"]).json();
    assert!(item(&report, "plugin.toml")["problems"].to_string().contains("a link"), "{report:#}");
}

#[test]
fn a_plugin_that_was_switched_off_is_read_all_the_same() {
    let (home, old) = (bare_home(), Old::new("v3").without_model_path());
    std::fs::rename(old.path("plugin.toml"), old.path("plugin.toml.disabled")).unwrap();
    let report = old.import(&home, &["--json"]).ok().json();
    assert_eq!(results(&report)["config.thrall.queue_timeout"], "carried");
}

#[test]
fn what_is_no_plugin_folder_is_wrong_usage() {
    let home = bare_home();
    let empty = TempDir::new().unwrap();
    for (dir, why) in [
        ("/nonexistent/06-thrall", "cannot open the folder"),
        (empty.path().to_str().unwrap(), "no plugin folder of the earlier thrall"),
        (home.path("").to_str().unwrap(), "is a home of this thrall"),
    ] {
        let ran = home.run(&["import", dir]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    assert_eq!(home.run(&["import"]).code, 2);
    let help = home.run(&["import", "--help"]).ok();
    assert!(help.stdout.contains("plugin.toml.disabled") && help.stdout.contains("Examples:"));
}

#[test]
fn doctor_names_the_new_key_for_each_old_one() {
    let home = bare_home();
    home.write(
        "thrall.toml",
        "n_threads = 4\n[config.thrall]\nqueue_timeout = 5.0\ncockpit_token = \"cockpit-bearer-5f1e9a77\"\n\
         [config.thrall.trust_tiers]\nteam = [\"de2a6068a517c9d7\"]\n",
    );
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = |part: &str| {
        let found = ran.stdout.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("{part} in {ran:?}")).to_owned()
    };
    assert!(line("\"n_threads\"").contains("write [model] threads = 4"));
    assert!(line("\"queue_timeout\"").contains("write [model] queue_timeout_s = 5.0"));
    assert!(line("\"team\"").contains("write [trust_tiers] team = [\"de2a6068a517c9d7\"]"));
    assert!(line("\"config\"").contains("thrall import DIR"));
    assert!(line("\"cockpit_token\"").contains("environment of the service"));
    assert!(line("\"n_threads\"").starts_with("BAD ") && line("\"team\"").starts_with("BAD "));
    assert!(!ran.stdout.contains(SECRETS[0]));
}
