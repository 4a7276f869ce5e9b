//! The nested `cargo build`: its flags, its profile, its output.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{Request, StandardLibrary};

const TARGET: &str = "wasm32-unknown-unknown";

/// A guest starts afresh for every event, and its stack is memory to zero. A
/// recursion that outgrows it traps, since the stack lies below the data.
const GUEST_FLAGS: &str = "-Clink-arg=-zstack-size=65536";

/// Small and fast to start; the environment wins over the workspace's own
/// profile, which is made for the host.
const GUEST_PROFILE: [(&str, &str); 9] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
];

/// Settings of the outer build that would leak into the guests: its flags, its
/// target, and clippy's wrapper, which emits no code.
const NOT_FOR_GUESTS: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
];

/// Runs cargo to the end. Its output is kept for the error message.
pub(crate) fn build(request: &Request<'_>, library: StandardLibrary) -> Result<()> {
    let output =
        command(request, library).output().context("cannot run cargo to build the recipes")?;
    if output.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&output.stderr);
    bail!("building {} failed:\n{}", request.packages.join(", "), last_lines(&talk, 60))
}

/// The module that cargo left for a package.
pub(crate) fn read_module(request: &Request<'_>, package: &str) -> Result<Vec<u8>> {
    let path = module_path(request, package);
    std::fs::read(&path).with_context(|| {
        format!(
            "{package}: no module at {}; does its Cargo.toml say crate-type = [\"cdylib\"]?",
            path.display()
        )
    })
}

fn command(request: &Request<'_>, library: StandardLibrary) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&request.workspace)
        .args(["build", "--quiet", "--release", "--target", TARGET, "--target-dir"])
        .arg(&request.target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", GUEST_FLAGS)
        .envs(GUEST_PROFILE);
    for name in NOT_FOR_GUESTS {
        command.env_remove(name);
    }
    if library == StandardLibrary::FromSource {
        command.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    for package in request.packages {
        command.args(["-p", package]);
    }
    command
}

fn module_path(request: &Request<'_>, package: &str) -> PathBuf {
    let file = format!("{}.wasm", package.replace('-', "_"));
    request.target_dir.join(TARGET).join("release").join(file)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(count)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_builds_flags_do_not_reach_the_guests() {
        let request = Request {
            workspace: PathBuf::from("/somewhere"),
            packages: &["ack-noise"],
            target_dir: PathBuf::from("/elsewhere"),
        };
        let command = command(&request, StandardLibrary::FromSource);
        let set = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.map(|text| text.to_string_lossy().into_owned()))
        };
        assert_eq!(set("RUSTFLAGS"), Some(None));
        assert_eq!(set("RUSTC_WORKSPACE_WRAPPER"), Some(None));
        assert_eq!(set("CARGO_ENCODED_RUSTFLAGS"), Some(Some(GUEST_FLAGS.to_string())));
        assert_eq!(set("RUSTC_BOOTSTRAP"), Some(Some("1".to_string())));
    }

    #[test]
    fn a_long_error_keeps_its_end() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
