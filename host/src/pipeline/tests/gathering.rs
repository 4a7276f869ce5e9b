//! What a run gathers: each source asked once, within the grant, and nothing made
//! up for what is missing.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Barrier;

use super::scripted::{GRANT, NODE, NOW, Play, World};
use crate::clock::TimestampMs;
use crate::envelope::Field;
use crate::envelope::sender::Tier;
use crate::journal::Commit;
use crate::stage::{HostAnswer, HostError, HostRequest, JournalFact};

/// A node and a journal with something in them.
struct Full;

#[async_trait]
impl World for Full {
    async fn answer(&self, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let json = |text: &str| Ok(HostAnswer::Json(text.to_owned()));
        match request {
            HostRequest::CockpitGet { route, params } => {
                assert_eq!(params, "{}");
                match route.as_str() {
                    "status" => json(
                        r#"{"peer_count": 0, "skill_count": 7, "version": "0.58", "uptime_seconds": 5400, "latest_network_version": null, "limits": {"min_peers": 3}}"#,
                    ),
                    "peers" => json(r#"[{"node_id": "aabbccddeeff001122", "host": "h"}]"#),
                    "metrics" => json("not JSON"),
                    _ => Err(HostError::Failed("the node answers 503".to_owned())),
                }
            }
            HostRequest::JournalRecent { .. } => Ok(HostAnswer::Entries(vec![JournalFact {
                id: 9,
                at: TimestampMs(1),
                recipe: "x".to_owned(),
                action: "drop".to_owned(),
                reason: String::new(),
                from_node: NODE.to_owned(),
            }])),
            HostRequest::JournalCount { .. } => Ok(HostAnswer::Count(4)),
            HostRequest::ContextGet { key, .. } if key == "mood" => {
                Ok(HostAnswer::Text(Some("calm".to_owned())))
            }
            HostRequest::ContextGet { .. } | HostRequest::ContextFlag { .. } => {
                Ok(HostAnswer::Text(None))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn play(gather: &str, grant: &str, world: Arc<dyn World>) -> Play {
    let recipe = format!(
        "mode = \"automated\"\n{gather}\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ndefault_action = \"log\"\n"
    );
    Play::new(&recipe, grant, None, world)
}

fn value<'c>(commit: &'c Commit, name: &str) -> Option<&'c str> {
    let fields = &commit.trace.host_inputs.gathered;
    fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}

fn error<'c>(commit: &'c Commit, name: &str) -> Option<&'c str> {
    let traces = &commit.trace.gather;
    traces.iter().find(|trace| trace.name == name).unwrap().error.as_deref()
}

#[tokio::test]
async fn a_source_is_asked_once_however_many_names_use_it() {
    let play = play(
        "gather = [\"status.*\", \"journal.*\", \"peer_list\", { name = \"least\", source = \"status\", pointer = \"/limits/min_peers\" }]",
        GRANT,
        Arc::new(Full),
    );
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    let requests = play.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 3, "{requests:?}");
    for (name, expected) in [
        ("peer_count", "0"),
        ("skill_count", "7"),
        ("node_version", "0.58"),
        ("uptime", "1.5h"),
        ("least", "3"),
        ("peer_list", "aabbccddeeff0011: h"),
        ("recent_actions", "x: drop"),
        ("probe_unique_peers", "1"),
    ] {
        assert_eq!(value(&commit, name), Some(expected), "{name}: {:?}", error(&commit, name));
    }
    let stages: Vec<&str> = commit.trace.host_calls.iter().map(|one| one.stage.as_str()).collect();
    assert_eq!(stages, ["gather"; 3], "recorded like a guest's questions");
}

#[tokio::test]
async fn every_source_has_its_question_and_its_words_for_nothing() {
    let play = play(
        r#"gather = [
          { name = "whole", source = "peers" },
          { name = "short", source = "status", pointer = "/limits", max_bytes = 5 },
          { name = "null", source = "status", pointer = "/latest_network_version" },
          { name = "none", source = "status", pointer = "/nothing" },
          { name = "broken", source = "cockpit", route = "metrics", pointer = "/bus" },
          { name = "down", source = "economy" },
          { name = "count", source = "journal", what = "count", action = "drop", since = "2h", limit = 9 },
          { name = "rows", source = "journal", what = "recent", recipe = "x", limit = 1 },
          { name = "mood", source = "context", key = "mood" },
          { name = "asked", source = "context", key = "asked" },
          { name = "oom", source = "flag", key = "oom" },
          { name = "said", source = "static", value = "as it stands" },
          { name = "log", source = "file", path = "/log" },
        ]"#,
        GRANT,
        Arc::new(Full),
    );
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    for (name, expected) in [
        ("whole", r#"[{"node_id": "aabbccddeeff001122", "host": "h"}]"#),
        ("short", r#"{"min"#),
        ("count", "4"),
        ("mood", "calm"),
        ("said", "as it stands"),
        ("log", "content of /log"),
    ] {
        assert_eq!(value(&commit, name), Some(expected), "{name}: {:?}", error(&commit, name));
    }
    assert!(value(&commit, "rows").unwrap().starts_with("[{\"id\":9,"));
    assert!(commit.trace.gather.iter().find(|one| one.name == "short").unwrap().truncated);
    for (name, why) in [
        ("null", "/latest_network_version is null"),
        ("none", "the answer holds nothing at /nothing"),
        ("broken", "the answer is no JSON"),
        ("down", "failed: the node answers 503"),
        ("asked", "nothing is kept under that key"),
        ("oom", "nothing is kept under that key"),
    ] {
        assert_eq!(value(&commit, name), None, "{name}");
        assert!(error(&commit, name).unwrap().starts_with(why), "{:?}", error(&commit, name));
    }
    let requests = play.requests.lock().unwrap().clone();
    assert!(
        requests.iter().any(|one| matches!(one, HostRequest::JournalCount { query }
        if query.since == NOW.minus(std::time::Duration::from_secs(7200))
            && query.limit == 9
            && query.action.as_deref() == Some("drop")
            && query.recipe.as_deref() == Some("x"))),
        "{requests:?}"
    );
}

#[tokio::test]
async fn without_a_session_there_is_no_context_to_ask_for() {
    let play = play(
        "gather = [{ name = \"mood\", source = \"context\", key = \"mood\" }]",
        GRANT,
        Arc::new(Full),
    );
    let commit = play.event(Tier::Known, vec![Field::new("body_text", "hello")]).await;
    assert_eq!(error(&commit, "mood"), Some("the event has no session"));
    assert!(play.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_granted_is_not_asked_and_the_line_is_named() {
    let gather = "gather = [\"peer_count\", \"recent_actions\", { name = \"y\", source = \"journal\", what = \"count\", recipe = \"y\" }, \
        { name = \"oom\", source = \"flag\", key = \"oom\" }, { name = \"log\", source = \"file\", path = \"/log\" }]";
    for (grant, asked, lines) in [
        (
            "mode = \"automated\"\n",
            0,
            [
                ("peer_count", "imports = [\"cockpit-read\"]  # grants/x.toml"),
                ("recent_actions", "imports = [\"journal-read\"]  # grants/x.toml"),
                ("y", "imports = [\"journal-read\"]  # grants/x.toml"),
                ("oom", "imports = [\"context-read\"]  # grants/x.toml"),
                ("log", "gather = { files = [\"/log\"] }  # grants/x.toml, [reads]"),
            ]
            .as_slice(),
        ),
        (
            "mode = \"automated\"\nimports = [\"cockpit-read\", \"journal-read\", \"context-read\"]\n\
             [reads]\ncockpit = { routes = [\"peers\"] }\nflags = { prefixes = [\"other:\"] }\n",
            1,
            [
                (
                    "peer_count",
                    "cockpit = { routes = [\"peers\", \"status\"] }  # grants/x.toml, [reads]",
                ),
                ("y", "journal = { scope = \"sender\" }  # grants/x.toml, [reads]"),
                ("oom", "flags = { prefixes = [\"oom\", \"other:\"] }  # grants/x.toml, [reads]"),
            ]
            .as_slice(),
        ),
    ] {
        let play = play(gather, grant, Arc::new(Full));
        let commit = play.mail(Tier::Known, NODE, "hello").await;
        for (name, line) in lines {
            assert_eq!(error(&commit, name), Some(format!("denied, missing: {line}").as_str()));
            assert_eq!(value(&commit, name), None);
        }
        assert_eq!(play.requests.lock().unwrap().len(), asked, "only the own journal is granted");
    }
}

#[tokio::test]
async fn a_question_to_the_whole_journal_is_as_wide_as_the_grant_and_recorded_so() {
    for (scope, recipe, from_node) in
        [("own", Some("x"), None), ("sender", None, Some(NODE)), ("all", None, None)]
    {
        let grant = format!("{GRANT}journal = {{ scope = \"{scope}\" }}\n");
        let play = play("gather = [\"action_counts\"]", &grant, Arc::new(Full));
        let commit = play.mail(Tier::Known, NODE, "hello").await;
        let asked = play.requests.lock().unwrap().clone();
        let HostRequest::JournalRecent { query } = &asked[0] else { panic!("{asked:?}") };
        assert_eq!((query.recipe.as_deref(), query.from_node.as_deref()), (recipe, from_node));
        assert_eq!(commit.trace.host_calls[0].request, asked[0], "so a rehearsal finds it");
    }
}

/// Answers nobody before everybody has asked.
struct Together(Barrier);

#[async_trait]
impl World for Together {
    async fn answer(&self, _: &HostRequest) -> Result<HostAnswer, HostError> {
        self.0.wait().await;
        Ok(HostAnswer::Text(Some("together".to_owned())))
    }
}

#[tokio::test]
async fn sources_are_waited_for_side_by_side_and_recorded_in_order() {
    let keys: Vec<String> = (0..9)
        .map(|n| format!("{{ name = \"k{n}\", source = \"context\", key = \"k{n}\" }}"))
        .collect();
    let world = Arc::new(Together(Barrier::new(9)));
    let play = play(&format!("gather = [{}]", keys.join(", ")), GRANT, world);
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    for n in 0..9 {
        assert_eq!(value(&commit, &format!("k{n}")), Some("together"));
    }
    let recorded: Vec<String> = commit
        .trace
        .host_calls
        .iter()
        .map(|call| match &call.request {
            HostRequest::ContextGet { key, .. } => key.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(recorded, (0..9).map(|n| format!("k{n}")).collect::<Vec<_>>());
}

struct Hangs;

#[async_trait]
impl World for Hangs {
    async fn answer(&self, _: &HostRequest) -> Result<HostAnswer, HostError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_absent_with_its_deadline_as_the_reason() {
    let gather = "gather = [{ name = \"mood\", source = \"context\", key = \"mood\" }, { name = \"said\", source = \"static\", value = 1 }]";
    let play = play(gather, GRANT, Arc::new(Hangs));
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    assert_eq!(error(&commit, "mood"), Some("failed: context-read.get: no answer within 100 ms"));
    assert_eq!(value(&commit, "said"), Some("1"), "the run goes on");
}

struct Long;

#[async_trait]
impl World for Long {
    async fn answer(&self, _: &HostRequest) -> Result<HostAnswer, HostError> {
        Ok(HostAnswer::Json("ü".repeat(30_000)))
    }
}

#[tokio::test]
async fn all_sources_together_are_bounded_like_one_event() {
    let entries = ["status", "peers", "economy"]
        .map(|source| format!("{{ name = \"{source}\", source = \"{source}\" }}"));
    let play = play(&format!("gather = [{}]", entries.join(", ")), GRANT, Arc::new(Long));
    let commit = play.mail(Tier::Known, NODE, "hello").await;
    let length = |name: &str| value(&commit, name).map(str::len);
    assert_eq!(
        (length("status"), length("peers"), length("economy")),
        (Some(60_000), Some(5_536), None)
    );
    assert!(commit.trace.gather[1].truncated && !commit.trace.gather[0].truncated);
    assert!(error(&commit, "economy").unwrap().contains("used up the 65536 bytes"));
}
