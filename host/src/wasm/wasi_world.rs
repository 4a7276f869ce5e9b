//! The empty world that WASI imports meet. Toolchains of other languages
//! import WASI whether a recipe needs it or not, so it is linked; but there is
//! nothing in it: no preopened folder, environment, argument, socket or name
//! lookup. Time is the event's, randomness is seeded, printing goes to the
//! run's log. So even such a guest answers the same to the same input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{
    DynPollable, OutputStream, Pollable, StreamError, StreamResult, subscribe,
};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostWallClock, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::stage::StageLimits;

use super::run_log::Printed;
use super::run_state::{RunState, SharedLog};

/// Random bytes before they repeat.
const RANDOM_PERIOD_BLOCKS: u64 = 64;
/// What a stream takes in one write.
const WRITE_BYTES: usize = 4 << 10;

/// WASI's state for one call.
pub(super) struct WasiWorld {
    ctx: WasiCtx,
    table: ResourceTable,
    elapsed: VirtualTime,
}

impl WasiWorld {
    pub(super) fn new(now: TimestampMs, seed: u64, log: SharedLog) -> Self {
        let elapsed = VirtualTime::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(StageLimits::MAX_TABLE_ENTRIES);
        let ctx = WasiCtxBuilder::new()
            .wall_clock(WallClock { start: Duration::from_millis(now.0), elapsed: elapsed.clone() })
            .secure_random(random_bytes("random", seed))
            .insecure_random(random_bytes("insecure-random", seed))
            .insecure_random_seed(u128::from(seed))
            .max_random_size(StageLimits::MAX_RANDOM_BYTES)
            .stdout(LogStream { log: log.clone(), stream: Printed::Stdout })
            .stderr(LogStream { log, stream: Printed::Stderr })
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self { ctx, table, elapsed }
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let world = self.wasi_world();
        WasiCtxView { ctx: &mut world.ctx, table: &mut world.table }
    }
}

/// Links every WASI p2 interface. `wasi:http` is not among them.
///
/// # Errors
/// A name is defined twice: a mistake in the linker's set-up.
pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Ours instead: the library's clock would really sleep.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<RunState, VirtualClock>(linker, |state| {
        let world = state.wasi_world();
        ClockView { elapsed: &world.elapsed, table: &mut world.table }
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Nanoseconds since the call began, as far as the guest has slept.
#[derive(Clone, Debug, Default)]
struct VirtualTime(Arc<AtomicU64>);

impl VirtualTime {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn advance_to(&self, when: u64) {
        self.0.fetch_max(when, Ordering::Relaxed);
    }
}

struct WallClock {
    start: Duration,
    elapsed: VirtualTime,
}

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.start.saturating_add(Duration::from_nanos(self.elapsed.now()))
    }
}

struct VirtualClock;

impl HasData for VirtualClock {
    type Data<'a> = ClockView<'a>;
}

struct ClockView<'a> {
    elapsed: &'a VirtualTime,
    table: &'a mut ResourceTable,
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.elapsed.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm { when, elapsed: self.elapsed.clone() })?;
        subscribe(self.table, alarm)
    }

    fn subscribe_duration(&mut self, wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(self.elapsed.now().saturating_add(wait))
    }
}

/// Waiting for it makes it due.
struct Alarm {
    when: u64,
    elapsed: VirtualTime,
}

#[async_trait::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        self.elapsed.advance_to(self.when);
        // A guest that polls in a circle must not keep the thread.
        tokio::task::yield_now().await;
    }
}

fn random_bytes(purpose: &str, seed: u64) -> Deterministic {
    let blocks = (0..RANDOM_PERIOD_BLOCKS).flat_map(|block| {
        Digest::of_parts(&[purpose.as_bytes(), &seed.to_be_bytes(), &block.to_be_bytes()]).0
    });
    Deterministic::new(blocks.collect())
}

/// Printed bytes, on their way into the run's log.
#[derive(Clone)]
struct LogStream {
    log: SharedLog,
    stream: Printed,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Asked for by WASI p1 and p3 only, which are not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap("wrote more than the stream permitted"));
        }
        self.log.with(|log| log.print(self.stream, &bytes));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}
