//! A dry run of any journaled event gives the same decision, and changes no
//! table: the database is compared before and after, row by row.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;

const RULES: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[filter]
rate_limit_window = 60
rate_limit_max = 3
rate_limit_action = "drop"
[evaluate]
type = "hotwire"
default_action = "compile"
[[evaluate.rules]]
field = "body_text"
pattern = "urgent"
action = "wake"
[actions.compile]
buffer = "digest"
[actions.wake]
"#;

/// Every row of every table, as text.
fn dump(home: &TestHome) -> Vec<String> {
    let database = home.database();
    let tables: Vec<String> = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = statement.column_count();
        let found = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|n| row.get::<_, rusqlite::types::Value>(n).map(|v| format!("{v:?}")))
                    .collect::<Result<Vec<_>, _>>()
            })
            .unwrap();
        rows.extend(found.map(|row| format!("{table}: {}", row.unwrap().join("|"))));
    }
    rows
}

#[test]
fn every_journaled_event_repeats_its_decision_hash() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    home.write("recipes/repeat-offender.wasm", guests::shipped("repeat-offender"));
    home.recipe(
        "offender",
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ncomponent = \"repeat-offender.wasm\"\nfallback_action = \"drop\"\n",
    );
    let texts = ["hello", "urgent: the relay is down", "one more", "and again", "too many", ""];
    let mut events: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| mail(&format!("a{n}"), &node(0xd1), text))
        .collect();
    events.push(mail("b1", "not-a-node", "who am I"));
    events.push(mail("b2", &node(0xd2), "plain"));
    home.ingest(&lines(events)).ok();

    let before = dump(&home);
    let rows = home.journal();
    assert!(rows.iter().any(|row| row["eval_type"] == "rate_limit"), "{rows:?}");
    for row in rows.iter().filter(|row| !row["recipe"].as_str().unwrap().is_empty()) {
        let id = row["id"].to_string();
        let recipe = row["recipe"].as_str().unwrap();
        let ran = home.run(&["dryrun", recipe, "--journal", &id, "--json"]).ok().json();
        assert_eq!(ran["trace"]["decision_hash"], row["decision_hash"], "{row}\n{ran}");
        assert_eq!(ran["trace"]["action"]["executed"], false);
        assert_eq!(ran["differs"], false);
    }
    assert_eq!(dump(&home), before);
}

/// What was answered within the grant's own scope is found again under the same
/// scope, and is no answer under a wider one.
#[test]
fn what_the_grant_narrowed_is_recorded_as_it_was_answered() {
    let home = TestHome::new();
    home.write("recipes/repeat-offender.wasm", guests::shipped("repeat-offender"));
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\n\
        type = \"hotwire\"\ncomponent = \"repeat-offender.wasm\"\nfallback_action = \"drop\"\n\
        [config]\nthreshold = 2\n";
    let grant = |scope: &str| {
        format!(
            "mode = \"automated\"\nimports = [\"journal-read\"]\n[reads]\njournal = {{ scope = \"{scope}\" }}\n"
        )
    };
    home.recipe_under("offender", recipe, &grant("own"));
    let events = (0..4).map(|n| mail(&format!("a{n}"), &node(0xd1), "buy now"));
    home.ingest(&lines(events)).ok();
    let rows = home.journal();
    assert!(rows[3]["reason"].as_str().unwrap().starts_with("repeat offender: "), "{rows:?}");
    let again = home.run(&["dryrun", "offender", "--journal", "4"]);
    assert!(again.code == 0 && again.stdout.contains("same"), "{again:?}");
    assert!(!again.stdout.contains("was not asked"), "{again:?}");
    home.run(&["dryrun", "offender", "--last", "4"]).ok();

    // What was asked for is still what a grant is planned from: everybody's rows.
    let planned = home.run(&["grant", "plan", "offender"]).ok().stdout;
    assert!(planned.contains("journal"), "{planned}");
    let explained = home.run(&["explain", "a3"]).ok().stdout;
    assert!(explained.contains("answered as"), "{explained}");

    // The narrow answer is none of a recipe that may look further.
    home.recipe_under("offender", recipe, &grant("all"));
    let wider = home.run(&["dryrun", "offender", "--journal", "4"]);
    assert!(wider.code == 1 && wider.stdout.contains("was not asked"), "{wider:?}");
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn the_shipped_triage_agrees_with_itself() {
    let home = TestHome::shipped();
    let thanks = (0..5).map(|n| mail(&format!("t{n}"), &node(0xd1), "thanks"));
    home.ingest(&lines(thanks.chain([mail("m", &node(0xd1), "Could you look at the relay?")])))
        .ok();
    let last = home.journal().pop().unwrap();
    assert!(last["reason"].as_str().unwrap().starts_with("repeat offender: "), "{last}");
    let again = home.run(&["dryrun", "mail-triage", "--last", "30"]);
    assert!(again.code == 0 && !again.stdout.contains("was not asked"), "{again:?}");
}

#[test]
fn a_changed_recipe_differs_and_the_exit_status_says_so() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    home.ingest(&lines([mail("a", &node(0xd1), "urgent")])).ok();
    let candidate = home.write("rules.toml", RULES.replace("\"urgent\"", "\"catastrophe\""));
    let ran = home.run(&["dryrun", candidate.to_str().unwrap(), "--journal", "1", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["trace"]["action"]["name"], "compile");
}

#[test]
fn an_event_that_the_recipe_would_never_see_is_told_as_such() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    let log = "mode = \"automated\"\n[trigger]\ntype = \"on_log\"\npath = \"/var/log/node.log\"\npattern = '\\bOOM\\b'\n[evaluate]\ndefault_action = \"log\"\n";
    let watch = home.write("watch.toml", log);
    let news = home.write(
        "news.toml",
        RULES.replace(
            "[filter]",
            "match_field = \"body_text\"\nmatch_pattern = 'newsletter'\n[filter]",
        ),
    );
    let event = mail("x", &node(0xd1), "urgent: help").to_string();
    let tried = |recipe: &std::path::Path, event: &str| {
        let recipe = recipe.to_str().unwrap();
        let ran = home.run_with_input(&["dryrun", recipe, "--envelope", "-"], event);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.stdout
    };
    let said = tried(&watch, &event);
    assert_eq!(
        said,
        "  filter     not this recipe's event: the trigger is on_mail, it waits for on_log\n"
    );
    let said = tried(&news, &event);
    assert!(said.contains("match_pattern is \"newsletter\""), "{said}");
    let said = tried(std::path::Path::new("rules"), &event.replace("on_mail", "on_mial"));
    assert!(said.contains("did you mean \"on_mail\"?") && !said.contains("->"), "{said}");
}

#[test]
fn what_goes_on_with_an_answer_can_be_tried() {
    let home = TestHome::new();
    let recipe = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ndefault_action = \"ask\"\n[actions.ask]\nskill = \"weather\"\ncontinue_as = \"tell\"\n[actions.tell]\ntype = \"reply\"\ntemplate = \"It is {{result.sky}}\"\n";
    home.recipe("asks", recipe);
    let event = mail("x", &node(0xd1), "weather?").to_string();
    let answer = home.write("answer.json", r#"{"sky": "blue"}"#);
    let args = ["dryrun", "asks", "--envelope", "-", "--json", "--continue"];
    let ran = home.run_with_input(
        &[&args[..], &["tell", "--result", answer.to_str().unwrap()]].concat(),
        &event,
    );
    let trace = ran.ok().json()["trace"].clone();
    assert_eq!(trace["action"]["name"], "tell", "{trace}");
    assert!(trace["action"]["operations"].to_string().contains("It is blue"), "{trace}");
    assert_eq!(trace["filter"]["tier"], "unknown");
    let wrong = home.run_with_input(&[&args[..], &["tel"]].concat(), &event);
    assert!(wrong.code == 1 && wrong.stderr.contains("did you mean \"tell\"?"), "{wrong:?}");
}

#[test]
fn an_envelope_that_never_arrived_can_be_tried() {
    let home = TestHome::new();
    home.recipe("rules", RULES);
    let envelope = mail("x", "unknown_test_node", "urgent: help").to_string();
    let ran = home
        .run_with_input(&["dryrun", "rules", "--envelope", "-", "--json"], &envelope)
        .ok()
        .json();
    assert_eq!(ran["trace"]["action"]["name"], "wake");
    assert_eq!(ran["trace"]["filter"]["tier"], "unknown");
    assert!(home.journal().is_empty());
}
