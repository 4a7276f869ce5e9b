//! Compiles, checks and links components, and keeps those that are loaded.
//! Compiled code is kept by wasmtime's own cache on disk; here are only the
//! ones in memory. Whether to compile in this process or in the worker first
//! is decided in `wasm.rs`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::stage::ComponentId;

use super::component_check::{self, ComponentReport, LoadError};
use super::linker::{LinkedComponent, Linkers};
use super::printable::printable;
use super::wasi_report::wasi_imports;

/// Reasons from the compiler quote the file.
const MAX_REASON_BYTES: usize = 1000;

/// A component that is ready to be called.
pub(super) struct Loaded {
    pub(super) report: ComponentReport,
    pub(super) linked: LinkedComponent,
}

/// From bytes to a component that is ready to be called: all that is done to a
/// file, in the worker and in the host alike.
///
/// # Errors
/// Any [`LoadError`].
pub(super) fn prepare(
    engine: &Engine,
    linkers: &Linkers,
    bytes: &[u8],
) -> Result<Loaded, LoadError> {
    let id = component_check::look(bytes)?;
    let component =
        Component::new(engine, bytes).map_err(|reason| LoadError::Invalid(chain(&reason)))?;
    let (world, imports) = component_check::inspect(engine, &component.component_type())?;
    let linked =
        linkers.link(world, &component).map_err(|reason| LoadError::Mismatch(chain(&reason)))?;
    let wasi = wasi_imports(&imports);
    let report = ComponentReport { id, world, imports, wasi, size: bytes.len() as u64 };
    Ok(Loaded { report, linked })
}

fn chain(reason: &wasmtime::Error) -> String {
    printable(&format!("{reason:#}"), MAX_REASON_BYTES)
}

/// The loaded components. Read at each call, changed rarely, so readers take
/// a snapshot and never wait. A call in flight keeps the component it began
/// with.
#[derive(Default)]
pub(super) struct ComponentCache(ArcSwap<HashMap<ComponentId, Arc<Loaded>>>);

impl ComponentCache {
    pub(super) fn get(&self, id: ComponentId) -> Option<Arc<Loaded>> {
        self.0.load().get(&id).cloned()
    }

    pub(super) fn insert(&self, loaded: Loaded) {
        let loaded = Arc::new(loaded);
        self.0.rcu(|components| {
            let mut components = HashMap::clone(components);
            components.insert(loaded.report.id, Arc::clone(&loaded));
            components
        });
    }

    pub(super) fn retain(&self, kept: &BTreeSet<ComponentId>) {
        self.0.rcu(|components| {
            let mut components = HashMap::clone(components);
            components.retain(|id, _| kept.contains(id));
            components
        });
    }

    pub(super) fn remove(&self, id: ComponentId) {
        self.0.rcu(|components| {
            let mut components = HashMap::clone(components);
            components.remove(&id);
            components
        });
    }
}
