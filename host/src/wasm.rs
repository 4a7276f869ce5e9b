//! The sandbox: loads components and calls them, each time in a fresh
//! instance, within limits, with a fault as a value. It knows the contract in
//! `wit/`, not what an answer means; whether a question is allowed is decided
//! behind [`HostCalls`].
//!
//! Reading order: `call` (one call), `run_state` (what it holds),
//! `host_imports` and `wasi_world` (what a guest can reach), `convert` (what
//! it may answer), `guest_fault` (how it fails); then `component_cache`,
//! `component_check`, `wasi_report`, `compile_worker` (how a file becomes
//! callable); `engine`.

mod baseline;
mod bindings;
mod call;
mod compile_worker;
mod component_cache;
mod component_check;
mod convert;
mod engine;
mod epoch_ticker;
mod guest_clock;
mod guest_fault;
mod host_imports;
mod limits;
mod linker;
mod printable;
mod run_log;
mod run_state;
#[cfg(test)]
mod tests;
mod wasi_report;
mod wasi_world;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

pub use self::compile_worker::{SUBCOMMAND as COMPILE_WORKER, compile_worker_main};
pub use self::component_check::{
    ComponentReport, LoadError, MAX_COMPONENT_BYTES, offered_interfaces,
};
pub use self::convert::{MAX_ACTION_BYTES, MAX_REASON_CHARS};
pub use self::wasi_report::{WasiAnswer, WasiImport};

use self::call::{Call, guarded};
use self::compile_worker::CompileWorker;
use self::component_cache::{ComponentCache, Loaded, prepare};
use self::engine::EngineSetup;
use self::epoch_ticker::EpochTicker;
use self::linker::{LinkedComponent, Linkers};
use crate::envelope::Envelope;
use crate::operation::Operation;
use crate::stage::{
    ComponentId, GuestFault, HostCalls, Sandbox, StageLimits, StageOutcome, Usage, World,
};
use crate::verdict::{FilterAnswer, Situation, Verdict};

/// Where the sandbox keeps things and how large it is.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Compiled code; created if missing, 0700. Nobody but the service may
    /// write there, since what lies in it is run as native code.
    pub cache_folder: PathBuf,
    /// The program that understands the subcommand [`COMPILE_WORKER`].
    pub worker_program: PathBuf,
    /// Calls at the same time; the next wait for their turn.
    pub concurrent_calls: u32,
}

impl SandboxSettings {
    /// Enough for every lane that two to sixteen cores can serve.
    pub const CONCURRENT_CALLS: u32 = 64;
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
    #[error("cannot link the host's interfaces: {0:#}")]
    Linker(wasmtime::Error),
    #[error("cannot start the thread that watches the guests' time: {0}")]
    Ticker(std::io::Error),
}

/// Loads and calls components.
pub struct WasmSandbox {
    settings: SandboxSettings,
    shared: Arc<Shared>,
    worker: CompileWorker,
    ticker: EpochTicker,
    slots: Arc<Semaphore>,
}

/// What loading needs, also on a thread of its own.
struct Shared {
    setup: EngineSetup,
    linkers: Linkers,
    components: ComponentCache,
}

impl WasmSandbox {
    /// # Errors
    /// The cache folder cannot be made, or the engine cannot be started.
    pub fn new(settings: SandboxSettings) -> Result<Self, SandboxError> {
        let concurrent = settings.concurrent_calls.max(1);
        let setup = engine::for_guests(&settings.cache_folder, concurrent)?;
        let linkers = Linkers::new(&setup.engine).map_err(SandboxError::Linker)?;
        let ticker = EpochTicker::start(setup.engine.weak()).map_err(SandboxError::Ticker)?;
        let worker = CompileWorker::new(settings.worker_program.clone());
        let slots = Arc::new(Semaphore::new(concurrent as usize));
        let shared = Arc::new(Shared { setup, linkers, components: ComponentCache::default() });
        Ok(Self { settings, shared, worker, ticker, slots })
    }

    /// Loads a component that someone dropped in: compiled in a bounded
    /// process first, then taken from the cache. Takes some time at the first
    /// sight of a file, milliseconds later; never blocks the executor.
    ///
    /// # Errors
    /// What is wrong with the file, in words for its author.
    pub async fn load(&self, bytes: impl Into<Arc<[u8]>>) -> Result<ComponentReport, LoadError> {
        let bytes = bytes.into();
        let id = component_check::look(&bytes)?;
        if let Some(loaded) = self.shared.components.get(id) {
            return Ok(loaded.report.clone());
        }
        let allocation = self.shared.setup.allocation;
        self.worker.compile(&bytes, &self.settings.cache_folder, allocation).await?;
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.load_compiled(&bytes))
            .await
            .map_err(|failed| LoadError::Compile(format!("loading it failed: {failed}")))?
    }

    /// Loads a component that is part of the program, in this process. Blocks
    /// while it compiles, which happens once for each version.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_bundled(&self, bytes: &[u8]) -> Result<ComponentReport, LoadError> {
        self.shared.load(bytes)
    }

    /// Forgets a component. Calls in flight end with it; later ones answer
    /// [`GuestFault::NotLoaded`].
    pub fn unload(&self, id: ComponentId) {
        self.shared.components.remove(id);
    }

    /// Forgets every component but these; see [`unload`](Self::unload).
    pub fn unload_others(&self, kept: &std::collections::BTreeSet<ComponentId>) {
        self.shared.components.retain(kept);
    }

    /// What was loaded under this id.
    pub fn report(&self, id: ComponentId) -> Option<ComponentReport> {
        self.shared.components.get(id).map(|loaded| loaded.report.clone())
    }

    fn find(&self, id: ComponentId) -> Result<Arc<Loaded>, GuestFault> {
        self.shared.components.get(id).ok_or_else(|| {
            GuestFault::NotLoaded(format!("no component sha256:{} is loaded", id.0.short()))
        })
    }

    async fn begin(
        &self,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> Result<Call, GuestFault> {
        let engine = &self.shared.setup.engine;
        Call::begin(engine, &self.ticker, &self.slots, situation, limits, host).await
    }
}

impl Shared {
    fn load(&self, bytes: &[u8]) -> Result<ComponentReport, LoadError> {
        let loaded = prepare(&self.setup.engine, &self.linkers, bytes)?;
        let report = loaded.report.clone();
        self.components.insert(loaded);
        Ok(report)
    }

    /// Loads what the worker has just compiled. If that is not in the cache it
    /// is compiled again, which the worker has shown to be bearable.
    fn load_compiled(&self, bytes: &[u8]) -> Result<ComponentReport, LoadError> {
        let hits = self.setup.cache.cache_hits();
        let report = self.load(bytes)?;
        if self.setup.cache.cache_hits() == hits {
            tracing::warn!(
                "compiled code of {} was not in the cache and was compiled again: is there space in {}?",
                report.id.0.short(),
                self.setup.cache.directory().display()
            );
        }
        Ok(report)
    }
}

/// Marks a failure on the way to the first instruction of the world's function.
fn not_started(error: wasmtime::Error) -> wasmtime::Error {
    error.context(guest_fault::NotStarted)
}

/// The outcome of a call that never began.
fn not_begun<A>(fault: GuestFault) -> StageOutcome<A> {
    StageOutcome { answer: Err(fault), usage: Usage::default(), logs: Vec::new() }
}

fn wrong_world<A>(loaded: &Loaded, asked: World) -> StageOutcome<A> {
    not_begun(GuestFault::NotLoaded(format!(
        "component sha256:{} is of world {}, called as {}",
        loaded.report.id.0.short(),
        loaded.linked.world().as_str(),
        asked.as_str()
    )))
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn filter(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<FilterAnswer> {
        let loaded = match self.find(component) {
            Ok(loaded) => loaded,
            Err(fault) => return not_begun(fault),
        };
        let LinkedComponent::Filter(linked) = &loaded.linked else {
            return wrong_world(&loaded, World::Filter);
        };
        let mut call = match self.begin(situation, limits, host).await {
            Ok(call) => call,
            Err(fault) => return not_begun(fault),
        };
        let envelope = convert::to_envelope(envelope);
        let situation = convert::to_situation(situation);
        let answer = guarded(async {
            let guest = linked.instantiate_async(&mut call.store).await.map_err(not_started)?;
            guest.call_decide(&mut call.store, &envelope, &situation).await
        })
        .await;
        call.finish(answer, convert::filter_answer)
    }

    async fn hotwire(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<Option<Verdict>> {
        let loaded = match self.find(component) {
            Ok(loaded) => loaded,
            Err(fault) => return not_begun(fault),
        };
        let LinkedComponent::Hotwire(linked) = &loaded.linked else {
            return wrong_world(&loaded, World::Hotwire);
        };
        let mut call = match self.begin(situation, limits, host).await {
            Ok(call) => call,
            Err(fault) => return not_begun(fault),
        };
        let envelope = convert::to_envelope(envelope);
        let situation = convert::to_situation(situation);
        let answer = guarded(async {
            let guest = linked.instantiate_async(&mut call.store).await.map_err(not_started)?;
            guest.call_evaluate(&mut call.store, &envelope, &situation).await
        })
        .await;
        call.finish(answer, convert::hotwire_answer)
    }

    async fn action(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> StageOutcome<Vec<Operation>> {
        let loaded = match self.find(component) {
            Ok(loaded) => loaded,
            Err(fault) => return not_begun(fault),
        };
        let LinkedComponent::Action(linked) = &loaded.linked else {
            return wrong_world(&loaded, World::Action);
        };
        let mut call = match self.begin(situation, limits, host).await {
            Ok(call) => call,
            Err(fault) => return not_begun(fault),
        };
        let envelope = convert::to_envelope(envelope);
        let situation = convert::to_situation(situation);
        let verdict = convert::to_verdict(verdict);
        let answer = guarded(async {
            let guest = linked.instantiate_async(&mut call.store).await.map_err(not_started)?;
            guest.call_plan(&mut call.store, &envelope, &situation, &verdict).await
        })
        .await;
        call.finish(answer, convert::plan)
    }
}
