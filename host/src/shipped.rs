//! What the binary brings along: files for a new home, and the bundled
//! components. Content only; `cli/init.rs` writes it, `app.rs` loads it.

/// A file of a new home.
pub struct ShippedFile {
    /// Path inside the home.
    pub path: &'static str,
    pub content: &'static [u8],
}

macro_rules! shipped {
    ($path:literal, $source:literal) => {
        ShippedFile {
            path: $path,
            content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $source)),
        }
    };
    ($path:literal, built $name:literal) => {
        ShippedFile { path: $path, content: include_bytes!(concat!(env!("OUT_DIR"), "/", $name)) }
    };
}

/// Everything that `thrall init` writes.
pub const FILES: &[ShippedFile] = &[
    shipped!("thrall.toml", "host/thrall.example.toml"),
    shipped!("recipes/mail-triage.toml", "recipes-wasm/toml/mail-triage.toml"),
    shipped!("recipes/health-check.toml", "recipes-wasm/toml/health-check.toml"),
    shipped!("recipes/log-watch.toml", "recipes-wasm/toml/log-watch.toml"),
    shipped!("recipes/oom-recovery.toml", "recipes-wasm/toml/oom-recovery.toml"),
    shipped!("recipes/repeat-offender.wasm", built "repeat-offender.wasm"),
    shipped!("recipes/ack-noise.wasm", built "ack-noise.wasm"),
    shipped!("recipes/log-groups.wasm", built "log-groups.wasm"),
    shipped!("grants/mail-triage.toml", "recipes-wasm/grants/mail-triage.toml"),
    shipped!("grants/health-check.toml", "recipes-wasm/grants/health-check.toml"),
    shipped!("grants/log-watch.toml", "recipes-wasm/grants/log-watch.toml"),
    shipped!("grants/oom-recovery.toml", "recipes-wasm/grants/oom-recovery.toml"),
    shipped!("prompts/triage.toml", "prompts/triage.toml"),
];

/// Components that run recipes written in TOML, by name.
pub const BUNDLED: &[(&str, &[u8])] = &[
    ("declarative-filter", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-filter.wasm"))),
    ("declarative-rules", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-rules.wasm"))),
    ("declarative-steps", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-steps.wasm"))),
];

/// Worked examples that `init` puts into recipes/, by name.
pub const EXAMPLES: &[(&str, &[u8])] = &[
    ("repeat-offender", include_bytes!(concat!(env!("OUT_DIR"), "/repeat-offender.wasm"))),
    ("ack-noise", include_bytes!(concat!(env!("OUT_DIR"), "/ack-noise.wasm"))),
    ("log-groups", include_bytes!(concat!(env!("OUT_DIR"), "/log-groups.wasm"))),
];
