//! From guest crates to WebAssembly components: a nested `cargo build` for
//! `wasm32-unknown-unknown`, then wit-component.
//!
//! Lives apart from the kit because it runs on the build machine only: in the
//! build scripts that embed the bundled recipes, and behind `recipe build`.
//! It installs nothing. Where the target's standard library is missing it says
//! how to get it and stops.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

mod cargo;
mod standard_library;
mod world_section;

pub use cargo::{CargoFailed, SourceError};
pub use standard_library::StandardLibrary;

/// What to build, and where to keep the intermediate files.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The folder of the workspace (or of the one package) to build in.
    pub workspace: PathBuf,
    /// Package names, as in their `Cargo.toml`. Each must be a `cdylib`.
    pub packages: &'a [&'a str],
    /// A target folder of its own: sharing the outer build's would wait for
    /// its lock for ever.
    pub target_dir: PathBuf,
}

/// Builds every package and returns `(package name, component bytes)` in the
/// order asked for. The components are validated.
///
/// # Errors
/// When the target's standard library is missing (the message names both ways
/// to get it), when cargo fails (a [`CargoFailed`], whose message carries its
/// last lines), or when a module is no valid component.
pub fn build(request: &Request<'_>) -> Result<Vec<(String, Vec<u8>)>> {
    let library = StandardLibrary::find()?;
    cargo::build(request, library)?;
    request
        .packages
        .iter()
        .map(|package| {
            let module = cargo::read_module(request, package)?;
            let component = componentize(&module)
                .with_context(|| format!("{package}: the module is not a valid component"))?;
            Ok(((*package).to_string(), component))
        })
        .collect()
}

/// `TARGET/guests`, beside the outer build's profile folders, for a build
/// script's `OUT_DIR`. Shared by all build scripts and kept between builds, so
/// that the standard library is built once.
///
/// # Errors
/// When `out_dir` is not where cargo puts it.
pub fn shared_target_dir(out_dir: &Path) -> Result<PathBuf> {
    // out_dir is TARGET/PROFILE/build/PACKAGE-HASH/out.
    let target = out_dir
        .ancestors()
        .nth(4)
        .with_context(|| format!("{} is not where cargo puts OUT_DIR", out_dir.display()))?;
    Ok(target.join("guests"))
}

/// Turns a core module that wit-bindgen prepared into a validated component.
///
/// # Errors
/// When the module carries no description of its world, lacks an export of
/// that world, calls what that world does not offer, or does not validate.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    let module = world_section::keep_exported_world(module)?;
    wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode()
}
