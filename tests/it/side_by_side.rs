//! Recipes that share a component share nothing else: neither memory, nor
//! budget, nor log, however many run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thrall::stage::{HostAnswer, HostCalls, HostError, HostRequest, Sandbox, StageLimits};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::TestHome;

use crate::stage::{Stage, envelope, situation};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_at_once_are_each_the_first() {
    let stage = Arc::new(Stage::new());
    let report = stage.guest("misbehaves");
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (stage, report) = (Arc::clone(&stage), report.clone());
            tokio::spawn(async move { stage.call(&report, r#"{"deed": "count-calls"}"#).await })
        })
        .collect();
    let mut fuel = Vec::new();
    for call in calls {
        let outcome = call.await.unwrap();
        assert_eq!(outcome.answer.unwrap(), "called 1 times");
        assert!(outcome.logs.is_empty());
        fuel.push(outcome.usage.fuel);
    }
    fuel.dedup();
    assert_eq!(fuel.len(), 1, "nobody pays for another: {fuel:?}");
}

/// One recipe's side of the door.
struct Door {
    name: &'static str,
    asked: AtomicU32,
}

#[async_trait::async_trait]
impl HostCalls for Door {
    async fn call(&self, _: HostRequest) -> Result<HostAnswer, HostError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(HostAnswer::Text(Some(self.name.to_owned())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_recipes_of_one_component_ask_through_their_own_doors() {
    let stage = Arc::new(Stage::new());
    let report = stage.guest("asks-anything");
    let config = r#"{"calls": [{"call": "context-read.get", "times": 20}]}"#;
    let door = |name| Arc::new(Door { name, asked: AtomicU32::new(0) });
    let doors = [door("first"), door("second")];
    let calls: Vec<_> = (0..50)
        .flat_map(|_| doors.clone())
        .map(|door| {
            let (stage, id) = (Arc::clone(&stage), report.id);
            tokio::spawn(async move {
                let limits = StageLimits::decider();
                let host: Arc<dyn HostCalls> = door.clone();
                let (envelope, situation) = (envelope(), situation(config));
                let called = stage.sandbox.hotwire(id, &envelope, &situation, limits, host).await;
                (door.name, called.answer.unwrap().unwrap().reason)
            })
        })
        .collect();
    for call in calls {
        let (name, reason) = call.await.unwrap();
        assert_eq!(reason, format!("context-read.get: {name} (times 20)"));
    }
    for door in doors {
        assert_eq!(door.asked.load(Ordering::SeqCst), 50 * 20, "{}", door.name);
    }
}

/// Through the whole program: the same component under two names, each with
/// its own host calls and its own configuration.
#[test]
fn one_component_under_two_names_is_two_recipes() {
    let home = TestHome::new();
    home.write("recipes/asks-anything.wasm", guests::bytes("asks-anything"));
    for (name, times) in [("many", 100), ("few", 5)] {
        home.recipe(
            name,
            &format!(
                r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
component = "asks-anything.wasm"
[actions.log]
[config]
calls = [{{ call = "context-read.flag", key = "k", times = {times} }}]
"#
            ),
        );
    }
    home.ingest(&lines([mail("m1", &node(0xd1), "one"), mail("m2", &node(0xd2), "two")])).ok();
    let rows = home.journal();
    let reasons = |recipe: &str| -> Vec<String> {
        let of_recipe = rows.iter().filter(|row| row["recipe"] == recipe);
        of_recipe.map(|row| row["reason"].as_str().unwrap().to_owned()).collect()
    };
    for reason in reasons("many") {
        assert!(reason.contains("context-read.flag: none (times 64)"), "{reason}");
        assert!(reason.contains("budget: "), "{reason}");
        assert!(reason.contains("(times 36)"), "{reason}");
    }
    for reason in reasons("few") {
        assert_eq!(reason, "context-read.flag: none (times 5)");
    }
    assert_eq!((reasons("many").len(), reasons("few").len()), (2, 2));
}
