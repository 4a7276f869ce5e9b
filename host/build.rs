//! Builds the bundled recipes into components and leaves them in `OUT_DIR`,
//! where the host embeds them as `NAME.wasm`.

use std::path::{Path, PathBuf};

use thrall_guest_builder::{Request, build};

const BUNDLED: [&str; 5] =
    ["declarative-filter", "declarative-rules", "declarative-steps", "repeat-offender", "ack-noise"];

/// What a bundled recipe is made of, seen from this package's folder. The
/// builder itself is a dependency, so a change there runs this again anyway.
const SOURCES: [&str; 5] =
    ["../recipes-wasm", "../guest-sdk/src", "../guest-sdk/Cargo.toml", "../wit", "../Cargo.lock"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for source in SOURCES {
        announce("rerun-if-changed", source);
    }
    announce("rerun-if-changed", "build.rs");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    let request = Request {
        workspace: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        packages: &BUNDLED,
        target_dir: guests_folder(&out_dir)?,
    };
    for (name, component) in build(&request)? {
        std::fs::write(out_dir.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

/// `TARGET/guests`, beside the outer build's profile folders: kept between
/// builds, so that the standard library is built once.
fn guests_folder(out_dir: &Path) -> Result<PathBuf, String> {
    // out_dir is TARGET/PROFILE/build/PACKAGE-HASH/out.
    let target = out_dir
        .ancestors()
        .nth(4)
        .ok_or_else(|| format!("{} is not where cargo puts OUT_DIR", out_dir.display()))?;
    Ok(target.join("guests"))
}

#[expect(clippy::print_stdout, reason = "a build script talks to cargo on standard output")]
fn announce(key: &str, value: &str) {
    println!("cargo::{key}={value}");
}
