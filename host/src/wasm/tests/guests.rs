//! Small guests written as WebAssembly text, most of them hostile. They need
//! no guest toolchain, and do exactly what a test is about. wit-component
//! makes components of them as it does of any guest.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What each guest has: memory, an allocator that only moves forward, and
/// room for an answer at 16, which is zero and so reads as the plainest one
/// (pass, no verdict, empty plan).
const PREAMBLE: &str = r#"
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 16384))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (loop $more
        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        (unreachable)))
    (local.get $at))
  ;; skip(text), for the world filter
  (func $skip (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 20) (i32.const 3))
    (i32.store (i32.const 24) (local.get $text))
    (i32.store (i32.const 28) (local.get $length))
    (i32.const 16))
"#;

/// A filter whose `decide` has this body; `$in` is where its arguments lie,
/// the envelope's id first.
pub(super) fn filter(body: &str) -> Vec<u8> {
    filter_with("", body)
}

/// The same with imports or functions in front.
pub(super) fn filter_with(imports: &str, body: &str) -> Vec<u8> {
    component(
        "thrall:recipe/filter",
        &format!(
            "(module {imports} {PREAMBLE} (func $decide (export \"decide\") (param $in i32) (result i32) {body}))"
        ),
    )
}

pub(super) fn hotwire(body: &str) -> Vec<u8> {
    component(
        "thrall:recipe/hotwire",
        &format!(
            "(module {PREAMBLE} (func (export \"evaluate\") (param $in i32) (result i32) {body}))"
        ),
    )
}

pub(super) fn action(body: &str) -> Vec<u8> {
    component(
        "thrall:recipe/action",
        &format!(
            "(module {PREAMBLE} (func (export \"plan\") (param $in i32) (result i32) {body}))"
        ),
    )
}

pub(super) fn core_module() -> Vec<u8> {
    wat::parse_str("(module)").unwrap()
}

/// Answers with the envelope's id.
pub(super) fn echo() -> Vec<u8> {
    filter("(call $skip (i32.load (local.get $in)) (i32.load offset=4 (local.get $in)))")
}

/// A filter that imports an interface nobody offers.
pub(super) fn with_unknown_import() -> Vec<u8> {
    let world = "package evil:guest;
        interface socket { open: func(); }
        world guest { include thrall:recipe/filter@1.0.0; import socket; }";
    component_of(
        &[world],
        "evil:guest/guest",
        &format!(
            "(module (import \"evil:guest/socket\" \"open\" (func)) {PREAMBLE} (func (export \"decide\") (param i32) (result i32) (i32.const 16)))"
        ),
    )
}

/// Exports something, but no world's function.
pub(super) fn of_no_world() -> Vec<u8> {
    let world = "package other:guest; world guest { export run: func(); }";
    component_of(&[world], "other:guest/guest", "(module (func (export \"run\")))")
}

/// Exports `decide`, but of another type.
pub(super) fn of_another_contract() -> Vec<u8> {
    let world = "package other:guest; world guest { export decide: func(x: u32) -> u32; }";
    let module = "(module (func (export \"decide\") (param i32) (result i32) local.get 0))";
    component_of(&[world], "other:guest/guest", module)
}

/// Sleeps for an hour by WASI's clock, prints a line, then answers with wall
/// clock seconds, monotonic nanoseconds and a random number, in hex.
pub(super) fn wasi_sleeper() -> Vec<u8> {
    let io = "package wasi:io@0.2.0;
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
          use error.{error};
          variant stream-error { last-operation-failed(error), closed }
          resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
          }
        }";
    let clocks = "package wasi:clocks@0.2.0;
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
        interface monotonic-clock {
          use wasi:io/poll@0.2.0.{pollable};
          now: func() -> u64;
          subscribe-duration: func(when: u64) -> pollable;
        }";
    let random = "package wasi:random@0.2.0;
        interface random { get-random-u64: func() -> u64; }";
    let cli = "package wasi:cli@0.2.0;
        interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }";
    let world = "package sleeper:guest;
        world guest {
          include thrall:recipe/filter@1.0.0;
          import wasi:clocks/wall-clock@0.2.0;
          import wasi:clocks/monotonic-clock@0.2.0;
          import wasi:random/random@0.2.0;
          import wasi:cli/stdout@0.2.0;
        }";
    let imports = r#"
      (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
      (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
      (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $alarm (param i64) (result i32)))
      (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
      (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
      (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
      (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $print (param i32 i32 i32 i32)))
    "#;
    let body = r#"
      (data (i32.const 512) "slept\1b[31m well\0a")
      (func $hex (param $at i32) (param $value i64)
        (local $digit i32) (local $n i32)
        (loop $next
          (local.set $digit (i32.wrap_i64 (i64.shr_u (local.get $value) (i64.const 60))))
          (i32.store8 (local.get $at) (i32.add (local.get $digit)
            (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
          (local.set $value (i64.shl (local.get $value) (i64.const 4)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $n) (i32.const 16)))))
      (func (export "decide") (param i32) (result i32)
        (call $block (call $alarm (i64.const 3600000000000)))
        (call $print (call $stdout) (i32.const 512) (i32.const 16) (i32.const 600))
        (call $wall (i32.const 640))
        (call $hex (i32.const 1024) (i64.load (i32.const 640)))
        (call $hex (i32.const 1040) (call $monotonic))
        (call $hex (i32.const 1056) (call $random))
        (call $skip (i32.const 1024) (i32.const 48)))
    "#;
    component_of(
        &[io, clocks, random, cli, world],
        "sleeper:guest/guest",
        &format!("(module {imports} {PREAMBLE} {body})"),
    )
}

fn component(world: &str, module: &str) -> Vec<u8> {
    component_of(&[], world, module)
}

/// `world` as `package/name`; `packages` are known beside our own contract.
fn component_of(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
    for package in packages {
        resolve.push_str("guest.wit", package).unwrap();
    }
    let world = resolve
        .worlds
        .iter()
        .find(|(_, candidate)| {
            let package = &resolve.packages[candidate.package.unwrap()].name;
            world == format!("{}:{}/{}", package.namespace, package.name, candidate.name)
        })
        .map(|(id, _)| id)
        .unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
