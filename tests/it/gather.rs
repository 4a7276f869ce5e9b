//! What recipes gather besides files (those are in `folders.rs`): the journal,
//! context and flags through the real program, the node through a scripted one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use thrall::app::{App, Outside};
use thrall::clock::SystemClock;
use thrall::config::Source;
use thrall::engine::Pace;
use thrall::envelope::json;
use thrall::home::Home;
use thrall::journal::Commit;
use thrall::pipeline::ports::Cockpit;
use thrall::stage::HostError;
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::{TestHome, full_grant, thrall_program};

const GATHERS: &str = r#"
mode = "automated"
gather = [
  "peer_count", "recent_actions", "action_counts", "probe_entropy",
  { name = "dropped", source = "journal", what = "count", action = "note" },
  { name = "mood", source = "context", key = "mood" },
  { name = "alarm", source = "flag", key = "alarm:count" },
]
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "note"
[[evaluate.rules]]
field = "gather.peer_count"
pattern = ".*"
action = "wake"
[[evaluate.rules]]
field = "gather.mood"
pattern = "^calm$"
action = "known-mood"
[actions.wake]
[actions.note]
steps = [
  { type = "set-context", key = "mood", value = "calm" },
  { type = "set-flag", key = "alarm:count", value = "one" },
  { type = "log", message = "peers [{{gather.peer_count}}] counts [{{envelope.gather.action_counts}}]" },
]
[actions.known-mood]
type = "log"
message = "{{gather.mood}} {{gather.alarm}} {{gather.dropped}} {{gather.recent_actions}}"
"#;

fn decide(home: &TestHome, id: &str) -> Value {
    home.ingest(&lines([mail(id, &node(0xd1), "hello")])).ok();
    let row = home.journal().last().unwrap()["id"].to_string();
    home.run(&["journal", "show", &row, "--json"]).ok().json()["trace"].clone()
}

fn error<'t>(trace: &'t Value, name: &str) -> &'t str {
    let sources = trace["gather"].as_array().unwrap();
    let source = sources.iter().find(|one| one["name"] == name).unwrap();
    source["error"].as_str().unwrap_or_default()
}

#[test]
fn journal_context_and_flags_are_seen_and_a_rehearsal_sees_what_was_there() {
    let home = TestHome::new();
    home.recipe("watch", GATHERS);
    let first = decide(&home, "m1");
    assert_eq!(first["action"]["name"], "note", "no node, so no peers and no wake: {first}");
    let logged = first["action"]["operations"][2]["message"].as_str().unwrap();
    assert_eq!(logged, "peers [] counts [none]", "what is missing is empty, what is none is said");
    assert_eq!(error(&first, "peer_count"), "failed: no node is connected");
    assert_eq!(error(&first, "mood"), "nothing is kept under that key");
    assert_eq!(error(&first, "probe_entropy"), "nothing was decided in that time");

    let second = decide(&home, "m2");
    assert_eq!(second["action"]["name"], "known-mood", "{second}");
    assert_eq!(second["action"]["operations"][0]["message"], "calm one 1 watch: note");
    let told = home.run(&["explain", "m2"]).ok().stdout;
    assert!(told.contains("peer_count = cockpit status  nothing: failed: no node"), "{told}");

    // The journal has grown since; the rehearsal knows what it said.
    for row in home.journal() {
        let id = row["id"].to_string();
        let ran = home.run(&["dryrun", "watch", "--journal", &id, "--json"]).ok().json();
        assert_eq!(ran["trace"]["decision_hash"], row["decision_hash"], "{ran}");
    }
}

#[test]
fn a_recipe_under_a_narrow_grant_gathers_no_more_and_the_plan_says_what_it_needs() {
    let home = TestHome::new();
    home.recipe_under("watch", GATHERS, "mode = \"automated\"\nimports = [\"context-read\"]\n");
    let trace = decide(&home, "m1");
    let line =
        "denied, missing: imports = [\"context-read\", \"journal-read\"]  # grants/watch.toml";
    assert_eq!(error(&trace, "recent_actions"), line);
    assert_eq!(error(&trace, "mood"), "nothing is kept under that key", "that is granted");
    let plan = home.run(&["grant", "plan", "watch", "--json"]).ok().json().to_string();
    for wanted in ["cockpit-read", "journal-read", "routes", "status"] {
        assert!(plan.contains(wanted), "{wanted} in {plan}");
    }
    home.run(&["grant", "allow", "watch", "--planned"]).ok();
    let trace = decide(&home, "m2");
    assert_eq!(error(&trace, "recent_actions"), "", "{trace}");
}

#[test]
fn a_word_that_is_no_fact_keeps_the_recipe_out() {
    let home = TestHome::new();
    home.write("recipes/watch.toml", GATHERS.replace("\"peer_count\", ", "\"peer_cout\", "));
    let checked = home.run(&["recipe", "check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("gather knows no fact \"peer_cout\""), "{said}");
    assert!(said.contains("did you mean \"peer_count\"?"), "{said}");
}

/// A node that says what it is told and counts how often it was asked.
struct Node {
    status: Mutex<String>,
    asked: AtomicUsize,
}

#[async_trait]
impl Cockpit for Node {
    async fn get(&self, route: &str, _: &str) -> Result<String, HostError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match route {
            "status" => Ok(self.status.lock().unwrap().clone()),
            "peers" => Ok(format!("[\"{}\"]", "x".repeat(256 * 1024))),
            _ => Err(HostError::Invalid(format!("no route is called {route:?}"))),
        }
    }
}

const ISOLATED: &str = r#"
mode = "automated"
gather = ["status.*", "peer_list", "net_position"]
[trigger]
type = "on_mail"
[evaluate]
default_action = "log"
[[evaluate.rules]]
field = "gather.peer_count"
pattern = "^[0-1]$"
action = "alarm"
[actions.alarm]
type = "log"
message = "{{gather.peer_count}} peers, version {{gather.node_version}}, up {{gather.uptime}}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_own_state_decides_and_is_asked_once_for_an_event() {
    let home = TestHome::new();
    let routes = "cockpit = { routes = [\"status\", \"peers\", \"economy\"] }";
    let grant = full_grant(ISOLATED).replace("cockpit = { routes = [\"status\"] }", routes);
    home.recipe_under("isolated", ISOLATED, &grant);
    let node_ = Arc::new(Node {
        status: Mutex::new(
            r#"{"peer_count": 1, "version": "0.58.0", "uptime_seconds": 9000, "skill_count": 0}"#
                .to_owned(),
        ),
        asked: AtomicUsize::new(0),
    });
    let commits: Arc<Mutex<Vec<Commit>>> = Arc::default();
    let seen = Arc::clone(&commits);
    let app = App::open_in(
        Home::existing(home.path("")).unwrap(),
        Arc::new(SystemClock),
        Pace::Batch,
        Outside {
            observer: Some(Box::new(move |commit| seen.lock().unwrap().push(commit.clone()))),
            cockpit: Some(Arc::clone(&node_) as _),
            worker_program: Some(thrall_program().to_owned()),
            ..Outside::default()
        },
    )
    .await
    .unwrap();
    let running = app.start();
    let source =
        Source { name: "ingest".to_owned(), triggers: Vec::new(), may_assert_sender: true };
    for (id, status) in [("m1", None), ("m2", Some(r#"{"peer_count": 12}"#)), ("m3", Some("gone"))]
    {
        if let Some(status) = status {
            status.clone_into(&mut node_.status.lock().unwrap());
        }
        let draft = json::parse(mail(id, &node(0xd1), "hello").to_string().as_bytes()).unwrap();
        app.engine.submit(&source, vec![draft]).await.unwrap();
        app.engine.idle().await;
    }
    running.stop().await;
    assert_eq!(node_.asked.load(Ordering::SeqCst), 9, "three routes, each once for each event");
    let commits = commits.lock().unwrap();
    let actions: Vec<&str> = commits.iter().map(|commit| commit.row.action.as_str()).collect();
    assert_eq!(actions, ["alarm", "log", "log"]);
    let said = serde_json::to_string(&commits[0].trace.action).unwrap();
    assert!(said.contains("1 peers, version 0.58.0, up 2.5h"), "{said}");
    let why = |run: usize, name: &str| {
        let found = commits[run].trace.gather.iter().find(|one| one.name == name).unwrap();
        found.error.clone().unwrap_or_default()
    };
    assert!(why(0, "peer_list").contains("bytes, the limit is 262144"), "{}", why(0, "peer_list"));
    assert_eq!(why(0, "net_position"), "invalid: no route is called \"economy\"");
    assert_eq!(why(1, "uptime"), "the answer holds no number at /uptime_seconds");
    assert!(why(2, "peer_count").starts_with("the answer is no JSON"), "{}", why(2, "peer_count"));
}
