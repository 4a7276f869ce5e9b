//! A sandbox of its own for a test, and one event to call guests with. What
//! stands behind the guests' questions refuses everything by name, unless a
//! test brings its own.

use std::sync::Arc;

use thrall::clock::TimestampMs;
use thrall::envelope::sender::Tier;
use thrall::envelope::{Envelope, Field};
use thrall::operation::Operation;
use thrall::stage::{
    GuestFault, HostAnswer, HostCalls, HostError, HostRequest, Sandbox, StageLimits, StageOutcome,
    World,
};
use thrall::verdict::{FilterAnswer, Situation, Verdict};
use thrall::wasm::{ComponentReport, LoadError, SandboxSettings, WasmSandbox};
use thrall_tests::guests;

/// Denies every question, naming it.
pub(crate) struct Refuses;

#[async_trait::async_trait]
impl HostCalls for Refuses {
    async fn call(&self, request: HostRequest) -> Result<HostAnswer, HostError> {
        let (interface, function) = request.name();
        Err(HostError::Denied(format!("{interface} ({function})")))
    }
}

pub(crate) struct Stage {
    pub(crate) sandbox: WasmSandbox,
    pub(crate) host: Arc<dyn HostCalls>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with_host(Arc::new(Refuses))
    }

    pub(crate) fn with_host(host: Arc<dyn HostCalls>) -> Self {
        Self::with_worker(host, "not-needed")
    }

    /// With a program that compiles what [`WasmSandbox::load`] is given.
    pub(crate) fn with_worker(
        host: Arc<dyn HostCalls>,
        worker: impl Into<std::path::PathBuf>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = WasmSandbox::new(SandboxSettings {
            cache_folder: folder.path().join("compiled"),
            worker_program: worker.into(),
            concurrent_calls: 2,
        })
        .unwrap();
        Self { sandbox, host, _folder: folder }
    }

    pub(crate) fn load(&self, bytes: &[u8]) -> Result<ComponentReport, LoadError> {
        self.sandbox.load_bundled(bytes)
    }

    pub(crate) fn guest(&self, name: &str) -> ComponentReport {
        self.load(guests::bytes(name)).unwrap()
    }

    /// Calls a component of any world with the recipe's `[config]` as JSON.
    pub(crate) async fn call(
        &self,
        report: &ComponentReport,
        config: &str,
    ) -> StageOutcome<String> {
        let limits = match report.world {
            World::Action => StageLimits::action(),
            World::Filter | World::Hotwire => StageLimits::decider(),
        };
        self.call_within(report, config, limits).await
    }

    pub(crate) async fn call_within(
        &self,
        report: &ComponentReport,
        config: &str,
        limits: StageLimits,
    ) -> StageOutcome<String> {
        match report.world {
            World::Filter => {
                told(self.filter(report, config, limits).await, |answer| match answer {
                    FilterAnswer::Skip { reason } => reason,
                    other => format!("{other:?}"),
                })
            }
            World::Hotwire => told(self.hotwire(report, config, limits).await, |answer| {
                answer.map_or("none".to_owned(), |verdict| verdict.reason)
            }),
            World::Action => {
                told(self.action(report, config, limits).await, |plan| format!("{plan:?}"))
            }
        }
    }

    pub(crate) async fn filter(
        &self,
        report: &ComponentReport,
        config: &str,
        limits: StageLimits,
    ) -> StageOutcome<FilterAnswer> {
        let host = Arc::clone(&self.host);
        self.sandbox.filter(report.id, &envelope(), &situation(config), limits, host).await
    }

    pub(crate) async fn hotwire(
        &self,
        report: &ComponentReport,
        config: &str,
        limits: StageLimits,
    ) -> StageOutcome<Option<Verdict>> {
        let host = Arc::clone(&self.host);
        self.sandbox.hotwire(report.id, &envelope(), &situation(config), limits, host).await
    }

    pub(crate) async fn action(
        &self,
        report: &ComponentReport,
        config: &str,
        limits: StageLimits,
    ) -> StageOutcome<Vec<Operation>> {
        let (verdict, host) = (Verdict::certain("log", "because"), Arc::clone(&self.host));
        let (envelope, situation) = (envelope(), situation(config));
        self.sandbox.action(report.id, &envelope, &situation, &verdict, limits, host).await
    }

    /// Calls a guest of `tests/guests` and insists on an answer.
    pub(crate) async fn answer(&self, guest: &str, config: &str) -> String {
        self.call(&self.guest(guest), config).await.answer.unwrap()
    }

    /// Calls a guest of `tests/guests` and insists on a failure.
    pub(crate) async fn fault(&self, guest: &str, config: &str) -> GuestFault {
        self.call(&self.guest(guest), config).await.answer.unwrap_err()
    }
}

fn told<A>(called: StageOutcome<A>, text: impl FnOnce(A) -> String) -> StageOutcome<String> {
    StageOutcome { answer: called.answer.map(text), usage: called.usage, logs: called.logs }
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        id: "event-1".to_owned(),
        trigger: "on_mail".to_owned(),
        source: "test".to_owned(),
        parent: None,
        depth: 0,
        received_at: TimestampMs(1_770_000_000_000),
        fields: vec![Field::new("body_text", "hello")],
        ..Envelope::blank()
    }
}

pub(crate) fn situation(config: &str) -> Situation {
    Situation {
        now: TimestampMs(1_770_000_000_000),
        seed: 7,
        tier: Tier::Known,
        context: vec![Field::new("mood", "calm")],
        gathered: Vec::new(),
        config: format!("{{\"stage\": {{}}, \"config\": {config}}}"),
    }
}
