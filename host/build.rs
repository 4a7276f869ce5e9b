//! Builds the bundled recipes into components and leaves them in `OUT_DIR`,
//! where the host embeds them as `NAME.wasm`; beside them what `recipe new`
//! gives to an author.

#[path = "build/authoring_kit.rs"]
mod authoring_kit;

use std::path::PathBuf;

use thrall_guest_builder::{Request, build};

const BUNDLED: [&str; 6] = [
    "declarative-filter",
    "declarative-rules",
    "declarative-steps",
    "repeat-offender",
    "ack-noise",
    "log-groups",
];

/// What a bundled recipe is made of, seen from this package's folder. The
/// builder itself is a dependency, so a change there runs this again anyway.
const SOURCES: [&str; 9] = [
    "../recipes-wasm",
    "../guest-sdk/src",
    "../guest-sdk/Cargo.toml",
    "../guest-sdk/AUTHORING.md",
    "../wit",
    "../Cargo.toml",
    "../Cargo.lock",
    "build.rs",
    "build",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for source in SOURCES {
        rerun_if_changed(source);
    }
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Asked when it runs: what was compiled in one checkout may run in another.
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("..");
    let kit = authoring_kit::generate(&root.canonicalize()?)?;
    std::fs::write(out_dir.join("authoring_kit.rs"), kit)?;
    let request = Request {
        workspace: root,
        packages: &BUNDLED,
        target_dir: thrall_guest_builder::shared_target_dir(&out_dir)?,
    };
    for (name, component) in build(&request)? {
        std::fs::write(out_dir.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

fn rerun_if_changed(path: &str) {
    println!("cargo::rerun-if-changed={path}");
}
