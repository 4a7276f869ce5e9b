//! The nested `cargo build`: its flags, its profile, its output.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

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
    let packages = request.packages.join(", ");
    Err(CargoFailed::new(packages, String::from_utf8_lossy(&output.stderr).into_owned()).into())
}

/// cargo said no. What it said is kept whole, so that a caller can show a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoFailed {
    packages: String,
    talk: String,
}

/// Where a source does not compile, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// As cargo names it: seen from the folder of the workspace.
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// The compiler's sentence with its code, such as `[E0425]: cannot find ...`.
    pub message: String,
}

impl CargoFailed {
    pub(crate) fn new(packages: String, talk: String) -> Self {
        Self { packages, talk }
    }

    /// Everything that cargo wrote to standard error.
    #[must_use]
    pub fn talk(&self) -> &str {
        &self.talk
    }

    /// The first error that has a place in a file. Errors of cargo itself (no
    /// network, an unknown dependency) have none.
    #[must_use]
    pub fn first_error(&self) -> Option<SourceError> {
        let mut message = None;
        for line in self.talk.lines() {
            if let Some(rest) = line.strip_prefix("error") {
                message = Some(rest.trim_start_matches(':').trim());
            } else if line.starts_with("warning") {
                message = None;
            } else if let (Some(place), Some(message)) =
                (line.trim_start().strip_prefix("--> "), message)
                && let Some(error) = SourceError::at(place, message)
            {
                return Some(error);
            }
        }
        None
    }
}

impl SourceError {
    /// From `src/lib.rs:12:5`, as rustc and cargo write places.
    fn at(place: &str, message: &str) -> Option<Self> {
        let (rest, column) = place.trim_end().rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some(Self {
            file: file.to_owned(),
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            message: message.to_owned(),
        })
    }
}

impl fmt::Display for CargoFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "building {} failed:\n{}", self.packages, last_lines(&self.talk, 60))
    }
}

impl std::error::Error for CargoFailed {}

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
        .args(["build", "--quiet", "--color", "never", "--release"])
        .args(["--target", TARGET, "--target-dir"])
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
    fn the_first_error_is_found_with_its_place() {
        let failed = |talk: &str| CargoFailed::new("x".to_owned(), talk.to_owned());
        let talk = "warning: unused variable\n --> src/lib.rs:3:9\n\n\
            error[E0425]: cannot find value `y` in this scope\n  --> src/lib.rs:12:5\n   |\n\
            error: aborting due to 1 previous error\n";
        assert_eq!(
            failed(talk).first_error(),
            Some(SourceError {
                file: "src/lib.rs".to_owned(),
                line: 12,
                column: 5,
                message: "[E0425]: cannot find value `y` in this scope".to_owned()
            })
        );
        let manifest = "error: key with no value, expected `=`\n --> Cargo.toml:7:5\n  |\n";
        let error = failed(manifest).first_error().unwrap();
        assert_eq!((error.file.as_str(), error.line), ("Cargo.toml", 7));
        assert_eq!(error.message, "key with no value, expected `=`");
        assert_eq!(failed("error: no matching package named `x` found\n").first_error(), None);
    }

    #[test]
    fn a_long_error_keeps_its_end() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
