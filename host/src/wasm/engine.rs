//! One wasmtime engine for all guests, and the same compiler settings for the
//! worker process that fills the cache. What a single call may use is set on
//! its store (`call.rs`, `limits.rs`), not here.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig, Strategy, WasmBacktraceDetails,
};

use crate::stage::StageLimits;

/// Address space of one linear memory. 4 GiB and a guard let compiled code
/// leave out every bounds check; nothing of it is touched before it is used.
const RESERVED_PER_MEMORY: u64 = 4 << 30;
const GUARD_AFTER_MEMORY: u64 = 32 << 20;

/// What a guest may use of the stack. The rest of [`FIBER_STACK`] is for the
/// host functions that it calls, which run on the same stack.
const GUEST_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 2 << 20;

/// What one component may consist of. A component of the SDK has one module,
/// memory and table; one that bundles a language runtime has a dozen modules,
/// linked to one memory and a few tables.
const MODULES_PER_COMPONENT: u32 = 64;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 8;
const TABLE_ELEMENTS: usize = StageLimits::MAX_TABLE_ELEMENTS / 2;

/// The host's own bookkeeping for one instance. It grows with the number of
/// functions; a bundled Python needs more than the default of 1 MiB.
const INSTANCE_BYTES: usize = 4 << 20;

/// Memory kept from one guest to the next. Up to here it is wiped by writing,
/// which costs less than giving pages back and faulting them in again; an SDK
/// guest of 64 KiB stack and little heap fits.
const KEPT_MEMORY: usize = 256 << 10;
const KEPT_TABLE: usize = 8 << 10;
const KEPT_STACK: usize = 64 << 10;

/// Where linear memories come from. Part of the compiled code's key, so the
/// worker is told which one the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allocation {
    /// Slots reserved once, reused for each call.
    Pooled,
    /// Memory mapped for each call, with bounds checks in the code: for
    /// machines that do not grant the address space of the pool.
    OnDemand,
}

impl Allocation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::OnDemand => "on-demand",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Pooled, Self::OnDemand].into_iter().find(|allocation| allocation.as_str() == text)
    }
}

/// Why the sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot create the folder for compiled code {}: {reason}", folder.display())]
    CacheFolder { folder: PathBuf, reason: std::io::Error },
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(wasmtime::Error),
}

/// The engine with what was decided while setting it up.
pub(super) struct EngineSetup {
    pub(super) engine: Engine,
    pub(super) allocation: Allocation,
    pub(super) cache: Cache,
}

/// The engine that runs guests, at most `concurrent` at a time.
pub(super) fn for_guests(cache_folder: &Path, concurrent: u32) -> Result<EngineSetup, EngineError> {
    let cache = open_cache(cache_folder)?;
    let mut config = compiler_settings(Allocation::Pooled, &cache);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(concurrent)));
    match Engine::new(&config) {
        Ok(engine) => Ok(EngineSetup { engine, allocation: Allocation::Pooled, cache }),
        Err(reason) => {
            tracing::warn!(
                "no address space for {concurrent} pooled sandboxes ({reason:#}): memory is mapped for each call, which is slower; a higher `ulimit -v` would help"
            );
            let engine = Engine::new(&compiler_settings(Allocation::OnDemand, &cache))
                .map_err(EngineError::Engine)?;
            Ok(EngineSetup { engine, allocation: Allocation::OnDemand, cache })
        }
    }
}

/// An engine that only compiles, into the same cache. It reserves nothing, so
/// that it works under a limit of address space.
pub(super) fn for_compiling(
    cache_folder: &Path,
    allocation: Allocation,
) -> Result<EngineSetup, EngineError> {
    let cache = open_cache(cache_folder)?;
    let engine =
        Engine::new(&compiler_settings(allocation, &cache)).map_err(EngineError::Engine)?;
    Ok(EngineSetup { engine, allocation, cache })
}

fn open_cache(folder: &Path) -> Result<Cache, EngineError> {
    let failed = |reason| EngineError::CacheFolder { folder: folder.to_owned(), reason };
    // Only the service may write here: what lies in the cache is run as code.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let folder = std::path::absolute(folder).map_err(failed)?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(EngineError::Engine)
}

/// Everything that shapes compiled code, equal in host and worker.
fn compiler_settings(allocation: Allocation, cache: &Cache) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_component_model(true)
        // The same input gives the same bits, on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Fuel bounds the work of a guest and repeats exactly; epochs bound
        // its time where an instruction of one unit runs for long, and let
        // other tasks have the thread.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        // Compiled code never reads a stack slot that it has not written,
        // unless the compiler has a bug; wiping what the last guest left
        // there costs a tenth of a call.
        .async_stack_zeroing(true)
        // Data segments are mapped copy-on-write instead of copied.
        .memory_init_cow(true)
        // Names are enough for a trap's message. Debug information in a
        // component is hostile input that nobody needs parsed.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .cache(Some(cache.clone()));
    match allocation {
        Allocation::Pooled => {
            config.memory_reservation(RESERVED_PER_MEMORY).memory_guard_size(GUARD_AFTER_MEMORY);
        }
        Allocation::OnDemand => {
            // As much as the widest grant allows, so that no memory ever moves.
            config
                .memory_reservation(StageLimits::MAX_MEMORY_BYTES as u64)
                .memory_reservation_for_growth(0)
                .memory_guard_size(64 << 10);
        }
    }
    config
}

fn pool(concurrent: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrent)
        .total_stacks(concurrent)
        .total_core_instances(concurrent.saturating_mul(MODULES_PER_COMPONENT))
        .total_memories(concurrent.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(concurrent.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(MODULES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(StageLimits::MAX_MEMORY_BYTES)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .async_stack_keep_resident(KEPT_STACK)
        // Asks the kernel, where it can tell, which pages were touched, and
        // wipes only those: a sixth off the cost of a call.
        .pagemap_scan(Enabled::Auto)
        // Few slots stay warm: the machine has far fewer threads than slots.
        .max_unused_warm_slots(concurrent.min(16));
    pool
}
