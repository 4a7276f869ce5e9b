//! Every step of the choke point, in its order, with a world that answers as it
//! is told.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::clock::TimestampMs;
use crate::envelope::{Envelope, Field};
use crate::grants;

/// How the world behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    Answers,
    Hangs,
    Busy,
}

struct Fake(World);

#[async_trait]
impl Answers for Fake {
    async fn answer(&self, _: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        match (self.0, request) {
            (World::Hangs, _) => std::future::pending().await,
            (World::Busy, _) => Err(HostError::Unavailable(7)),
            (World::Answers, HostRequest::JournalCount { query }) => {
                let seen = format!("{:?} {:?}", query.recipe, query.from_node);
                Ok(HostAnswer::Text(Some(seen)))
            }
            (World::Answers, HostRequest::ModelComplete { .. }) => {
                Ok(HostAnswer::Completion { text: "words".to_owned(), tokens: 60 })
            }
            (World::Answers, _) => Ok(HostAnswer::Text(None)),
        }
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        asks_model(request).then(|| "small".to_owned())
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        asks_model(request).then(|| "version".to_owned())
    }
}

/// Counts what is taken and given back, and refuses beyond three.
#[derive(Default)]
struct Counting(AtomicI64);

#[async_trait]
impl Meter for Counting {
    async fn reserve(&self, _: &[(&str, u32)], _: TimestampMs) -> Result<(), HostError> {
        if self.0.fetch_add(1, Ordering::SeqCst) >= 3 {
            self.0.fetch_sub(1, Ordering::SeqCst);
            return Err(HostError::Budget("model_calls_per_day = 3".to_owned()));
        }
        Ok(())
    }

    async fn give_back(&self, _: &[(&str, u32)], _: TimestampMs) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn gate(grant: &str, world: World) -> (Arc<Gate>, Arc<Counting>) {
    let grant = grants::parse("x", grant).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let authority = Authority::new(Arc::new(grant), Vec::new());
    let envelope = Envelope {
        fields: vec![Field::new("from_node", "aa"), Field::new("session_id", "s")],
        ..Envelope::blank()
    };
    let scope = Scope::new("x", &envelope, &authority, TimestampMs(1000));
    let meter = Arc::new(Counting::default());
    let gate =
        Gate::new(scope, authority, Arc::new(Fake(world)), Arc::clone(&meter) as _, Arc::default());
    (Arc::new(gate), meter)
}

const MODEL: &str =
    "imports = [\"model\"]\n[reads]\nmodel = { prompts = [\"p\"], models = [\"small\"] }\n";

fn complete(max_tokens: u32) -> HostRequest {
    HostRequest::ModelComplete { prompt: "p".to_owned(), text: "abc".to_owned(), max_tokens }
}

fn count(recipe: Option<&str>, from_node: Option<&str>) -> HostRequest {
    HostRequest::JournalCount {
        query: JournalQuery {
            recipe: recipe.map(str::to_owned),
            from_node: from_node.map(str::to_owned),
            session: None,
            action: None,
            since: TimestampMs(0),
            limit: 1,
        },
    }
}

#[tokio::test]
async fn a_denied_question_takes_nothing_reaches_nobody_and_is_recorded() {
    let (gate, meter) = gate("", World::Hangs);
    let door = gate.for_stage("evaluate");
    let Err(HostError::Denied(line)) = door.call(complete(1)).await else { panic!() };
    assert_eq!(line, "imports = [\"model\"]  # grants/x.toml");
    assert_eq!(meter.0.load(Ordering::SeqCst), 0);
    assert_eq!(gate.asked_with(), None);
    let records = gate.take_records();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].stage.as_str(), &records[0].answer),
        ("evaluate", &Err(HostError::Denied(line)))
    );
}

#[tokio::test]
async fn a_components_question_is_put_with_a_version_of_the_prompt_also_in_vain() {
    for world in [World::Answers, World::Busy] {
        let (gate, _) = gate(MODEL, world);
        drop(gate.for_stage("evaluate").call(complete(1)).await);
        assert_eq!(gate.asked_with().as_deref(), Some("version"));
    }
}

#[tokio::test]
async fn prompt_and_model_are_granted_each_by_itself() {
    for (grant, missing) in [
        (MODEL.replace("\"p\"", "\"q\""), "\"p\""),
        (MODEL.replace("\"small\"", "\"large\""), "\"small\""),
    ] {
        let (gate, _) = gate(&grant, World::Answers);
        let Err(HostError::Denied(line)) = gate.for_stage("s").call(complete(1)).await else {
            panic!()
        };
        assert!(line.starts_with("model = ") && line.contains(missing), "{line}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_and_stands_in_the_record() {
    let (gate, _) = gate("imports = [\"context-read\"]", World::Hangs);
    let request = HostRequest::ContextFlag { key: "k".to_owned() };
    let answer = gate.for_stage("s").call(request).await;
    let expected = HostError::Failed("context-read.flag: no answer within 100 ms".to_owned());
    assert_eq!(answer, Err(expected.clone()));
    assert_eq!(gate.take_records()[0].answer, Err(expected));
}

#[tokio::test]
async fn tokens_are_set_aside_before_and_settled_after() {
    let grant = format!("{MODEL}[budget]\nmodel_tokens_per_run = 100\n");
    let (gate, _) = gate(&grant, World::Answers);
    let door = gate.for_stage("s");
    let too_much = door.call(complete(100)).await;
    assert_eq!(too_much, Err(HostError::Budget("model_tokens_per_run = 100".to_owned())));
    assert!(door.call(complete(50)).await.is_ok());
    assert_eq!(gate.tokens_used(), 60);
    assert!(door.call(complete(50)).await.is_err(), "60 of 100 are gone");
    assert_eq!(gate.completions(), ["words"]);
}

#[tokio::test]
async fn the_days_budget_is_taken_before_and_given_back_if_nobody_was_asked() {
    let (gate_busy, meter) = gate(MODEL, World::Busy);
    assert_eq!(gate_busy.for_stage("s").call(complete(1)).await, Err(HostError::Unavailable(7)));
    assert_eq!(meter.0.load(Ordering::SeqCst), 0);
    let (gate, _) = gate(MODEL, World::Answers);
    let door = gate.for_stage("s");
    for _ in 0..3 {
        assert!(door.call(complete(1)).await.is_ok());
    }
    let refused = door.call(complete(1)).await;
    assert_eq!(refused, Err(HostError::Budget("model_calls_per_day = 3".to_owned())));
}

#[tokio::test]
async fn a_query_is_answered_from_no_more_than_is_granted() {
    for (scope, query, seen) in [
        ("own", count(None, None), r#"Some("x") None"#),
        ("own", count(Some("x"), Some("bb")), r#"Some("x") Some("bb")"#),
        ("sender", count(None, None), r#"None Some("aa")"#),
        ("sender", count(Some("y"), None), r#"Some("y") Some("aa")"#),
        ("sender", count(None, Some("bb")), r#"Some("x") Some("bb")"#),
        ("all", count(None, Some("bb")), r#"None Some("bb")"#),
    ] {
        let grant =
            format!("imports = [\"journal-read\"]\n[reads]\njournal = {{ scope = \"{scope}\" }}");
        let (gate, _) = gate(&grant, World::Answers);
        let answer = gate.for_stage("s").call(query.clone()).await;
        assert_eq!(answer, Ok(HostAnswer::Text(Some(seen.to_owned()))), "{scope}: {query:?}");
        let record = gate.take_records().remove(0);
        let HostRequest::JournalCount { query: answered } = record.effective() else { panic!() };
        assert_eq!(format!("{:?} {:?}", answered.recipe, answered.from_node), seen);
        assert_eq!(record.request, query, "what was asked is kept as well");
        assert_eq!(record.answered_as.is_some(), *record.effective() != query);
    }
    let (gate, _) = gate("imports = [\"journal-read\"]", World::Answers);
    let denied = gate.for_stage("s").call(count(Some("y"), None)).await;
    assert!(matches!(denied, Err(HostError::Denied(line)) if line.contains("scope = \"sender\"")));
}

#[tokio::test]
async fn a_question_that_is_too_large_is_neither_put_nor_kept_whole() {
    let (gate, _) = gate("imports = [\"context-read\"]", World::Answers);
    let huge = HostRequest::ContextFlag { key: "k".repeat(3_000_000) };
    let answer = gate.for_stage("s").call(huge).await;
    assert!(matches!(answer, Err(HostError::Invalid(why)) if why.contains("1024 bytes")));
    let records = gate.take_records();
    let HostRequest::ContextFlag { key } = &records[0].request else { panic!() };
    assert!(key.len() < 300 && key.ends_with("[cut]"));
}
