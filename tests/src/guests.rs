//! The components that tests run: hostile ones and fixtures from
//! `tests/guests`, by folder name, and the shipped ones.

/// A valid core module with one export: no component, so no recipe.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x07\x08\x01\x04main\0\0\
    \x0a\x04\x01\x02\0\x0b";

/// What each guest does is said on top of its `src/lib.rs`.
pub const GUESTS: [(&str, &[u8]); 24] = [
    ("core-module", CORE_MODULE),
    ("allocates-forever", include_bytes!(concat!(env!("OUT_DIR"), "/allocates-forever.wasm"))),
    ("asks-anything", include_bytes!(concat!(env!("OUT_DIR"), "/asks-anything.wasm"))),
    ("asks-ungranted", include_bytes!(concat!(env!("OUT_DIR"), "/asks-ungranted.wasm"))),
    ("calls-much", include_bytes!(concat!(env!("OUT_DIR"), "/calls-much.wasm"))),
    (
        "contract-1-0-0-action",
        include_bytes!(concat!(env!("OUT_DIR"), "/contract-1-0-0-action.wasm")),
    ),
    (
        "contract-1-0-0-filter",
        include_bytes!(concat!(env!("OUT_DIR"), "/contract-1-0-0-filter.wasm")),
    ),
    (
        "contract-1-0-0-hotwire",
        include_bytes!(concat!(env!("OUT_DIR"), "/contract-1-0-0-hotwire.wasm")),
    ),
    ("decides-anything", include_bytes!(concat!(env!("OUT_DIR"), "/decides-anything.wasm"))),
    ("echo-action", include_bytes!(concat!(env!("OUT_DIR"), "/echo-action.wasm"))),
    ("echo-filter", include_bytes!(concat!(env!("OUT_DIR"), "/echo-filter.wasm"))),
    ("echo-hotwire", include_bytes!(concat!(env!("OUT_DIR"), "/echo-hotwire.wasm"))),
    ("emits-anything", include_bytes!(concat!(env!("OUT_DIR"), "/emits-anything.wasm"))),
    ("logs-much", include_bytes!(concat!(env!("OUT_DIR"), "/logs-much.wasm"))),
    ("loops-forever", include_bytes!(concat!(env!("OUT_DIR"), "/loops-forever.wasm"))),
    ("misbehaves", include_bytes!(concat!(env!("OUT_DIR"), "/misbehaves.wasm"))),
    ("names-undeclared", include_bytes!(concat!(env!("OUT_DIR"), "/names-undeclared.wasm"))),
    ("probes-wasi", include_bytes!(concat!(env!("OUT_DIR"), "/probes-wasi.wasm"))),
    ("recurses", include_bytes!(concat!(env!("OUT_DIR"), "/recurses.wasm"))),
    ("returns-100mb", include_bytes!(concat!(env!("OUT_DIR"), "/returns-100mb.wasm"))),
    (
        "thirty-three-operations",
        include_bytes!(concat!(env!("OUT_DIR"), "/thirty-three-operations.wasm")),
    ),
    ("traps", include_bytes!(concat!(env!("OUT_DIR"), "/traps.wasm"))),
    ("unknown-import", include_bytes!(concat!(env!("OUT_DIR"), "/unknown-import.wasm"))),
    ("wrong-world", include_bytes!(concat!(env!("OUT_DIR"), "/wrong-world.wasm"))),
];

/// The bundled recipes and the worked examples, as the host embeds them.
pub const SHIPPED: [(&str, &[u8]); 6] = [
    ("declarative-filter", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-filter.wasm"))),
    ("declarative-rules", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-rules.wasm"))),
    ("declarative-steps", include_bytes!(concat!(env!("OUT_DIR"), "/declarative-steps.wasm"))),
    ("repeat-offender", include_bytes!(concat!(env!("OUT_DIR"), "/repeat-offender.wasm"))),
    ("ack-noise", include_bytes!(concat!(env!("OUT_DIR"), "/ack-noise.wasm"))),
    ("log-groups", include_bytes!(concat!(env!("OUT_DIR"), "/log-groups.wasm"))),
];

/// A guest by its folder's name; a name that does not exist fails the test.
#[must_use]
pub fn bytes(name: &str) -> &'static [u8] {
    find(&GUESTS, name)
}

/// A shipped component by its folder's name under `recipes-wasm`.
#[must_use]
pub fn shipped(name: &str) -> &'static [u8] {
    find(&SHIPPED, name)
}

#[expect(clippy::panic, reason = "only tests call this, and a wrong name is the test's mistake")]
fn find(list: &[(&str, &'static [u8])], name: &str) -> &'static [u8] {
    match list.iter().find(|(known, _)| *known == name) {
        Some((_, bytes)) => bytes,
        None => panic!("no guest is called {name}; see tests/src/guests.rs"),
    }
}
