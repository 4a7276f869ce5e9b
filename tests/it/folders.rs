//! No name, link, rename or slash leads out of a folder that the host touches:
//! gathered files, recipes/, artifacts/, breakers/. Through the real program,
//! as a user would see it; the races are beside the code, in
//! `host/src/plain_file.rs` and `host/src/capabilities/gathered_files.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;

const SECRET: &str = "SECRET-that-nobody-granted";

/// A home beside a folder of logs and one of things that are nobody's business.
struct Place {
    home: TestHome,
    outside: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("logs")).unwrap();
        fs::write(outside.path().join("secret"), SECRET).unwrap();
        Self { home: TestHome::new(), outside }
    }

    /// Without links on the way, as a grant has to name it.
    fn path(&self, inside: &str) -> PathBuf {
        self.outside.path().canonicalize().unwrap().join(inside)
    }

    fn decide(&self, id: &str, body: &str) -> Value {
        self.home.ingest(&lines([mail(id, &node(0xd1), body)])).ok();
        let row = self.home.journal().last().unwrap()["id"].to_string();
        self.home.run(&["journal", "show", &row, "--json"]).ok().json()
    }
}

/// A recipe that gathers from these paths, wakes for a word in the first, and
/// logs what it found.
fn gathering<P: AsRef<std::path::Path>>(paths: &[P]) -> String {
    let entries: String = paths
        .iter()
        .enumerate()
        .map(|(n, path)| {
            format!("[[gather]]\nname = \"g{n}\"\nsource = \"file\"\npath = {:?}\n", path.as_ref())
        })
        .collect();
    format!(
        r#"
mode = "automated"
[trigger]
type = "on_mail"
{entries}
[evaluate]
type = "hotwire"
default_action = "note"
[[evaluate.rules]]
field = "gather.g0"
pattern = "oom"
action = "wake"
[actions.wake]
[actions.note]
type = "log"
message = "found {{{{gather.g0}}}}"
"#
    )
}

#[test]
fn a_gathered_file_is_seen_by_rules_and_actions_recorded_and_rehearsed() {
    let place = Place::new();
    let log = place.path("logs/serve.log");
    fs::write(&log, "relay up\n").unwrap();
    place.home.recipe("watch", &gathering(&[&log]));

    let shown = place.decide("m1", "how are you");
    let trace = &shown["trace"];
    assert_eq!(trace["action"]["operations"][0]["message"], "found relay up\n", "{shown}");
    let source = &trace["gather"][0];
    assert_eq!((&source["name"], &source["bytes"]), (&"g0".into(), &9.into()), "{source}");
    assert_eq!(source["source"], format!("file {}", log.display()));
    assert_eq!(source["sha256"].as_str().unwrap().len(), 64, "{source}");

    fs::write(&log, "oom: killed\n").unwrap();
    assert_eq!(place.decide("m2", "and now")["trace"]["action"]["name"], "wake");
    // The file says something else by now; the rehearsal knows what it said.
    fs::remove_file(&log).unwrap();
    for row in place.home.journal() {
        let id = row["id"].to_string();
        let ran = place.home.run(&["dryrun", "watch", "--journal", &id, "--json"]).ok().json();
        assert_eq!(ran["trace"]["decision_hash"], row["decision_hash"], "{ran}");
        assert_eq!(ran["differs"], false);
    }
}

#[test]
fn of_a_long_log_the_end_is_gathered_and_a_missing_one_is_absent_with_a_reason() {
    let place = Place::new();
    let (log, absent) = (place.path("logs/serve.log"), place.path("logs/absent.log"));
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    fs::write(&log, &text).unwrap();
    place.home.recipe("watch", &gathering(&[&log, &absent]));

    let trace = place.decide("m1", "hello")["trace"].clone();
    let gathered = trace["host_inputs"]["gathered"].as_array().unwrap().clone();
    assert_eq!(gathered.len(), 1, "nothing is made up for the one that is absent");
    let content = gathered[0]["value"].as_str().unwrap();
    assert!(content.len() <= 65_536 && content.len() > 60_000, "{}", content.len());
    assert!(content.starts_with("line ") && text.ends_with(content), "whole lines, the last ones");
    assert_eq!(trace["gather"][0]["truncated"], true);
    // The first took what a run may have; that is said as well.
    let why = trace["gather"][1]["error"].as_str().unwrap();
    assert!(why.contains("No such file") || why.contains("used up"), "{why}");
    let id = place.home.journal()[0]["id"].to_string();
    let told = place.home.run(&["journal", "show", &id]).ok().stdout;
    assert!(told.contains("truncated") && told.contains("nothing:"), "{told}");
}

#[test]
fn a_file_that_is_not_granted_is_not_read_and_the_line_is_named() {
    let place = Place::new();
    let secret = place.path("secret");
    place.home.write("recipes/watch.toml", gathering(&[&secret]));
    let envelope = mail("m1", &node(0xd1), "hello").to_string();
    let ran =
        place.home.run_with_input(&["dryrun", "watch", "--envelope", "-", "--json"], &envelope);
    assert!(!ran.stdout.contains(SECRET), "{ran:?}");
    let error = ran.json()["trace"]["gather"][0]["error"].clone();
    let line = format!("gather = {{ files = [{secret:?}] }}");
    assert!(error.as_str().unwrap().contains(&line), "{error} lacks {line}");
}

#[test]
fn no_link_leads_a_granted_path_to_another_file() {
    let place = Place::new();
    let secret = place.path("secret");
    symlink(&secret, place.path("logs/link")).unwrap();
    symlink(place.path("logs/link"), place.path("logs/link-to-link")).unwrap();
    symlink(place.path(""), place.path("logs/folder")).unwrap();
    fs::hard_link(&secret, place.path("logs/hard")).unwrap();
    let home = place.home.path("").canonicalize().unwrap();
    fs::write(home.join("state/token"), SECRET).unwrap();
    symlink(home.join("state"), place.path("logs/state")).unwrap();
    let paths = [
        place.path("logs/link"),
        place.path("logs/link-to-link"),
        place.path("logs/folder/secret"),
        place.path("logs/hard"),
        place.path("logs/state/token"),
        place.path("logs"),
        place.path("logs/SECRET"),
        home.join("state/token"),
        home.join("state/thrall.db"),
        home.join("grants/watch.toml"),
    ];
    place.home.recipe("watch", &gathering(&paths));
    let shown = place.decide("m1", "hello");
    let sources = shown["trace"]["gather"].as_array().unwrap();
    assert_eq!(sources.len(), paths.len(), "{shown}");
    for source in sources {
        assert!(source["error"].is_string(), "{source}");
    }
    let whole = shown.to_string();
    assert!(!whole.contains(SECRET), "{whole}");
    assert_eq!(whole.matches("own secrets: no grant opens it").count(), 3, "{whole}");
}

#[test]
fn a_log_that_is_rotated_is_read_under_its_name() {
    let place = Place::new();
    let log = place.path("logs/serve.log");
    fs::write(&log, "old\n").unwrap();
    place.home.recipe("watch", &gathering(&[&log]));
    assert!(place.decide("m1", "hello").to_string().contains("found old"));
    fs::rename(&log, place.path("logs/serve.log.1")).unwrap();
    fs::write(&log, "new\n").unwrap();
    assert!(place.decide("m2", "hello").to_string().contains("found new"));
    // The folder's name now leads somewhere else, where such a file lies too.
    fs::rename(place.path("logs"), place.path("moved")).unwrap();
    fs::write(place.path("serve.log"), SECRET).unwrap();
    symlink(place.path(""), place.path("logs")).unwrap();
    let shown = place.decide("m3", "hello").to_string();
    assert!(shown.contains("is a link") && !shown.contains(SECRET), "{shown}");
}

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

#[test]
fn the_drop_in_folder_takes_plain_files_of_plain_names_alone() {
    let place = Place::new();
    place.home.recipe("good", LOG_ALL);
    fs::write(place.path("evil.toml"), LOG_ALL).unwrap();
    symlink(place.path("evil.toml"), place.home.path("recipes/linked.toml")).unwrap();
    symlink("good.toml", place.home.path("recipes/twin.toml")).unwrap();
    fs::create_dir(place.home.path("recipes/deep.toml")).unwrap();
    place.home.write("recipes/GOOD.toml", LOG_ALL);
    place.home.write("recipes/..toml", LOG_ALL);
    let list = place.home.run(&["recipe", "list", "--json"]).ok().json();
    let state = |name: &str| {
        let rows = list.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).map(|row| row["state"].clone())
    };
    assert_eq!(state("good"), Some("live".into()), "{list}");
    for name in ["linked", "twin", "deep", "GOOD", "."] {
        assert_eq!(state(name), Some("rejected".into()), "{name}: {list}");
    }
    for outside in ["../evil", "recipes/../good", "/etc/hostname", "good/", "linked"] {
        let ran = place.home.run(&["recipe", "show", outside]);
        assert!(ran.code != 0 && !ran.stdout.contains("on_mail"), "{outside}: {ran:?}");
    }
}

#[test]
fn a_folder_of_the_home_that_became_a_link_is_refused() {
    for folder in ["recipes", "grants", "artifacts", "breakers"] {
        let place = Place::new();
        place.home.recipe("good", LOG_ALL);
        let elsewhere = place.path(folder);
        fs::rename(place.home.path(folder), &elsewhere).unwrap();
        symlink(&elsewhere, place.home.path(folder)).unwrap();
        let ran = place.home.ingest(&lines([mail("m1", &node(0xd1), "hello")]));
        assert_eq!(ran.code, 2, "{folder}: {ran:?}");
        assert!(
            ran.stderr.contains(folder) && ran.stderr.contains("is a link"),
            "{folder}: {}",
            ran.stderr
        );
    }
}

#[test]
fn what_lies_in_a_briefings_place_is_replaced_not_written_through() {
    let place = Place::new();
    place.home.recipe(
        "collect",
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"compile\"\n[actions.compile]\nbuffer = \"digest\"\nsummon_threshold = 1\n",
    );
    let secret = place.path("secret");
    place.decide("m1", "one");
    let written = |place: &Place| -> Vec<String> {
        fs::read_dir(place.home.path("artifacts"))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let first = written(&place).pop().unwrap();
    // What an earlier crash could have left, made into a trap for the next.
    for n in 1..4 {
        let next = first.replace("-1.md", &format!("-{n}.md"));
        let _ = symlink(&secret, place.home.path(&format!("artifacts/.{next}.tmp")));
    }
    place.decide("m2", "two");
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    let files = written(&place);
    assert_eq!(files.iter().filter(|name| name.ends_with(".md")).count(), 2, "{files:?}");
}

#[test]
fn a_tripped_breaker_is_one_plain_file_of_the_earlier_thralls_form() {
    let place = Place::new();
    let id = "ab".repeat(8);
    place.home.recipe(
        "guarding",
        &format!(
            "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"stop\"\n[actions.stop]\ntype = \"trip-breaker\"\ntarget = \"node:{id}\"\nreason = \"loop: {{{{envelope.body_text}}}}\"\nexpires_in_s = 60\n"
        ),
    );
    place.decide("m1", "../../../etc/passwd");
    let files: Vec<PathBuf> = fs::read_dir(place.home.path("breakers"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(file.file_name().unwrap().to_str().unwrap().ends_with(&format!("{id}.json")));
    let text = fs::read_to_string(file).unwrap();
    let breaker: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(breaker["reason"], "loop: ../../../etc/passwd", "{text}");
    assert_eq!((&breaker["trip_count"], &breaker["auto_expire_seconds"]), (&1.into(), &60.into()));
    for key in ["type", "target", "tripped_at", "last_event", "expires_at"] {
        assert!(breaker[key].is_string(), "{key}: {text}");
    }

    // A link in its place: replaced, and what it leads to is as it was.
    let secret = place.path("secret");
    fs::remove_file(file).unwrap();
    symlink(&secret, file).unwrap();
    place.decide("m2", "again");
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    assert!(fs::symlink_metadata(file).unwrap().is_file());
    assert!(fs::read_to_string(file).unwrap().contains("loop: again"));
}
