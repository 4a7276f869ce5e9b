//! Fuzz targets: each takes bytes as somebody might send or drop them, and
//! insists on what must hold whatever they are. The tests in `tests/` run them
//! with a mutator of our own, which begins with the corpus in `corpus/`: half a
//! minute each, ten minutes through `make fuzz`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "only tests use it, and a panic is how a target says what does not hold"
)]

pub mod campaign;
pub mod component;
pub mod envelope;
pub mod grant;
pub mod manifest;
pub mod mutator;
mod places;
pub mod safetensors;
mod shape;

/// A target, with the words that its inputs are made of.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Panics when something does not hold. Inputs that end alike give the
    /// same number, so that a driver without coverage knows what is new.
    pub run: fn(&[u8]) -> u64,
    pub words: &'static [&'static str],
    pub max_bytes: usize,
}

pub const TARGETS: [Target; 5] = [
    Target {
        name: "manifest",
        run: manifest::manifest,
        words: manifest::WORDS,
        max_bytes: 8 * 1024,
    },
    Target { name: "grant", run: grant::grant, words: grant::WORDS, max_bytes: 4 * 1024 },
    Target {
        name: "envelope",
        run: envelope::envelope,
        words: envelope::WORDS,
        max_bytes: 8 * 1024,
    },
    Target {
        name: "component",
        run: component::component,
        words: component::WORDS,
        max_bytes: 64 * 1024,
    },
    Target {
        name: "safetensors",
        run: safetensors::safetensors,
        words: safetensors::WORDS,
        max_bytes: 64 * 1024,
    },
];

/// A target by its name.
#[must_use]
pub fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|target| target.name == name).unwrap_or_else(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        panic!("no fuzz target is called {name:?}: there are {names}")
    })
}
