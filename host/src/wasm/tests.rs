//! The sandbox against well-behaved and hostile guests: each failure has its
//! name, comes within its limit, and leaves the next call unharmed.

mod guests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::clock::TimestampMs;
use crate::envelope::Field;
use crate::envelope::sender::Tier;
use crate::stage::{HostAnswer, HostError, HostRequest, LogLevel};

/// What stands behind the gate in a test.
#[derive(Default)]
struct TestHost {
    asked: AtomicU32,
    behaviour: Behaviour,
}

#[derive(Default)]
enum Behaviour {
    #[default]
    Answers,
    Hangs,
    Panics,
}

#[async_trait]
impl HostCalls for TestHost {
    async fn call(&self, _request: HostRequest) -> Result<HostAnswer, HostError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.behaviour {
            Behaviour::Answers => Ok(HostAnswer::Text(Some("here".to_owned()))),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Panics => panic!("a bug of ours"),
        }
    }
}

/// A sandbox with the folder that its compiled code lies in.
struct Fixture {
    sandbox: WasmSandbox,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with_slots(2)
    }

    fn with_slots(concurrent_calls: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = WasmSandbox::new(SandboxSettings {
            cache_folder: folder.path().join("compiled"),
            worker_program: "/nonexistent".into(),
            concurrent_calls,
        })
        .unwrap();
        Self { sandbox, folder }
    }

    fn load(&self, bytes: &[u8]) -> ComponentId {
        self.sandbox.load_bundled(bytes).unwrap().id
    }

    async fn decide(&self, id: ComponentId) -> StageOutcome<FilterAnswer> {
        self.decide_with(id, StageLimits::decider(), TestHost::default()).await
    }

    async fn decide_with(
        &self,
        id: ComponentId,
        limits: StageLimits,
        host: TestHost,
    ) -> StageOutcome<FilterAnswer> {
        self.sandbox.filter(id, &envelope(), &situation(), limits, Arc::new(host)).await
    }

    /// Runs a hostile filter, then shows that the sandbox still works.
    async fn fault_of(&self, guest: &[u8]) -> StageOutcome<FilterAnswer> {
        let outcome = self.decide(self.load(guest)).await;
        self.still_answers().await;
        outcome
    }

    async fn still_answers(&self) {
        let outcome = self.decide(self.load(&guests::echo())).await;
        assert_eq!(outcome.answer, Ok(skip("event-1")));
    }
}

fn envelope() -> Envelope {
    Envelope {
        id: "event-1".to_owned(),
        trigger: "on_mail".to_owned(),
        source: "test".to_owned(),
        parent: None,
        depth: 0,
        received_at: TimestampMs(1_770_000_000_000),
        root: None,
        lineage: Vec::new(),
        fields: vec![Field::new("body_text", "hello")],
    }
}

fn situation() -> Situation {
    Situation {
        now: TimestampMs(1_770_000_000_000),
        seed: 7,
        tier: Tier::Known,
        context: Vec::new(),
        gathered: Vec::new(),
        config: "{}".to_owned(),
    }
}

fn skip(reason: &str) -> FilterAnswer {
    FilterAnswer::Skip { reason: reason.to_owned() }
}

fn fault<A: std::fmt::Debug>(outcome: &StageOutcome<A>) -> &GuestFault {
    outcome.answer.as_ref().unwrap_err()
}

#[tokio::test]
async fn each_world_is_called_and_answers() {
    let fixture = Fixture::new();
    fixture.still_answers().await;

    let hotwire = fixture.load(&guests::hotwire("(i32.const 16)"));
    let host = Arc::new(TestHost::default());
    let limits = StageLimits::decider();
    let outcome =
        fixture.sandbox.hotwire(hotwire, &envelope(), &situation(), limits, host.clone()).await;
    assert_eq!(outcome.answer, Ok(None));

    let action = fixture.load(&guests::action("(i32.store (i32.const 24) (i32.const 2)) (i32.store (i32.const 20) (i32.const 4096)) (i32.const 16)"));
    let verdict = Verdict::certain("log", "test");
    let limits = StageLimits::action();
    let outcome =
        fixture.sandbox.action(action, &envelope(), &situation(), &verdict, limits, host).await;
    let log = Operation::Log { message: String::new() };
    assert_eq!(outcome.answer, Ok(vec![log.clone(), log]));
}

#[tokio::test]
async fn the_same_input_gives_the_same_answer_and_the_same_cost() {
    let fixture = Fixture::new();
    let id = fixture.load(&guests::echo());
    let first = fixture.decide(id).await;
    let second = fixture.decide(id).await;
    assert_eq!(first.answer, second.answer);
    assert!(first.usage.fuel > 0);
    assert_eq!(first.usage.fuel, second.usage.fuel);
    assert_eq!(first.usage.memory_bytes, 64 * 1024);
    assert_eq!(second.usage.memory_bytes, 64 * 1024);
}

#[tokio::test]
async fn a_fresh_instance_has_no_memory_of_the_last() {
    let fixture = Fixture::new();
    // Fails if it finds what it left the last time.
    let body = "(if (i32.load (i32.const 8192)) (then unreachable)) (i32.store (i32.const 8192) (i32.const 1)) (i32.const 16)";
    let id = fixture.load(&guests::filter(body));
    for _ in 0..8 {
        assert_eq!(fixture.decide(id).await.answer, Ok(FilterAnswer::Pass));
    }
}

#[tokio::test]
async fn a_guest_that_loops_runs_out_of_fuel() {
    let outcome =
        Fixture::new().fault_of(&guests::filter("(loop $l (br $l)) (i32.const 16)")).await;
    let fuel = StageLimits::decider().fuel;
    assert_eq!(fault(&outcome), &GuestFault::OutOfFuel(fuel));
    assert!((fuel..fuel + 1000).contains(&outcome.usage.fuel), "{}", outcome.usage.fuel);
}

#[tokio::test]
async fn a_guest_with_fuel_for_longer_is_timed_out() {
    let fixture = Fixture::new();
    let limits = StageLimits {
        guest_time: Duration::from_millis(50),
        fuel: 1_000_000_000_000,
        ..StageLimits::decider()
    };
    let id = fixture.load(&guests::filter("(loop $l (br $l)) (i32.const 16)"));
    let outcome = fixture.decide_with(id, limits, TestHost::default()).await;
    let expected = GuestFault::TimedOut("more than 50 ms in the guest itself".to_owned());
    assert_eq!(fault(&outcome), &expected);
    assert!(outcome.usage.wall_us >= 40_000, "{}", outcome.usage.wall_us);
    fixture.still_answers().await;
}

#[tokio::test]
async fn a_guest_that_allocates_without_end_runs_out_of_memory() {
    let body =
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let outcome = Fixture::new().fault_of(&guests::filter(body)).await;
    assert_eq!(fault(&outcome), &GuestFault::OutOfMemory(16 * 1024 * 1024));
    assert_eq!(outcome.usage.memory_bytes, 16 * 1024 * 1024);
}

#[tokio::test]
async fn a_guest_that_is_refused_memory_and_copes_is_not_at_fault() {
    let body = "(drop (memory.grow (i32.const 10000))) (i32.const 16)";
    let outcome = Fixture::new().fault_of(&guests::filter(body)).await;
    assert_eq!(outcome.answer, Ok(FilterAnswer::Pass));
}

#[tokio::test]
async fn a_guest_that_recurses_exhausts_its_stack() {
    let outcome = Fixture::new().fault_of(&guests::filter("(call $decide (local.get $in))")).await;
    let GuestFault::Trapped(text) = fault(&outcome) else { panic!("{outcome:?}") };
    assert!(text.starts_with("call stack exhausted"), "{text}");
}

#[tokio::test]
async fn a_trap_says_what_and_where() {
    let outcome = Fixture::new().fault_of(&guests::filter("unreachable")).await;
    let GuestFault::Trapped(text) = fault(&outcome) else { panic!("{outcome:?}") };
    assert_eq!(text, "wasm `unreachable` instruction executed in decide");
    assert!(outcome.usage.fuel > 0);
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_bad_answers() {
    let fixture = Fixture::new();
    for (guest, text) in [
        // 100 MB that are not there.
        ("(call $skip (i32.const 0) (i32.const 100000000))", "out of bounds"),
        // 8 MB that are.
        (
            "(drop (memory.grow (i32.const 130))) (call $skip (i32.const 32768) (i32.const 8000000))",
            "too much data",
        ),
        (
            "(i32.store (i32.const 8192) (i32.const 0xffff)) (call $skip (i32.const 8192) (i32.const 2))",
            "utf-8",
        ),
        ("(i32.store8 (i32.const 20) (i32.const 9)) (i32.const 16)", "discriminant"),
    ] {
        let outcome = fixture.fault_of(&guests::filter(guest)).await;
        let GuestFault::BadAnswer(reason) = fault(&outcome) else { panic!("{outcome:?}") };
        assert!(reason.contains(text), "{reason}");
        assert!(outcome.usage.memory_bytes <= 16 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_plan_of_thirty_three_operations_is_a_bad_answer() {
    let fixture = Fixture::new();
    let body = "(i32.store (i32.const 20) (i32.const 4096)) (i32.store (i32.const 24) (i32.const 33)) (i32.const 16)";
    let id = fixture.load(&guests::action(body));
    let verdict = Verdict::certain("log", "test");
    let host = Arc::new(TestHost::default());
    let limits = StageLimits::action();
    let outcome =
        fixture.sandbox.action(id, &envelope(), &situation(), &verdict, limits, host).await;
    let expected = "the plan has 33 operations; 32 are allowed".to_owned();
    assert_eq!(fault(&outcome), &GuestFault::BadAnswer(expected));
}

#[tokio::test]
async fn a_refusal_is_quoted_without_its_escapes() {
    let body = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 8192)) (i32.store (i32.const 24) (i32.const 8)) (i64.store (i32.const 8192) (i64.const 0x7365796d315b1b20)) (i32.const 16)";
    let outcome = Fixture::new().fault_of(&guests::filter(body)).await;
    assert_eq!(fault(&outcome), &GuestFault::Refused(" yes".to_owned()));
}

const LOG: &str = r#"(import "thrall:recipe/log@1.0.0" "write" (func $log (param i32 i32 i32)))"#;

#[tokio::test]
async fn a_thousand_log_lines_become_a_hundred_and_a_count() {
    let body = "(local $n i32) (loop $l (call $log (i32.const 1) (i32.load (local.get $in)) (i32.load offset=4 (local.get $in))) (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))) (i32.const 16)";
    let outcome = Fixture::new().fault_of(&guests::filter_with(LOG, body)).await;
    assert_eq!(outcome.answer, Ok(FilterAnswer::Pass));
    assert_eq!(outcome.logs.len(), 101);
    assert_eq!(outcome.logs[0].level, LogLevel::Info);
    assert_eq!(outcome.logs[0].message, "event-1");
    assert_eq!(outcome.logs[100].message, "... 900 more lines dropped");
}

#[tokio::test]
async fn a_guest_that_fails_leaves_its_log() {
    let body = "(call $log (i32.const 3) (i32.load (local.get $in)) (i32.const 5)) unreachable";
    let outcome = Fixture::new().fault_of(&guests::filter_with(LOG, body)).await;
    assert_eq!(outcome.logs[0].message, "event");
    assert_eq!(outcome.logs[0].level, LogLevel::Error);
}

/// Asks for a context value so many times, then answers with the text of the
/// last answer.
fn asking(times: u32) -> Vec<u8> {
    let import = r#"(import "thrall:recipe/context-read@1.0.0" "get" (func $get (param i32 i32 i32 i32 i32)))"#;
    let body = format!(
        "(local $n i32)
         (loop $l
           (call $get (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
           (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {times}))))
         (if (result i32) (i32.load8_u (i32.const 256))
           ;; the error's text
           (then (call $skip (i32.load (i32.const 272)) (i32.load (i32.const 276))))
           ;; the value's text
           (else (call $skip (i32.load (i32.const 268)) (i32.load (i32.const 272)))))"
    );
    guests::filter_with(import, &body)
}

#[tokio::test]
async fn host_calls_are_answered_until_the_budget_is_spent() {
    let fixture = Fixture::new();
    let sixty_four = fixture.decide(fixture.load(&asking(64))).await;
    assert_eq!(sixty_four.answer, Ok(skip("here")));

    let host = Arc::new(TestHost::default());
    let id = fixture.load(&asking(1000));
    let limits = StageLimits::decider();
    let thousand =
        fixture.sandbox.filter(id, &envelope(), &situation(), limits, host.clone()).await;
    assert_eq!(thousand.answer, Ok(skip("host_calls_per_run = 64")));
    assert_eq!(host.asked.load(Ordering::SeqCst), 64);
}

#[tokio::test]
async fn a_panic_of_the_host_ends_one_call_only() {
    let fixture = Fixture::new();
    let host = TestHost { behaviour: Behaviour::Panics, ..TestHost::default() };
    let id = fixture.load(&asking(1));
    let outcome = fixture.decide_with(id, StageLimits::decider(), host).await;
    let expected = "the host failed while it ran this component: a bug of ours".to_owned();
    assert_eq!(fault(&outcome), &GuestFault::Trapped(expected));
    fixture.still_answers().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_its_slot() {
    let fixture = Fixture::with_slots(1);
    let host = TestHost { behaviour: Behaviour::Hangs, ..TestHost::default() };
    let id = fixture.load(&asking(1));
    let hanging = fixture.decide_with(id, StageLimits::decider(), host);
    assert!(tokio::time::timeout(Duration::from_millis(20), hanging).await.is_err());
    fixture.still_answers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_slots_wait_for_their_turn() {
    let fixture = Arc::new(Fixture::with_slots(2));
    let id = fixture.load(&asking(3));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move { fixture.decide(id).await.answer })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(skip("here")));
    }
}

#[tokio::test]
async fn a_running_guest_lets_other_tasks_have_the_thread() {
    let fixture = Fixture::new();
    let id = fixture.load(&guests::filter("(loop $l (br $l)) (i32.const 16)"));
    let limits = StageLimits { fuel: 2_000_000_000, ..StageLimits::decider() };
    let looping = fixture.decide_with(id, limits, TestHost::default());
    // One thread: the timer is only seen if the guest gives way.
    let gave_way = tokio::time::timeout(Duration::from_millis(30), looping).await.is_err();
    assert!(gave_way, "the guest ran to its end without a pause");
}

#[tokio::test]
async fn wasi_is_an_empty_world_with_the_events_time() {
    let fixture = Fixture::new();
    let report = fixture.sandbox.load_bundled(&guests::wasi_sleeper()).unwrap();
    assert!(report.imports.contains(&"wasi:cli/stdout".to_owned()), "{:?}", report.imports);

    let first = fixture.decide(report.id).await;
    let FilterAnswer::Skip { reason } = first.answer.clone().unwrap() else { panic!("{first:?}") };
    let number = |range| u64::from_str_radix(&reason[range], 16).unwrap();
    assert_eq!(number(0..16), 1_770_000_000 + 3600, "the hour passed for the guest");
    assert_eq!(number(16..32), 3_600_000_000_000);
    assert!(first.usage.wall_us < 60_000_000, "and for nobody else");
    assert_eq!(first.logs.len(), 1);
    assert_eq!(first.logs[0].message, "slept well");

    let second = fixture.decide(report.id).await;
    assert_eq!(second.answer, first.answer, "random numbers included");
}

#[test]
fn files_that_are_no_fitting_component_are_refused_by_name() {
    let fixture = Fixture::new();
    let load = |bytes: &[u8]| fixture.sandbox.load_bundled(bytes).unwrap_err();

    assert_eq!(load(b"not wasm"), LoadError::NotWasm);
    assert_eq!(load(b""), LoadError::NotWasm);
    assert_eq!(load(&guests::core_module()), LoadError::CoreModule);
    assert_eq!(load(&vec![0; MAX_COMPONENT_BYTES + 1]), LoadError::TooLarge(33_554_433));
    assert!(load(&guests::core_module()).to_string().contains("wasm-tools component new"));

    let mut cut = guests::echo();
    cut.truncate(cut.len() / 2);
    assert!(matches!(load(&cut), LoadError::Invalid(_)));

    assert_eq!(load(&guests::of_no_world()), LoadError::WrongWorld(vec!["run".to_owned()]));
    let unknown = load(&guests::with_unknown_import());
    assert_eq!(
        unknown.to_string(),
        "imports `evil:guest/socket`, which the world filter does not offer"
    );
    let mismatch = load(&guests::of_another_contract()).to_string();
    assert!(mismatch.contains("another version of the contract"), "{mismatch}");
}

#[tokio::test]
async fn a_component_is_called_only_as_what_it_is_and_while_it_is_loaded() {
    let fixture = Fixture::new();
    let id = fixture.load(&guests::action("(i32.const 16)"));
    let GuestFault::NotLoaded(text) = fault(&fixture.decide(id).await).clone() else { panic!() };
    assert!(text.contains("is of world action, called as filter"), "{text}");

    let id = fixture.load(&guests::echo());
    fixture.sandbox.unload(id);
    assert!(matches!(fault(&fixture.decide(id).await), GuestFault::NotLoaded(_)));
}

#[test]
fn a_report_names_the_world_and_what_can_be_asked_for() {
    let fixture = Fixture::new();
    let bytes = asking(1);
    let report = fixture.sandbox.load_bundled(&bytes).unwrap();
    assert_eq!(report.world, World::Filter);
    assert_eq!(report.imports, ["context-read"]);
    assert_eq!(report.size, bytes.len() as u64);
    assert_eq!(fixture.sandbox.report(report.id), Some(report));
}

#[tokio::test]
async fn what_a_worker_compiled_is_taken_from_the_cache() {
    let fixture = Fixture::new();
    let setup = &fixture.sandbox.shared.setup;
    let folder = fixture.folder.path().join("compiled");
    let bytes = guests::echo();
    // What the worker process does after limiting itself.
    let report = compile_worker::compile(&bytes, &folder, setup.allocation).unwrap().unwrap();
    assert_eq!(fixture.sandbox.load_bundled(&bytes).unwrap(), report);
    assert_eq!((setup.cache.cache_hits(), setup.cache.cache_misses()), (1, 0));
    // Already loaded: no worker is asked, which does not exist here.
    assert_eq!(fixture.sandbox.load(bytes).await.unwrap(), report);
}
