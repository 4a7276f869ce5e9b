//! A component from a Rust crate: its manifest is looked at first, so that the
//! usual mistakes are named before anything is compiled; then the guests' builder
//! runs cargo.

use std::path::Path;

use anyhow::Context;
use thrall_guest_builder::{CargoFailed, Request};

use super::{Built, Failure, Problem, component_name, read};

const MANIFEST: &str = "Cargo.toml";

pub(super) fn build(dir: &Path, work: &Path) -> Result<Built, Failure> {
    let text = read(&dir.join(MANIFEST))?;
    let package = package(&text)?;
    let name = component_name(MANIFEST, &package)?;
    let request = Request {
        workspace: dir.to_owned(),
        packages: &[package.as_str()],
        target_dir: work.to_owned(),
    };
    let components = thrall_guest_builder::build(&request).map_err(failure)?;
    let (_, bytes) = components.into_iter().next().context("cargo built nothing")?;
    Ok(Built { name, bytes })
}

/// The package's name, if the manifest is one of a recipe.
fn package(text: &str) -> Result<String, Problem> {
    let manifest: toml::Table = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let problem = Problem::in_file(MANIFEST, error.message(), "repair the TOML there");
        Problem { line: line_of(text, at), ..problem }
    })?;
    let Some(name) = manifest.get("package").and_then(|package| package.get("name")) else {
        return Err(Problem::in_file(
            MANIFEST,
            "it has no [package]",
            "name the folder of the one crate that is the recipe, not that of its workspace",
        ));
    };
    let is_cdylib = manifest
        .get("lib")
        .and_then(|lib| lib.get("crate-type"))
        .and_then(toml::Value::as_array)
        .is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib")));
    if !is_cdylib {
        let at = text.find("[lib]").or_else(|| text.find("[package]")).unwrap_or_default();
        let problem = Problem::in_file(
            MANIFEST,
            "the crate is no cdylib, so it makes no component",
            "write crate-type = [\"cdylib\", \"rlib\"] under [lib]",
        );
        return Err(Problem { line: line_of(text, at), ..problem });
    }
    name.as_str().map(str::to_owned).ok_or_else(|| {
        Problem::in_file(MANIFEST, "the package's name is no text", "write name = \"NAME\"")
    })
}

fn line_of(text: &str, at: usize) -> u32 {
    let before = text.get(..at).unwrap_or_default();
    u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
}

/// The compiler's first error with its place; all of its words go beside it.
fn failure(error: anyhow::Error) -> Failure {
    let Some(failed) = error.downcast_ref::<CargoFailed>() else {
        return failure_after_cargo(error);
    };
    let talk = failed.talk().to_owned();
    if let Some(error) = failed.first_error() {
        let problem = Problem {
            file: error.file,
            line: error.line,
            column: error.column,
            what: error.message,
            remedy: "the compiler's own words stand above; repair the first error first".to_owned(),
        };
        return Failure::Refused { problem, talk };
    }
    let what = talk
        .lines()
        .find_map(|line| line.strip_prefix("error: "))
        .unwrap_or("cargo failed")
        .to_owned();
    let remedy = if talk.contains("download") || talk.contains("index") || talk.contains("network")
    {
        "a dependency is not in cargo's cache: run `cargo fetch` once where there is a network"
    } else {
        "cargo's own words stand above"
    };
    Failure::Refused { problem: Problem::in_file(MANIFEST, what, remedy), talk }
}

/// The module was built, but is no component, or a tool is missing. A missing
/// standard library names its remedies itself.
fn failure_after_cargo(error: anyhow::Error) -> Failure {
    let text = format!("{error:#}");
    if text.contains("exports no recipe") || text.contains("exports several worlds") {
        let remedy = "end src/lib.rs with one of thrall_sdk::export_filter!(TYPE), export_hotwire!(TYPE), export_action!(TYPE)";
        return Problem::in_file("src/lib.rs", text, remedy).into();
    }
    if text.contains("not a valid component") {
        let remedy =
            "build against the thrall-sdk of `thrall recipe new`, and export exactly one world";
        return Problem::in_file("src/lib.rs", text, remedy).into();
    }
    Failure::Environment(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_makes_no_component_is_named_with_its_line() {
        let text = "[package]\nname = \"recipe-x\"\n\n[lib]\npath = \"x.rs\"\n";
        let problem = package(text).unwrap_err();
        assert_eq!((problem.line, problem.file.as_str()), (4, MANIFEST));
        assert!(problem.remedy.contains("cdylib"), "{problem:?}");

        let broken = package("[package]\nname = \n").unwrap_err();
        assert_eq!(broken.line, 2, "{broken:?}");
        let workspace = package("[workspace]\nmembers = []\n").unwrap_err();
        assert!(workspace.what.contains("no [package]"), "{workspace:?}");
    }

    #[test]
    fn a_recipes_manifest_gives_its_name() {
        let text = "[package]\nname = \"recipe-x\"\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n";
        assert_eq!(package(text).unwrap(), "recipe-x");
        assert_eq!(component_name(MANIFEST, "recipe-x").unwrap(), "x");
        assert_eq!(component_name(MANIFEST, "ack-noise").unwrap(), "ack-noise");
        assert!(component_name(MANIFEST, "recipe-X").is_err());
    }
}
