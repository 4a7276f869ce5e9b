//! The rows. Texts are what an author or operator reads.

use super::Expected::{Answers, Fails, FailsWith, Refused, RefusedWith};
use super::{Component, Expected, Row, hand_made};

const OUT_OF_FUEL: &str = "out of fuel after 50000000 units";
const OUT_OF_MEMORY: &str = "out of memory: asked for more than 16777216 bytes";
const UNREACHABLE: &str = "trapped: wasm `unreachable` instruction executed";

fn guest(name: &'static str, config: &str, expected: Expected) -> Row {
    Row { name, component: Component::Guest, config: config.to_owned(), expected }
}

fn made(name: &'static str, make: impl Fn() -> Vec<u8> + 'static, expected: Expected) -> Row {
    let component = Component::HandMade(Box::new(make));
    Row { name, component, config: "{}".to_owned(), expected }
}

pub(super) fn all() -> Vec<Row> {
    let groups = [
        guests_without_configuration(),
        misdeeds(),
        forgeries(),
        traps(),
        resources(),
        malformed_values(),
        files(),
        large_files(),
    ];
    groups.into_iter().flatten().collect()
}

/// Guests of `tests/guests` that need no configuration.
pub(super) fn guests_without_configuration() -> Vec<Row> {
    vec![
        guest("allocates-forever", "{}", Fails(OUT_OF_MEMORY)),
        guest("asks-ungranted", "{}", Answers("not granted: cockpit-read (get)")),
        guest(
            "asks-anything",
            "{}",
            Answers(
                "context-read.get: denied: context-read (get); \
                 context-read.flag: denied: context-read (flag); \
                 journal-read.count: denied: journal-read (count); \
                 journal-read.recent: denied: journal-read (recent); \
                 breaker-read.state: denied: breaker-read (state); \
                 model.classify: denied: model (classify); \
                 model.complete: denied: model (complete); \
                 model.embed: denied: model (embed); \
                 cockpit-read.get: denied: cockpit-read (get)",
            ),
        ),
        guest("calls-much", "{}", Answers("answered 0, then not granted: context-read (flag)")),
        guest("contract-1-0-0-action", "{}", Answers("because")),
        guest("contract-1-0-0-filter", "{}", Answers("Inject")),
        guest("contract-1-0-0-hotwire", "{}", Answers("on_mail at 1770000000000")),
        guest("echo-action", "{}", Answers("log: because; id=event-1")),
        guest("echo-filter", "{}", Answers("id=event-1")),
        guest("echo-hotwire", "{}", Answers("id=event-1")),
        guest("logs-much", "{}", Answers("logged 1,000 lines")),
        guest("loops-forever", "{}", Fails(OUT_OF_FUEL)),
        guest("names-undeclared", "{}", Answers("an action that nobody declared")),
        guest("probes-wasi", r#"{"probe": "files"}"#, Answers("0 folders []")),
        guest("recurses", "{}", FailsWith("trapped: ", "")),
        guest("returns-100mb", "{}", FailsWith("bad answer: ", "too much data")),
        guest(
            "thirty-three-operations",
            "{}",
            Fails("bad answer: the plan has 33 operations; 32 are allowed"),
        ),
        guest("traps", "{}", FailsWith(UNREACHABLE, "")),
        guest(
            "unknown-import",
            "{}",
            Refused(
                "imports `guest:unknown-import/made-up`, which the world hotwire does not offer",
            ),
        ),
        guest("wrong-world", "{}", RefusedWith("exports `hello`; ", "exactly one of `decide`")),
        guest("core-module", "{}", RefusedWith("is a core module", "wasm-tools component new")),
    ]
}

/// What `misbehaves` does to a limit: just within, then beyond.
pub(super) fn misdeeds() -> Vec<Row> {
    let deed = |deed: &str, times: u32, expected| {
        guest("misbehaves", &format!(r#"{{"deed": "{deed}", "times": {times}}}"#), expected)
    };
    vec![
        deed("hoard", 0, Fails(OUT_OF_MEMORY)),
        deed("log-lines", 100_000_000, Fails(OUT_OF_FUEL)),
        deed("log-megabytes", 50, Answers("logged 50 times 3 MiB")),
        deed("log-megabytes", 1_000_000, Fails("timed out: more than 2000 ms in the guest itself")),
        deed("call-on", 100_000, Answers("asked 100000 times, refused 100000 times")),
        deed("call-on", 100_000_000, Fails(OUT_OF_FUEL)),
        deed("huge-question", 3, Answers("not granted: cockpit-read (get)")),
        deed("huge-question", 5, FailsWith("trapped: ", "too much data")),
        deed("many-fields", 64, FailsWith("bad answer: verdict: the field \"\" occurs twice", "")),
        deed("many-fields", 65, Fails("bad answer: verdict: 65 fields; 64 are allowed")),
        deed("many-fields", 300_000, FailsWith("bad answer: ", "too much data")),
        deed(
            "long-name",
            1_000_000,
            Fails("bad answer: verdict: a field name has 1000000 bytes; it must have 1 to 128"),
        ),
        deed("refuse-at-length", 10_000, FailsWith("refused: because because", "")),
    ]
}

/// Answers that a recipe may not give, and operations of any size.
pub(super) fn forgeries() -> Vec<Row> {
    let decides = |config: &str, expected| guest("decides-anything", config, expected);
    let emits = |operation: &str, expected| {
        guest("emits-anything", &format!(r#"{{"operations": [{operation}]}}"#), expected)
    };
    vec![
        decides(
            r#"{"decision": "decide", "action": "log", "confidence": "nan"}"#,
            Fails("bad answer: verdict.confidence is NaN; it must lie between 0 and 1"),
        ),
        decides(
            r#"{"decision": "decide", "action": "log", "confidence": "inf"}"#,
            Fails("bad answer: verdict.confidence is inf; it must lie between 0 and 1"),
        ),
        decides(
            r#"{"decision": "decide", "action": "log", "confidence": "-0.5"}"#,
            Fails("bad answer: verdict.confidence is -0.5; it must lie between 0 and 1"),
        ),
        decides(
            r#"{"decision": "decide"}"#,
            Fails("bad answer: verdict.action has 0 bytes; it must have 1 to 64"),
        ),
        decides(
            r#"{"decision": "decide", "action": {"text": "a", "times": 1000000}}"#,
            Fails("bad answer: verdict.action has 1000000 bytes; it must have 1 to 64"),
        ),
        decides(
            r#"{"decision": "decide", "action": "lo\u0000g"}"#,
            Fails("bad answer: verdict.action holds a control character"),
        ),
        decides(
            r#"{"decision": "decide", "action": "log", "reason": "\u0000"}"#,
            Fails("bad answer: verdict: a text holds a NUL character"),
        ),
        decides(
            r#"{"decision": "skip", "reason": {"text": "x", "times": 2001}}"#,
            Fails("bad answer: skip: the reason has 2001 characters; 2000 are allowed"),
        ),
        decides(
            r#"{"decision": "inject", "fields": [{"name": "a\u001b[2J", "value": "v"}]}"#,
            Fails(r#"bad answer: inject: the field name "a\u{1b}[2J" holds a control character"#),
        ),
        decides(
            r#"{"decision": "inject", "fields": [{"name": "a", "value": {"text": "x", "times": 70000}}]}"#,
            Fails("bad answer: inject: the fields have 70001 bytes; 65536 are allowed"),
        ),
        decides(
            r#"{"decision": "refuse", "reason": "\u001b]0;title\u0007no"}"#,
            Fails("refused: no"),
        ),
        emits(r#"{"type": "log", "message": "$body_text"}"#, Answers("hello")),
        emits(r#"{"type": "log", "times": 32}"#, Answers("Log")),
        emits(
            r#"{"type": "log", "times": 33}"#,
            Fails("bad answer: the plan has 33 operations; 32 are allowed"),
        ),
        emits(
            r#"{"type": "reply", "body": {"text": "x", "times": 65537}}"#,
            Fails("bad answer: operation 1 (reply) has 65563 bytes as JSON; 65536 are allowed"),
        ),
        emits(
            r#"{"type": "drop"}, {"type": "mail", "to_node": "a\u0000b"}"#,
            Fails("bad answer: operation 2 (mail): a text holds a NUL character"),
        ),
        emits(
            r#"{"type": "set-flag", "key": {"text": "k", "times": 4194304}}"#,
            FailsWith("bad answer: ", "too much data"),
        ),
    ]
}

/// A trap in everything that the host calls, in each world.
pub(super) fn traps() -> Vec<Row> {
    vec![
        made(
            "decide-traps",
            || hand_made::filter("unreachable"),
            Fails("trapped: wasm `unreachable` instruction executed in decide"),
        ),
        made(
            "evaluate-traps",
            || hand_made::hotwire("unreachable"),
            Fails("trapped: wasm `unreachable` instruction executed in evaluate"),
        ),
        made(
            "plan-traps",
            || hand_made::action("unreachable"),
            Fails("trapped: wasm `unreachable` instruction executed in plan"),
        ),
        made(
            "realloc-traps",
            || hand_made::filter_with_realloc("unreachable"),
            Fails("trapped: wasm `unreachable` instruction executed in realloc"),
        ),
        made(
            "realloc-loops",
            || hand_made::filter_with_realloc("(loop $l (br $l)) (i32.const 0)"),
            Fails(OUT_OF_FUEL),
        ),
        made(
            "realloc-beyond-memory",
            || hand_made::filter_with_realloc("(i32.const 0xfffffff0)"),
            Fails("bad answer: realloc return: beyond end of memory"),
        ),
        made(
            "realloc-misaligned",
            || hand_made::filter_with_realloc("(i32.const 17)"),
            Fails("bad answer: realloc return: result not aligned"),
        ),
        made(
            "realloc-always-the-same",
            || hand_made::filter_with_realloc("(i32.const 1024)"),
            Answers("Pass"),
        ),
        made(
            "start-traps",
            || hand_made::filter_with("(func $start unreachable) (start $start)", "(i32.const 16)"),
            FailsWith(UNREACHABLE, "start"),
        ),
        made(
            "start-loops",
            || {
                hand_made::filter_with(
                    "(func $start (loop $l (br $l))) (start $start)",
                    "(i32.const 16)",
                )
            },
            Fails(OUT_OF_FUEL),
        ),
        made(
            "post-return-traps",
            || {
                hand_made::filter_with(
                    "(func $after (export \"cabi_post_decide\") (param i32) unreachable)",
                    "(i32.const 16)",
                )
            },
            FailsWith(UNREACHABLE, "after"),
        ),
        made(
            "post-return-loops",
            || {
                hand_made::filter_with(
                    "(func $after (export \"cabi_post_decide\") (param i32) (loop $l (br $l)))",
                    "(i32.const 16)",
                )
            },
            Fails(OUT_OF_FUEL),
        ),
        made(
            "second-module-traps",
            || hand_made::with_module("(module (func $second unreachable) (start $second))", 1),
            FailsWith(UNREACHABLE, "second"),
        ),
        made(
            "divides-by-zero",
            || hand_made::filter("(i32.div_u (i32.const 1) (i32.const 0))"),
            Fails("trapped: integer divide by zero in decide"),
        ),
        made(
            "reads-beyond-memory",
            || hand_made::filter("(i32.load (i32.const 0xfffffff0))"),
            Fails("trapped: out of bounds memory access in decide"),
        ),
    ]
}

/// Stack, memory, tables, instances.
pub(super) fn resources() -> Vec<Row> {
    vec![
        made(
            "recurses-deeply",
            || hand_made::filter("(call $decide (local.get $in))"),
            Fails("trapped: call stack exhausted in decide"),
        ),
        made(
            "recurses-with-many-locals",
            || {
                let locals = "(local i64)".repeat(1000);
                hand_made::filter_with(
                    &format!(
                        "(func $deep (param i32) (result i32) {locals} (i32.add (i32.const 1) (call $deep (local.get 0))))"
                    ),
                    "(call $deep (i32.const 0))",
                )
            },
            Fails("trapped: call stack exhausted in deep"),
        ),
        made(
            "grows-its-memory",
            || {
                hand_made::filter(
                    "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable",
                )
            },
            Fails(OUT_OF_MEMORY),
        ),
        made(
            "starts-with-much-memory",
            || hand_made::with_module("(module (memory 256))", 1),
            Fails(OUT_OF_MEMORY),
        ),
        made(
            "starts-with-too-much-memory",
            || hand_made::with_module("(module (memory 4096))", 1),
            RefusedWith("is no valid component: ", "memory"),
        ),
        made(
            "has-many-memories",
            || hand_made::with_module("(module (memory 100))", 3),
            Fails(OUT_OF_MEMORY),
        ),
        made(
            "has-too-many-memories",
            || hand_made::with_module("(module (memory 0))", 4),
            RefusedWith("is no valid component: ", "memories"),
        ),
        made(
            "has-too-many-instances",
            || hand_made::with_module("(module)", 64),
            RefusedWith("is no valid component: ", "instances"),
        ),
        made(
            "grows-its-table",
            || {
                hand_made::filter_with(
                    "(table $t 0 funcref)",
                    "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1)))) unreachable",
                )
            },
            Fails("trapped: wasm `unreachable` instruction executed in decide"),
        ),
        made(
            "has-a-large-table",
            || hand_made::filter_with("(table 40000 funcref)", "(i32.const 16)"),
            RefusedWith("is no valid component: ", "table"),
        ),
        made(
            "has-the-largest-tables",
            || hand_made::with_module("(module (table 32768 funcref))", 2),
            Answers("event-1"),
        ),
        made(
            "has-several-tables",
            || hand_made::with_module("(module (table 32768 funcref))", 3),
            Fails("not loaded: table minimum size of 32768 elements exceeds table limits"),
        ),
        made(
            "fills-memory",
            || {
                hand_made::filter(
                    "(drop (memory.grow (i32.const 200))) (loop $l (memory.fill (i32.const 65536) (i32.const 7) (i32.const 13000000)) (br $l)) unreachable",
                )
            },
            Fails(OUT_OF_FUEL),
        ),
        made(
            "copies-memory",
            || {
                hand_made::filter(
                    "(drop (memory.grow (i32.const 200))) (loop $l (memory.copy (i32.const 65537) (i32.const 65536) (i32.const 13000000)) (br $l)) unreachable",
                )
            },
            Fails(OUT_OF_FUEL),
        ),
    ]
}

const LOG: &str = "(import \"thrall:recipe/log@1.0.0\" \"write\" (func $log (param i32 i32 i32)))";

/// Values that are none, where the guest answers and where it asks.
pub(super) fn malformed_values() -> Vec<Row> {
    let answers =
        |name, body: &'static str, expected| made(name, move || hand_made::filter(body), expected);
    let asks = |name, body: &'static str, expected| {
        made(name, move || hand_made::filter_with(LOG, body), expected)
    };
    vec![
        answers(
            "answers-no-utf-8",
            "(i32.store (i32.const 8192) (i32.const 0xffff)) (call $skip (i32.const 8192) (i32.const 2))",
            FailsWith("bad answer: ", "utf-8"),
        ),
        answers(
            "answers-a-surrogate",
            "(i32.store (i32.const 8192) (i32.const 0x80a0ed)) (call $skip (i32.const 8192) (i32.const 3))",
            FailsWith("bad answer: ", "utf-8"),
        ),
        answers(
            "answers-beyond-memory",
            "(call $skip (i32.const 0) (i32.const 100000000))",
            FailsWith("bad answer: ", "out of bounds"),
        ),
        answers(
            "answers-with-a-length-that-wraps",
            "(call $skip (i32.const 0xffffffff) (i32.const 0xffffffff))",
            FailsWith("bad answer: ", "out of bounds"),
        ),
        answers(
            "answers-too-much",
            "(drop (memory.grow (i32.const 130))) (call $skip (i32.const 32768) (i32.const 8000000))",
            FailsWith("bad answer: ", "too much data"),
        ),
        answers(
            "answers-an-unknown-decision",
            "(i32.store8 (i32.const 20) (i32.const 9)) (i32.const 16)",
            FailsWith("bad answer: ", "discriminant"),
        ),
        answers(
            "answers-an-unknown-result",
            "(i32.store8 (i32.const 16) (i32.const 2)) (i32.const 16)",
            FailsWith("bad answer: ", "discriminant"),
        ),
        answers("answers-misaligned", "(i32.const 17)", FailsWith("bad answer: ", "align")),
        answers(
            "answers-from-nowhere",
            "(i32.const 0xffff0000)",
            FailsWith("bad answer: ", "out of bounds"),
        ),
        answers(
            "answers-a-misaligned-list",
            "(i32.store8 (i32.const 20) (i32.const 1)) (i32.store (i32.const 24) (i32.const 8193)) (i32.store (i32.const 28) (i32.const 1)) (i32.const 16)",
            FailsWith("bad answer: ", "align"),
        ),
        answers(
            "answers-a-list-beyond-memory",
            "(i32.store8 (i32.const 20) (i32.const 1)) (i32.store (i32.const 24) (i32.const 8192)) (i32.store (i32.const 28) (i32.const 0x10000000)) (i32.const 16)",
            FailsWith("bad answer: ", "out of bounds"),
        ),
        made(
            "answers-an-unknown-option",
            || hand_made::hotwire("(i32.store8 (i32.const 20) (i32.const 2)) (i32.const 16)"),
            FailsWith("bad answer: ", "discriminant"),
        ),
        made(
            "plans-an-unknown-operation",
            || {
                hand_made::action(
                    "(i32.store (i32.const 20) (i32.const 4096)) (i32.store (i32.const 24) (i32.const 1)) (i32.store8 (i32.const 4096) (i32.const 13)) (i32.const 16)",
                )
            },
            FailsWith("bad answer: ", "discriminant"),
        ),
        made(
            "plans-a-billion-operations",
            || {
                hand_made::action(
                    "(i32.store (i32.const 20) (i32.const 4096)) (i32.store (i32.const 24) (i32.const 1000000000)) (i32.const 16)",
                )
            },
            FailsWith("bad answer: ", "out of bounds"),
        ),
        asks(
            "logs-at-an-unknown-level",
            "(call $log (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 16)",
            FailsWith("trapped: ", "discriminant"),
        ),
        asks(
            "logs-no-utf-8",
            "(i32.store (i32.const 8192) (i32.const 0xffff)) (call $log (i32.const 1) (i32.const 8192) (i32.const 2)) (i32.const 16)",
            FailsWith("trapped: ", "utf-8"),
        ),
        asks(
            "logs-beyond-memory",
            "(call $log (i32.const 1) (i32.const 0) (i32.const 100000000)) (i32.const 16)",
            FailsWith("trapped: ", "out of bounds"),
        ),
    ]
}

/// Files that are no fitting component.
pub(super) fn files() -> Vec<Row> {
    vec![
        made(
            "is-empty",
            Vec::new,
            Refused("is not WebAssembly: it does not begin like a component"),
        ),
        made(
            "is-a-shell-script",
            || b"#!/bin/sh\nrm -rf /\n".to_vec(),
            Refused("is not WebAssembly: it does not begin like a component"),
        ),
        made(
            "is-cut-short",
            || {
                let mut bytes = hand_made::good();
                bytes.truncate(bytes.len() / 2);
                bytes
            },
            RefusedWith("is no valid component: ", "out of bounds"),
        ),
        made(
            "serves-two-worlds",
            hand_made::of_two_worlds,
            RefusedWith("exports `evaluate`, `decide`; ", "exactly one of"),
        ),
        made(
            "has-another-type",
            hand_made::of_another_type,
            RefusedWith("does not fit the contract: ", "another version of the contract"),
        ),
        made(
            "exports-a-name-twice",
            || {
                hand_made::text(
                    "(component (component $c) (export \"decide\" (component $c)) (export \"decide\" (component $c)))",
                )
            },
            RefusedWith("is no valid component: ", "conflicts with previous name"),
        ),
        made(
            "exports-decide-as-no-function",
            || hand_made::text("(component (component $c) (export \"decide\" (component $c)))"),
            RefusedWith(
                "is no valid component: ",
                "exporting a component from the root component is not supported",
            ),
        ),
        made(
            "imports-a-module",
            || hand_made::text("(component (import \"thrall:recipe/log@1.0.0\" (core module)))"),
            RefusedWith("exports nothing; ", ""),
        ),
        made(
            "imports-another-contract",
            || {
                hand_made::importing(
                    &["package thrall:other@2.0.0; interface log { write: func(); }"],
                    "import thrall:other/log@2.0.0;",
                    "(import \"thrall:other/log@2.0.0\" \"write\" (func))",
                )
            },
            Refused("imports `thrall:other/log@2.0.0`, which the world filter does not offer"),
        ),
        made(
            "imports-http",
            || {
                hand_made::importing(
                    &["package wasi:http@0.2.0; interface outgoing-handler { handle: func(); }"],
                    "import wasi:http/outgoing-handler@0.2.0;",
                    "(import \"wasi:http/outgoing-handler@0.2.0\" \"handle\" (func))",
                )
            },
            Refused(
                "imports `wasi:http/outgoing-handler@0.2.0`, which the world filter does not offer",
            ),
        ),
        made(
            "imports-what-only-hotwires-may",
            || {
                hand_made::importing(
                    &[],
                    "import thrall:recipe/cockpit-read@1.0.0;",
                    "(import \"thrall:recipe/cockpit-read@1.0.0\" \"get\" (func (param i32 i32 i32 i32 i32)))",
                )
            },
            Refused(
                "imports `thrall:recipe/cockpit-read@1.0.0`, which the world filter does not offer",
            ),
        ),
        made(
            "imports-an-interface-in-two-versions",
            || {
                hand_made::importing(
                    &[
                        "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }",
                        "package wasi:random@0.2.3; interface random { get-random-u64: func() -> u64; }",
                    ],
                    "import wasi:random/random@0.2.0; import wasi:random/random@0.2.3;",
                    "(import \"wasi:random/random@0.2.0\" \"get-random-u64\" (func (result i64))) (import \"wasi:random/random@0.2.3\" \"get-random-u64\" (func (result i64)))",
                )
            },
            Answers("Pass"),
        ),
        made(
            "imports-a-function-of-another-type",
            || {
                hand_made::importing(
                    &[
                        "package wasi:random@0.2.0; interface random { get-random-u64: func() -> string; }",
                    ],
                    "import wasi:random/random@0.2.0;",
                    "(import \"wasi:random/random@0.2.0\" \"get-random-u64\" (func (param i32)))",
                )
            },
            RefusedWith("does not fit the contract: ", "get-random-u64"),
        ),
        made(
            "nests-components",
            || hand_made::nested_components(1000),
            RefusedWith("exports nothing; ", ""),
        ),
        made(
            "nests-types",
            || {
                let types: String = (0..2000).map(|n| format!("(type (list {n}))")).collect();
                hand_made::text(&format!("(component (type (list u8)) {types})"))
            },
            RefusedWith("is no valid component: ", "type"),
        ),
    ]
}

/// Files that are large in one way or another.
pub(super) fn large_files() -> Vec<Row> {
    vec![
        made(
            "has-a-hundred-thousand-functions",
            || hand_made::with_functions(100_000),
            Answers("event-1"),
        ),
        made(
            "has-more-functions-than-a-module-may",
            || hand_made::with_functions(1_000_001),
            RefusedWith("is no valid component: ", "functions"),
        ),
        made("is-as-large-as-allowed", || hand_made::of_size(32 << 20), Answers("event-1")),
        made(
            "is-one-byte-larger",
            || hand_made::of_size((32 << 20) + 1),
            RefusedWith("is 33554433 bytes; a component may have 32 MiB", ""),
        ),
        made("brings-much-data", || hand_made::with_data(31 << 20), Answers("event-1")),
        made(
            "has-the-same-custom-section-often",
            || hand_made::with_custom_sections(100_000, 0),
            Answers("event-1"),
        ),
    ]
}
