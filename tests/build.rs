//! Builds the components that the tests run.

use std::path::PathBuf;

use thrall_guest_builder::{Request, build, shared_target_dir};

/// Folders of `tests/guests`; their packages are called `guest-NAME`.
const GUESTS: [&str; 23] = [
    "allocates-forever",
    "asks-anything",
    "asks-ungranted",
    "calls-much",
    "contract-1-0-0-action",
    "contract-1-0-0-filter",
    "contract-1-0-0-hotwire",
    "decides-anything",
    "echo-action",
    "echo-filter",
    "echo-hotwire",
    "emits-anything",
    "logs-much",
    "loops-forever",
    "misbehaves",
    "names-undeclared",
    "probes-wasi",
    "recurses",
    "returns-100mb",
    "thirty-three-operations",
    "traps",
    "unknown-import",
    "wrong-world",
];

/// Folders of `recipes-wasm`. The host embeds the same; cargo finds them built.
const SHIPPED: [&str; 6] = [
    "declarative-filter",
    "declarative-rules",
    "declarative-steps",
    "repeat-offender",
    "ack-noise",
    "log-groups",
];

const SOURCES: [&str; 7] = [
    "guests",
    "../recipes-wasm",
    "../guest-sdk/src",
    "../guest-sdk/Cargo.toml",
    "../wit",
    "../Cargo.lock",
    "build.rs",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for source in SOURCES {
        rerun_if_changed(source);
    }
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    let packages: Vec<String> = GUESTS
        .iter()
        .map(|name| format!("guest-{name}"))
        .chain(SHIPPED.iter().map(ToString::to_string))
        .collect();
    let request = Request {
        workspace: PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join(".."),
        packages: &packages.iter().map(String::as_str).collect::<Vec<_>>(),
        target_dir: shared_target_dir(&out_dir)?,
    };
    for (package, component) in build(&request)? {
        let name = package.strip_prefix("guest-").unwrap_or(&package);
        std::fs::write(out_dir.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

fn rerun_if_changed(path: &str) {
    println!("cargo::rerun-if-changed={path}");
}
