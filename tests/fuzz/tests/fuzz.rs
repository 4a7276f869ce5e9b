//! Half a minute for each target in every run of the tests; more with
//! `THRALL_FUZZ_SECONDS`, which `make fuzz` sets to ten minutes.

#![allow(clippy::print_stdout, reason = "how far a run got is worth a line")]

use thrall_fuzz::{campaign, target};

fn run(name: &str) {
    let summary = campaign::run(target(name));
    println!("{name}: {summary:?}");
    assert!(summary.inputs > 0 && summary.ways > 1, "{summary:?}");
}

#[test]
fn fuzz_manifest() {
    run("manifest");
}

#[test]
fn fuzz_grant() {
    run("grant");
}

#[test]
fn fuzz_envelope() {
    run("envelope");
}

#[test]
fn fuzz_component() {
    run("component");
}

#[test]
fn fuzz_safetensors() {
    run("safetensors");
}
