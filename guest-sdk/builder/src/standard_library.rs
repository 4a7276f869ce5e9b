//! Where the standard library of `wasm32-unknown-unknown` comes from: ready
//! made in the toolchain, or built from its source.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// How the toolchain can build for `wasm32-unknown-unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardLibrary {
    /// The toolchain has it.
    Installed,
    /// The toolchain has the source, and cargo builds it once per target folder.
    FromSource,
}

impl StandardLibrary {
    /// Looks into the sysroot of the `rustc` that the build would use.
    ///
    /// # Errors
    /// When neither form is there; the message names both ways to get one.
    pub fn find() -> Result<Self> {
        Self::in_sysroot(&sysroot()?)
    }

    fn in_sysroot(sysroot: &Path) -> Result<Self> {
        let rustlib = sysroot.join("lib/rustlib");
        if rustlib.join("wasm32-unknown-unknown").exists() {
            return Ok(Self::Installed);
        }
        if rustlib.join("src/rust/library/Cargo.toml").exists() {
            return Ok(Self::FromSource);
        }
        bail!(
            "recipes are built for wasm32-unknown-unknown, and the Rust toolchain in {} has no \
             standard library for it.\nEither run `rustup target add wasm32-unknown-unknown`, or \
             run `make setup` in thrall's folder, which fetches the library's source.",
            sysroot.display()
        )
    }
}

fn sysroot() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "sysroot"])
        .output()
        .with_context(|| format!("cannot run {}", rustc.display()))?;
    if !output.status.success() {
        bail!("`{} --print sysroot` failed: {}", rustc.display(), output.status);
    }
    let path = String::from_utf8(output.stdout).context("the sysroot's path is not UTF-8")?;
    Ok(PathBuf::from(path.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysroot_with(folder: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("lib/rustlib").join(folder)).unwrap();
        dir
    }

    #[test]
    fn an_installed_target_is_preferred_to_the_source() {
        let dir = sysroot_with("wasm32-unknown-unknown");
        let source = dir.path().join("lib/rustlib/src/rust/library");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("Cargo.toml"), "").unwrap();
        assert_eq!(StandardLibrary::in_sysroot(dir.path()).unwrap(), StandardLibrary::Installed);
    }

    #[test]
    fn the_source_alone_is_enough() {
        let dir = sysroot_with("src/rust/library");
        std::fs::write(dir.path().join("lib/rustlib/src/rust/library/Cargo.toml"), "").unwrap();
        assert_eq!(StandardLibrary::in_sysroot(dir.path()).unwrap(), StandardLibrary::FromSource);
    }

    #[test]
    fn without_either_both_ways_out_are_named() {
        let dir = sysroot_with("x86_64-unknown-linux-gnu");
        let error = StandardLibrary::in_sysroot(dir.path()).unwrap_err().to_string();
        assert!(error.contains("rustup target add wasm32-unknown-unknown"), "{error}");
        assert!(error.contains("make setup"), "{error}");
    }
}
