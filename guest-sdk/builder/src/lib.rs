//! From guest crates to WebAssembly components: a nested `cargo build` for
//! `wasm32-unknown-unknown`, then wit-component.
//!
//! Lives apart from the kit because it runs on the build machine only: in the
//! build scripts that embed the bundled recipes, and behind `recipe build`.
//! It installs nothing. Where the target's standard library is missing it says
//! how to get it and stops.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

mod cargo;
mod standard_library;

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
/// to get it), when cargo fails (the message carries its last lines), or when
/// a module is no valid component.
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

/// Turns a core module that wit-bindgen prepared into a validated component.
///
/// # Errors
/// When the module carries no description of its world, lacks an export of
/// that world, or does not validate.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    if !carries_world(module) {
        bail!(
            "the module describes no world; export a recipe with thrall_sdk::export_filter!, \
             export_hotwire! or export_action!"
        );
    }
    wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// wit-component would turn a bare module into a component without exports;
/// the section's name is looked for so that the mistake is named here.
fn carries_world(module: &[u8]) -> bool {
    const SECTION: &[u8] = b"component-type:";
    module.windows(SECTION.len()).any(|window| window == SECTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_is_refused_with_the_way_out() {
        let empty_module = b"\0asm\x01\0\0\0";
        let error = componentize(empty_module).unwrap_err().to_string();
        assert!(error.contains("export_filter!"), "{error}");
    }
}
