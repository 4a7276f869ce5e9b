//! What the binary brings along: files for a new home, and the bundled
//! components. Content only; `cli/init.rs` writes it, `app.rs` loads it.

/// A file of a new home.
pub struct ShippedFile {
    /// Path inside the home.
    pub path: &'static str,
    pub content: &'static [u8],
}

macro_rules! shipped {
    (recipe $name:literal) => {
        ShippedFile {
            path: concat!("recipes/", $name, ".toml"),
            content: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../recipes-wasm/toml/",
                $name,
                ".toml"
            )),
        }
    };
    (grant $name:literal) => {
        ShippedFile {
            path: concat!("grants/", $name, ".toml"),
            content: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../recipes-wasm/grants/",
                $name,
                ".toml"
            )),
        }
    };
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
    shipped!(recipe "ack-noise"),
    shipped!(grant "ack-noise"),
    shipped!(recipe "cluster-probe"),
    shipped!(grant "cluster-probe"),
    shipped!(recipe "credit-warning"),
    shipped!(grant "credit-warning"),
    shipped!(recipe "faq-responder"),
    shipped!(grant "faq-responder"),
    shipped!(recipe "health-check"),
    shipped!(grant "health-check"),
    shipped!(recipe "log-watch"),
    shipped!(grant "log-watch"),
    shipped!(recipe "mail-digest"),
    shipped!(grant "mail-digest"),
    shipped!(recipe "mail-triage"),
    shipped!(grant "mail-triage"),
    shipped!(recipe "oom-recovery"),
    shipped!(grant "oom-recovery"),
    shipped!(recipe "outbound-guard"),
    shipped!(grant "outbound-guard"),
    shipped!(recipe "peer-id-change"),
    shipped!(grant "peer-id-change"),
    shipped!(recipe "queue-backpressure"),
    shipped!(grant "queue-backpressure"),
    shipped!(recipe "repeat-offender"),
    shipped!(grant "repeat-offender"),
    shipped!(recipe "skill-gate"),
    shipped!(grant "skill-gate"),
    shipped!(recipe "stale-peer"),
    shipped!(grant "stale-peer"),
    shipped!(recipe "task-failures"),
    shipped!(grant "task-failures"),
    shipped!("recipes/ack-noise.wasm", built "ack-noise.wasm"),
    shipped!("recipes/log-groups.wasm", built "log-groups.wasm"),
    shipped!("recipes/outbound-guard.wasm", built "outbound-guard.wasm"),
    shipped!("recipes/peer-watch.wasm", built "peer-watch.wasm"),
    shipped!("recipes/repeat-offender.wasm", built "repeat-offender.wasm"),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_recipe_is_written_with_its_grant_and_its_components() {
        let has = |path: &str| FILES.iter().any(|file| file.path == path);
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes-wasm");
        for (kind, written) in [("toml", "recipes"), ("grants", "grants")] {
            for entry in std::fs::read_dir(sources.join(kind)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                let there = FILES.iter().find(|file| file.path == format!("{written}/{name}"));
                assert_eq!(there.unwrap().content, std::fs::read(&path).unwrap(), "{name}");
            }
        }
        for file in FILES.iter().filter(|file| file.path.starts_with("recipes/")) {
            let Ok(text) = std::str::from_utf8(file.content) else { continue };
            for line in text.lines().filter(|line| line.starts_with("component = ")) {
                let component = line.split('"').nth(1).unwrap();
                assert!(has(&format!("recipes/{component}")), "{}: {component}", file.path);
            }
        }
    }
}
