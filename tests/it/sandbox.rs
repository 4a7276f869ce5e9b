//! The sandbox itself against every guest of `tests/guests`: each failure has
//! its name, comes within its limit, and leaves the next call unharmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thrall::envelope::Field;
use thrall::operation::Operation;
use thrall::stage::{
    GuestFault, HostAnswer, HostCalls, HostError, HostRequest, StageLimits, StageOutcome,
};
use thrall::verdict::{FilterAnswer, Verdict};
use thrall::wasm::LoadError;
use thrall_tests::guests;

use crate::stage::Stage;

/// Answers what is asked for flags, and refuses all else.
#[derive(Default)]
struct Flags(AtomicU32);

#[async_trait::async_trait]
impl HostCalls for Flags {
    async fn call(&self, request: HostRequest) -> Result<HostAnswer, HostError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        match request {
            HostRequest::ContextFlag { .. } => Ok(HostAnswer::Text(None)),
            _ => Err(HostError::Denied("reads.cockpit".to_owned())),
        }
    }
}

/// A stage, and what its guests asked.
struct Asked {
    stage: Stage,
    host: Arc<Flags>,
}

impl Asked {
    fn new() -> Self {
        let host = Arc::<Flags>::default();
        Self { stage: Stage::with_host(host.clone()), host }
    }

    async fn hotwire(&self, guest: &str) -> StageOutcome<Option<Verdict>> {
        self.stage.hotwire(&self.stage.guest(guest), "{}", StageLimits::decider()).await
    }

    async fn filter(&self, guest: &str) -> StageOutcome<FilterAnswer> {
        self.stage.filter(&self.stage.guest(guest), "{}", StageLimits::decider()).await
    }

    async fn action(&self, guest: &str) -> StageOutcome<Vec<Operation>> {
        self.stage.action(&self.stage.guest(guest), "{}", StageLimits::action()).await
    }
}

#[tokio::test]
async fn hostile_guests_fail_by_name_within_their_limits() {
    let stage = Asked::new();
    let limits = StageLimits::decider();
    for (guest, is_named) in [
        (
            "loops-forever",
            (|fault| matches!(fault, GuestFault::OutOfFuel(50_000_000))) as fn(&_) -> bool,
        ),
        ("allocates-forever", |fault| matches!(fault, GuestFault::OutOfMemory(16_777_216))),
        ("recurses", |fault| matches!(fault, GuestFault::Trapped(_))),
        (
            "traps",
            |fault| matches!(fault, GuestFault::Trapped(text) if text.contains("unreachable")),
        ),
        (
            "returns-100mb",
            |fault| matches!(fault, GuestFault::BadAnswer(text) if text.contains("too much data")),
        ),
    ] {
        let outcome = stage.hotwire(guest).await;
        let fault = outcome.answer.unwrap_err();
        assert!(is_named(&fault), "{guest}: {fault:?}");
        assert!(outcome.usage.fuel <= limits.fuel + 1000, "{guest}: {:?}", outcome.usage);
        assert!(outcome.usage.memory_bytes <= limits.memory_bytes as u64, "{guest}");
        assert!(stage.hotwire("echo-hotwire").await.answer.is_ok(), "after {guest}");
    }
}

#[tokio::test]
async fn guests_that_ask_too_much_get_the_allowed_part() {
    let stage = Asked::new();

    let logged = stage.hotwire("logs-much").await;
    assert!(logged.answer.is_ok(), "{:?}", logged.answer);
    assert_eq!(logged.logs.len(), 101);
    assert!(logged.logs.iter().all(|line| line.message.len() <= 4096));
    assert_eq!(logged.logs[100].message, "... 900 more lines dropped");

    let called = stage.hotwire("calls-much").await;
    let reason = called.answer.unwrap().unwrap().reason;
    assert!(reason.starts_with("answered 64, then "), "{reason}");
    assert!(reason.contains("host_calls_per_run = 64"), "{reason}");
    assert_eq!(stage.host.0.load(Ordering::SeqCst), 64);

    let asked = stage.hotwire("asks-ungranted").await;
    let reason = asked.answer.unwrap().unwrap().reason;
    assert!(reason.contains("reads.cockpit"), "{reason}");

    let planned = stage.action("thirty-three-operations").await;
    let expected = "the plan has 33 operations; 32 are allowed".to_owned();
    assert_eq!(planned.answer, Err(GuestFault::BadAnswer(expected)));
}

#[test]
fn files_that_do_not_fit_are_refused_when_they_are_loaded() {
    let stage = Asked::new();
    let load = |guest| stage.stage.load(guests::bytes(guest)).unwrap_err();
    assert_eq!(load("core-module"), LoadError::CoreModule);
    assert_eq!(load("wrong-world"), LoadError::WrongWorld(vec!["hello".to_owned()]));
    let reason = load("unknown-import").to_string();
    assert!(reason.contains("guest:unknown-import/made-up"), "{reason}");
}

#[tokio::test]
async fn every_world_is_told_everything_and_the_same_input_gives_the_same_answer() {
    let stage = Asked::new();
    let first = (
        stage.filter("echo-filter").await,
        stage.hotwire("echo-hotwire").await,
        stage.action("echo-action").await,
    );
    let second = (
        stage.filter("echo-filter").await,
        stage.hotwire("echo-hotwire").await,
        stage.action("echo-action").await,
    );
    assert_eq!(first.0.answer, second.0.answer);
    assert_eq!(first.1.answer, second.1.answer);
    assert_eq!(first.2.answer, second.2.answer);
    assert_eq!(first.0.usage.fuel, second.0.usage.fuel);
    assert_eq!(first.1.usage.fuel, second.1.usage.fuel);
    assert_eq!(first.2.usage.fuel, second.2.usage.fuel);

    let verdict = first.1.answer.unwrap().unwrap();
    for told in
        ["id=event-1", "tier=known", "seed=7", "envelope.body_text=hello", "context.mood=calm"]
    {
        assert!(verdict.reason.contains(told), "{told} in {}", verdict.reason);
    }
    let Ok([Operation::Log { message }]) = first.2.answer.as_deref() else { panic!() };
    assert!(message.starts_with("log: because; "), "{message}");
}

#[tokio::test]
async fn guests_of_contract_1_0_0_still_run() {
    let stage = Asked::new();
    let seen = vec![Field::new("seen", "event-1")];
    let filter = stage.filter("contract-1-0-0-filter").await.answer;
    assert_eq!(filter, Ok(FilterAnswer::Inject { fields: seen }));
    let verdict = stage.hotwire("contract-1-0-0-hotwire").await.answer.unwrap().unwrap();
    assert_eq!(verdict.reason, "on_mail at 1770000000000");
    let plan = stage.action("contract-1-0-0-action").await.answer.unwrap();
    let [log, drop] = [
        Operation::Log { message: "because".to_owned() },
        Operation::Drop { reason: "because".to_owned() },
    ];
    assert_eq!(plan, [log, drop]);
}
