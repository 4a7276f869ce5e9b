//! Component files. What loads serves a known world and imports what that
//! world offers; loading anything ends soon, and never takes the host along.
//! In this process, as bundled components are loaded: the worker process in
//! front of dropped ones must not be what all safety hangs on.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thrall::ids::Digest;
use thrall::stage::World;
use thrall::wasm::{SandboxSettings, WasmSandbox};

use crate::shape;

/// Names and headers that components are made of.
pub const WORDS: &[&str] = &[
    "\0asm\r\0\u{1}\0",
    "\0asm\u{1}\0\0\0",
    "decide",
    "evaluate",
    "plan",
    "cabi_realloc",
    "memory",
    "thrall:recipe/types@1.0.0",
    "thrall:recipe/log@1.0.0",
    "thrall:recipe/context-read@1.0.0",
    "thrall:recipe/model@1.0.0",
    "thrall:recipe/cockpit-read@1.0.0",
    "wasi:cli/environment@0.2.0",
    "wasi:filesystem/preopens@0.2.0",
    "wasi:sockets/network@0.2.0",
    "wasi:http/outgoing-handler@0.2.0",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
];

/// Far beyond what loading takes, and far below for ever.
const BOUND: Duration = Duration::from_secs(30);
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

const OURS: [&str; 6] =
    ["log", "context-read", "journal-read", "breaker-read", "model", "cockpit-read"];
const WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// The target.
#[must_use]
pub fn component(data: &[u8]) -> u64 {
    let started = Instant::now();
    let loaded = sandbox().load_bundled(data);
    assert!(started.elapsed() < BOUND, "loading took {:?}", started.elapsed());
    match loaded {
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() <= MAX_MESSAGE_BYTES, "{message}");
            shape::of(shape::words(&message))
        }
        Ok(report) => {
            assert_eq!(report.id.0, Digest::of(data));
            assert_eq!(report.size, data.len() as u64);
            for import in &report.imports {
                let is_ours = OURS.contains(&import.as_str());
                let is_wasi = WASI.iter().any(|package| import.starts_with(package));
                assert!(is_ours || is_wasi, "{import:?} is offered to nobody");
                let asks = matches!(import.as_str(), "model" | "cockpit-read");
                assert!(!(asks && report.world == World::Filter), "{import:?} in a filter");
            }
            sandbox().unload(report.id);
            shape::of((report.world.as_str(), report.imports))
        }
    }
}

fn sandbox() -> &'static WasmSandbox {
    static SANDBOX: OnceLock<(WasmSandbox, TempDir)> = OnceLock::new();
    let (sandbox, _) = SANDBOX.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = WasmSandbox::new(SandboxSettings {
            cache_folder: folder.path().join("code-cache"),
            // Never started: nothing here is loaded through the worker.
            worker_program: "/nonexistent".into(),
            concurrent_calls: 1,
        });
        (sandbox.unwrap(), folder)
    });
    sandbox
}
