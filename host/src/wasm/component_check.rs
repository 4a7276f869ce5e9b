//! Whether a file is a component that a recipe can use, and what it asks for.
//! The first look needs no compiler and happens in the host; the rest reads
//! the compiled component's type and happens in the worker first.

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::types::{Component as ComponentType, ComponentItem};

use crate::ids::Digest;
use crate::stage::{ComponentId, StageLimits, World};

use super::linker::export_name;
use super::printable::printable;
use super::wasi_report::WasiImport;

/// The largest component file, in bytes.
pub const MAX_COMPONENT_BYTES: usize = StageLimits::MAX_COMPONENT_BYTES;

/// Our interfaces that a world offers, as grants name them.
const READS: [&str; 4] = ["log", "context-read", "journal-read", "breaker-read"];
const MODEL_READS: [&str; 2] = ["model", "cockpit-read"];
/// Interfaces that hold types only; they give nothing to a component.
const TYPES_ONLY: [&str; 2] = ["types", "operations"];
/// WASI packages that are met by the empty world.
const WASI: [&str; 6] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// Names quoted in an error come from a hostile file.
const MAX_QUOTED_BYTES: usize = 80;
const MAX_QUOTED: usize = 8;

/// A component that was checked: what it is and what it can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentReport {
    pub id: ComponentId,
    pub world: World,
    /// Sorted. Ours as grants name them (`context-read`), WASI's with their
    /// package and without version (`wasi:cli/stdout`).
    pub imports: Vec<String>,
    /// The WASI ones among them, with what stands behind each.
    pub wasi: Vec<WasiImport>,
    /// Bytes of the file.
    pub size: u64,
}

/// Why a component was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum LoadError {
    #[error(
        "is {0} bytes; a component may have {mib} MiB: strip debug information, or leave out what the recipe does not use",
        mib = MAX_COMPONENT_BYTES >> 20
    )]
    TooLarge(u64),
    #[error("is not WebAssembly: it does not begin like a component")]
    NotWasm,
    #[error(
        "is a core module, not a component: build it through thrall-guest-builder, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    #[error("is no valid component: {0}")]
    Invalid(String),
    #[error(
        "exports {}; a recipe's component exports exactly one of `decide` (world filter), `evaluate` (hotwire), `plan` (action)",
        quoted(.0)
    )]
    WrongWorld(Vec<String>),
    #[error(
        "imports {}, which the world {} does not offer",
        quoted(.imports),
        .world.as_str()
    )]
    UnknownImport { world: World, imports: Vec<String> },
    #[error("does not fit the contract: {0}")]
    Mismatch(String),
    #[error("could not be compiled: {0}")]
    Compile(String),
}

/// The interfaces of ours that a world offers, as grants name them.
pub fn offered_interfaces(world: World) -> Vec<&'static str> {
    let model_reads: &[&str] =
        if matches!(world, World::Hotwire | World::Action) { &MODEL_READS } else { &[] };
    READS.iter().chain(model_reads).copied().collect()
}

/// What can be said without compiling: size and kind of file.
///
/// # Errors
/// [`LoadError::TooLarge`], [`LoadError::NotWasm`], [`LoadError::CoreModule`].
pub(super) fn look(bytes: &[u8]) -> Result<ComponentId, LoadError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::TooLarge(bytes.len() as u64));
    }
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(ComponentId(Digest::of(bytes))),
        Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

/// The world that a component serves and what it imports. Looks at the names
/// and kinds of the outermost level only, so a type section cannot make it
/// long.
///
/// # Errors
/// [`LoadError::WrongWorld`], [`LoadError::UnknownImport`].
pub(super) fn inspect(
    engine: &Engine,
    component: &ComponentType,
) -> Result<(World, Vec<String>), LoadError> {
    let world = find_world(engine, component)?;
    let mut imports = Vec::new();
    let mut unknown = Vec::new();
    for (name, item) in component.imports(engine) {
        match (&item.ty, offered(world, name)) {
            // A world's own types appear as imports; they bring nothing in.
            (ComponentItem::Type(_), _) | (_, Offer::TypesOnly) => {}
            (ComponentItem::ComponentInstance(_), Offer::Yes(short)) => imports.push(short),
            _ => unknown.push(printable(name, MAX_QUOTED_BYTES)),
        }
    }
    if !unknown.is_empty() {
        unknown.truncate(MAX_QUOTED);
        return Err(LoadError::UnknownImport { world, imports: unknown });
    }
    imports.sort_unstable();
    imports.dedup();
    Ok((world, imports))
}

fn find_world(engine: &Engine, component: &ComponentType) -> Result<World, LoadError> {
    let mut worlds = [World::Filter, World::Hotwire, World::Action].into_iter().filter(|world| {
        component
            .get_export(engine, export_name(*world))
            .is_some_and(|item| matches!(item.ty, ComponentItem::ComponentFunc(_)))
    });
    match (worlds.next(), worlds.next()) {
        (Some(world), None) => Ok(world),
        _ => Err(LoadError::WrongWorld(
            component
                .exports(engine)
                .take(MAX_QUOTED)
                .map(|(name, _)| printable(name, MAX_QUOTED_BYTES))
                .collect(),
        )),
    }
}

enum Offer {
    /// With the name under which it is reported.
    Yes(String),
    TypesOnly,
    No,
}

fn offered(world: World, import: &str) -> Offer {
    let unversioned = import.split('@').next().unwrap_or(import);
    if let Some(interface) = unversioned.strip_prefix("thrall:recipe/") {
        return if TYPES_ONLY.contains(&interface) {
            Offer::TypesOnly
        } else if offered_interfaces(world).contains(&interface) {
            Offer::Yes(interface.to_owned())
        } else {
            Offer::No
        };
    }
    match unversioned.split_once('/') {
        Some((package, _)) if WASI.contains(&package) => Offer::Yes(unversioned.to_owned()),
        _ => Offer::No,
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
