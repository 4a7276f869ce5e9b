//! Prompts through the whole program: which one is in use, who puts it there,
//! what each row of the journal says of it, and trying one before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thrall::ids::Digest;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::http::{At, send};
use thrall_tests::models;
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const BOUND: Duration = Duration::from_secs(60);

/// A prompt file whose two kinds lead to one action.
fn mine(first_words: &str, action: &str) -> String {
    format!(
        "name = \"mine\"\ncontent = \"\"\"\n{first_words} {{{{filter.tier}}}}\n{{{{envelope.body_text}}}}\"\"\"\n\
         [[kinds]]\nname = \"question\"\naction = \"{action}\"\n[[kinds]]\nname = \"news\"\naction = \"{action}\"\n"
    )
}

const RECIPE: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"llm\"\nprompt = \"mine\"\nthreshold = 0.0\nfallback_action = \"log\"\n\
    [actions.wake]\n[actions.compile]\nbuffer = \"digest\"\n";

/// A home whose one recipe asks with the prompt `mine`. Without settings the
/// model is one that is not on disk: it is asked in vain.
fn home_with(model: &str) -> TestHome {
    let home = TestHome::new();
    home.configure(&format!("[model]\n{model}\n"));
    home.prompt("mine", mine("One.", "compile"));
    home.recipe("triage", RECIPE);
    home
}

fn home() -> TestHome {
    home_with("default = \"gemma3-1b\"")
}

fn hash(text: &str) -> String {
    Digest::of(text.as_bytes()).short()
}

fn decisions(home: &TestHome) -> BTreeMap<String, Value> {
    let row = |row: Value| (row["envelope_id"].as_str().unwrap().to_owned(), row);
    home.journal().into_iter().map(row).collect()
}

/// The file itself and what was written ahead of it.
fn database_bytes(home: &TestHome) -> Vec<Option<Vec<u8>>> {
    ["thrall.db", "thrall.db-wal"]
        .iter()
        .map(|file| std::fs::read(home.path(&format!("state/{file}"))).ok())
        .map(|bytes| bytes.filter(|bytes| !bytes.is_empty()))
        .collect()
}

fn send_mail(home: &TestHome, id: &str) -> Value {
    let operator = At::Socket(home.path("run/operator.sock"));
    let body = mail(id, &node(0xd1), "is the relay up?").to_string();
    let answer = send(&operator, "POST", "/thrall/events", &[], body.as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    wait_for("decision", BOUND, || decisions(home).remove(id))
}

#[test]
fn a_home_begins_with_the_shipped_prompt_and_init_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let home = TestHome::new();
    let at = folder.path().join("new");
    let said = home.run(&["init", at.to_str().unwrap()]).ok().stderr;
    let shipped = std::fs::read_to_string(at.join("prompts/triage.toml")).unwrap();
    let line = format!("prompt triage, version {}, is in use", hash(&shipped));
    assert!(said.contains(&line), "{said}");

    // Making it once more says nothing and changes nothing.
    assert!(!home.run(&["init"]).ok().stderr.contains("version"));
    let listed = home.run(&["prompt", "list", "--json"]).ok().json();
    assert_eq!(listed["prompts"][0]["hash"], hash(&shipped));
    assert_eq!(listed["prompts"][0]["pushed_by"], "thrall");
    assert_eq!(listed["candidates"], json!([]));
    assert_eq!(home.run(&["status", "--json"]).ok().code, 0);
    assert!(home.journal().is_empty());
}

#[test]
fn a_changed_file_is_a_candidate_and_a_loaded_one_is_used_by_the_next_event() {
    let home = home();
    let (old, new) = (mine("One.", "compile"), mine("Two.", "compile"));
    let (old_hash, new_hash) = (hash(&old), hash(&new));
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(send_mail(&home, "m1")["prompt_hash"], old_hash.as_str());

    // The file changes: that is reported, and nothing else happens.
    let file = home.write("prompts/mine.toml", &new);
    let operator = At::Socket(home.path("run/operator.sock"));
    let health = wait_for("candidate", BOUND, || {
        let health = send(&operator, "GET", "/health", &[], b"").unwrap().body;
        let has_any = !health["prompt_candidates"].as_array().unwrap().is_empty();
        has_any.then_some(health)
    });
    let command = format!("thrall prompt load {}", file.display());
    let line = format!(
        "prompts/mine.toml ({new_hash}) is a candidate, {old_hash} stays in use: {command}"
    );
    assert_eq!(health["prompt_candidates"], json!([line]));
    assert!(!health["problems"].to_string().contains("mine"), "a candidate is no fault: {health}");
    assert!(home.run(&["doctor"]).stdout.contains(&command));
    assert_eq!(send_mail(&home, "m2")["prompt_hash"], old_hash.as_str());

    // Loaded through the service, with the line as it was printed.
    let loaded = home.run(&["prompt", "load", file.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!((&loaded["old_hash"], &loaded["hash"]), (&json!(old_hash), &json!(new_hash)));
    assert_eq!(send_mail(&home, "m3")["prompt_hash"], new_hash.as_str());
    let rows = decisions(&home);
    let hashes = ["m1", "m2", "m3"].map(|id| rows[id]["prompt_hash"].as_str().unwrap());
    assert_eq!(hashes, [&old_hash, &old_hash, &new_hash], "old rows keep the old hash");

    // And back, by route.
    let back = send(&operator, "POST", "/thrall/prompts/mine/rollback", &[], b"").unwrap();
    assert_eq!((back.status, &back.body["hash"]), (200, &json!(old_hash)), "{back:?}");
    assert_eq!(send_mail(&home, "m4")["prompt_hash"], old_hash.as_str());
    let history = home.run(&["prompt", "history", "mine", "--json"]).ok().json();
    let how: Vec<&str> =
        history.as_array().unwrap().iter().map(|one| one["how"].as_str().unwrap()).collect();
    assert_eq!(how, ["rollback", "load", "load"]);

    // Each is a row of the journal, which still verifies.
    let tail = home.run(&["journal", "tail", "--once", "--json"]).ok().stdout;
    let said =
        |new: &str, old: &str| json!(format!("{new} is in use in place of {old}, by operator"));
    let rows: Vec<Value> = tail
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["kind"] == "performed")
        .map(|row| json!([row["operation"], row["state"], row["detail"]]))
        .collect();
    let expected = [
        json!(["prompt-load", "mine", said(&old_hash, "nothing")]),
        json!(["prompt-load", "mine", said(&new_hash, &old_hash)]),
        json!(["prompt-rollback", "mine", said(&old_hash, &new_hash)]),
    ];
    assert_eq!(rows, expected);
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn the_agent_reads_prompts_and_loads_none() {
    let home = home();
    let _serving = Serving::ready(home.spawn(&["serve"]));
    let agent = At::Socket(home.path("run/agent.sock"));
    let ask = |method: &str, path: &str, body: &str| {
        send(&agent, method, path, &[], body.as_bytes()).unwrap()
    };
    let listed = ask("GET", "/thrall/prompts", "").body;
    assert_eq!(listed["prompts"][0]["name"], "mine");
    let shown = ask("GET", "/thrall/prompts/mine", "");
    assert_eq!(shown.body["content"], mine("One.", "compile").as_str(), "{shown:?}");
    let wrong = ask("GET", "/thrall/prompts/mime", "");
    assert_eq!(wrong.status, 404);
    assert_eq!(wrong.body["detail"], "no prompt is called \"mime\", did you mean \"mine\"?");
    assert_eq!(ask("POST", "/thrall/prompts", &mine("Two.", "wake")).status, 405);
    assert_eq!(ask("POST", "/thrall/prompts/mine/rollback", "").status, 404);
    assert_eq!(ask("GET", "/thrall/prompts", "").body, listed);
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason_and_leaves_the_old_one() {
    let home = home();
    let before = home.run(&["prompt", "list", "--json"]).ok().stdout;
    let refuse = |file: &str, content: &[u8], name: &[&str]| {
        let path = home.write(file, content);
        let ran = home.run(&[&["prompt", "load", path.to_str().unwrap()], name].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.stderr
    };
    let says = |said: String, what: &str| assert!(said.contains(what), "{said}");
    says(
        refuse("mine.txt", b"{{envelope.body_text}}", &[]),
        "prompt must contain {tier} placeholder",
    );
    says(refuse("mine.txt", b"{{filter.tier}}", &[]), "no placeholder for the message text");
    says(
        refuse("mine.txt", b"{{filter.tier}} {{envelop.body_text}}", &[]),
        "{{envelope.body_text}}",
    );
    says(refuse("mine.txt", b" \n", &[]), "content required");
    says(refuse("mine.txt", b"{tier}\0", &[]), "a NUL character");
    says(refuse("mine.txt", b"{tier} \x1b[2J", &[]), "U+001B");
    says(refuse("mine.txt", b"{tier}", &["--name", "../mine"]), "not usable");
    let stray = mine("One.", "wake") + "[[examples]]\nkind = \"nwes\"\ntext = \"x\"\n";
    says(refuse("mine.toml", stray.as_bytes(), &[]), "`nwes`");
    let action = mine("One.", "wake up");
    says(refuse("mine.toml", action.as_bytes(), &[]), "`wake up`");
    let large = home.write("large.txt", format!("{{tier}}{}", "x".repeat(300_000)));
    assert_eq!(home.run(&["prompt", "load", large.to_str().unwrap()]).code, 2);
    assert_eq!(home.run(&["prompt", "list", "--json"]).ok().stdout, before);

    // The earlier form is taken as it is, under its own hash.
    let earlier = home.write("mine.txt", "For {tier}: answer {{\"action\":\"wake\"}}");
    let loaded = home.run(&["prompt", "load", earlier.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(loaded["hash"], hash("For {tier}: answer {{\"action\":\"wake\"}}"));
    let view: (String, String) = home
        .database()
        .query_row("SELECT hash, pushed_by FROM thrall_prompts WHERE name = 'mine'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((view.0.as_str(), view.1.as_str()), (loaded["hash"].as_str().unwrap(), "operator"));
}

#[test]
fn versions_are_shown_compared_and_named_by_their_beginning() {
    let home = home();
    let (one, two) = (mine("One.", "compile"), mine("Two.", "compile"));
    home.prompt("mine", &two);
    let (one_hash, two_hash) = (hash(&one), hash(&two));
    let shown = home.run(&["prompt", "show", "mine", "--version", &one_hash[..6]]).ok();
    assert_eq!(shown.stdout.trim_end(), one.trim_end());
    let diff = home.run(&["prompt", "diff", "mine", &one_hash[..6]]).ok().stdout;
    let says = [
        format!("--- mine {one_hash}"),
        format!("+++ mine {two_hash}"),
        "-One. {{filter.tier}}".to_owned(),
        "+Two. {{filter.tier}}".to_owned(),
    ];
    assert!(says.iter().all(|line| diff.lines().any(|found| found == line)), "{diff}");

    // Against the file, before it is loaded.
    let three = home.write("prompts/mine.toml", mine("Three.", "compile"));
    let diff = home.run(&["prompt", "diff", "mine", "--json"]).ok().json();
    assert!(diff["diff"].as_str().unwrap().contains("+Three. {{filter.tier}}"), "{diff}");
    assert_eq!(diff["from"], format!("mine {two_hash}"));
    drop(three);

    let wrong = home.run(&["prompt", "show", "mime"]);
    assert_eq!((wrong.code, wrong.stderr.contains("did you mean \"mine\"?")), (1, true));
    let typo = format!("{}zz", &one_hash[..14]);
    let wrong = home.run(&["prompt", "rollback", "mine", "--to", &typo]);
    let hint = format!("did you mean {one_hash}?");
    assert_eq!((wrong.code, wrong.stderr.contains(&hint)), (1, true), "{wrong:?}");
    home.run(&["prompt", "rollback", "mine"]).ok();
    let listed = home.run(&["prompt", "list", "--json"]).ok().json();
    assert_eq!(listed["prompts"][0]["hash"], one_hash.as_str());
}

#[test]
fn a_candidate_that_nobody_asked_with_has_no_record_and_changes_nothing() {
    let home = home();
    home.ingest(&lines([mail("m1", &node(0xd1), "hello"), mail("m2", &node(0xd2), "news")])).ok();
    let two = home.write("two.toml", mine("Two.", "wake"));
    let before = database_bytes(&home);
    let ran = home.run(&["dryrun", "triage", "--prompt", two.to_str().unwrap(), "--last", "5"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.stdout.matches("no record").count(), 2, "{ran:?}");
    assert!(ran.stderr.contains("2 without a record"), "{ran:?}");
    assert_eq!(database_bytes(&home), before);
    let listed = home.run(&["prompt", "list", "--json"]).ok().json();
    assert_eq!(listed["prompts"][0]["versions"], 1);

    let bad = home.write("bad.toml", "name = \"mine\"\ncontent = \"{{envelope.body_text}}\"");
    let ran = home.run(&["dryrun", "triage", "--prompt", bad.to_str().unwrap(), "--last", "1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("prompt must contain {tier} placeholder"), "{ran:?}");
}

/// What `dryrun --prompt` says of each event.
fn tried(home: &TestHome, prompt: &Path) -> (i32, Vec<Value>) {
    let prompt = prompt.to_str().unwrap();
    let args = ["dryrun", "triage", "--prompt", prompt, "--last", "5", "--rerun-model", "--json"];
    let ran = home.run(&args);
    (ran.code, ran.json().as_array().unwrap().clone())
}

#[test]
fn a_candidate_is_tried_on_the_journal_with_a_real_model() {
    let _ = models::gemma_270m();
    let home = home_with(
        "default = \"gemma3-270m\"\nsilence_threshold = 0.0\nthreshold = 0.0\ntimeout_s = 55\nqueue_timeout_s = 55",
    );
    home.ingest(&lines([mail("m1", &node(0xd1), "is node 7 down?")])).ok();
    let row = decisions(&home).remove("m1").unwrap();
    assert_eq!((&row["action"], &row["eval_type"]), (&json!("compile"), &json!("llm")), "{row}");

    let other = home.write("other.toml", mine("Two.", "wake"));
    let before = database_bytes(&home);
    let (code, all) = tried(&home, &other);
    assert_eq!((code, &all[0]["differs"]), (1, &json!(true)), "{all:?}");
    assert_eq!(all[0]["then"]["action"], "compile");
    assert_eq!(all[0]["trace"]["action"]["name"], "wake");
    assert_eq!(all[0]["trace"]["evaluate"]["prompt_hash"], hash(&mine("Two.", "wake")));
    // Other words, the same decision.
    let same = home.write("same.toml", mine("Three.", "compile"));
    let (code, all) = tried(&home, &same);
    assert_eq!((code, &all[0]["differs"]), (0, &json!(false)), "{all:?}");
    assert_eq!(database_bytes(&home), before);

    // After a load the record is no answer of the prompt that is in use.
    home.prompt("mine", mine("Two.", "wake"));
    let id = row["id"].to_string();
    let again = home.run(&["dryrun", "triage", "--journal", &id, "--json"]).json();
    assert_eq!(again["no_record"], true, "{again}");
    let asked = ["dryrun", "triage", "--journal", &id, "--rerun-model", "--json"];
    assert_eq!(home.run(&asked).json()["trace"]["action"]["name"], "wake");
}
