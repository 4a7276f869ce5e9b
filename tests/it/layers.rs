//! The layers of ARCHITECTURE.md, held by reading the sources: a module uses
//! its own layer and those before it, and the large dependencies are named in
//! one place each.

use std::path::{Path, PathBuf};

/// Modules of `host/src`, inner layers first.
const LAYERS: [&[&str]; 6] = [
    &["ids", "clock", "fault_points", "envelope", "verdict", "operation", "stage"],
    &[
        "strict_toml",
        "plain_file",
        "recipes",
        "grants",
        "journal",
        "buffers",
        "breakers",
        "sender_limits",
        "log_tail",
        "model",
    ],
    &["pipeline", "rehearsal"],
    &["wasm", "capabilities", "store", "outbox"],
    &["config", "home", "roles", "telemetry", "shipped", "model_files", "engine", "app"],
    &["server", "cli", "main", "lib"],
];

/// Who may name a dependency.
const OWNERS: [(&str, &[&str]); 5] = [
    ("wasmtime", &["wasm"]),
    ("rusqlite", &["store"]),
    ("axum", &["server"]),
    ("tower", &["server"]),
    ("llama_cpp_2", &["model"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| {
        panic!("{module} is in no layer: add it to tests/it/layers.rs and ARCHITECTURE.md")
    })
}

/// Source lines without comments and tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let production = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    production
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn words_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    code.split(prefix)
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn modules_use_their_own_layer_and_those_before_it() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../host/src"));
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        if inside
            .components()
            .any(|part| part.as_os_str().to_str().is_some_and(|part| part.starts_with("tests")))
        {
            continue;
        }
        let module =
            inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let code = code(&file);
        for used in words_after(&code, "crate::") {
            if LAYERS.iter().any(|layer| layer.contains(&used)) && layer(used) > layer(&module) {
                wrong.push(format!("{} uses {used}", inside.display()));
            }
        }
        for (dependency, owners) in OWNERS {
            if !owners.contains(&module.as_str()) && code.contains(&format!("{dependency}::")) {
                wrong.push(format!("{} names {dependency}", inside.display()));
            }
        }
        layer(&module);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
