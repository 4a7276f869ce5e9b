//! Hostile components that no compiler writes: core modules as WebAssembly
//! text with a hand-made canonical ABI, and bytes put together section by
//! section.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What each text guest has: an allocator that only moves forward, and room
/// for an answer at 16, which is zero and so reads as the plainest one (pass,
/// no verdict, empty plan).
const PREAMBLE: &str = r#"
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 16384))
  (func $realloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
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

/// The same with imports in front or functions behind.
pub(super) fn filter_with(more: &str, body: &str) -> Vec<u8> {
    let (imports, others): (Vec<&str>, Vec<&str>) =
        more.lines().partition(|line| line.trim_start().starts_with("(import"));
    let module = format!(
        "(module {} {PREAMBLE} {} (func $decide (export \"decide\") (param $in i32) (result i32) {body}))",
        imports.join("\n"),
        others.join("\n")
    );
    component(&[], "thrall:recipe/filter", &module)
}

/// A filter with an allocator of its own instead of the usual one.
pub(super) fn filter_with_realloc(body: &str) -> Vec<u8> {
    let module = format!(
        "(module (memory (export \"memory\") 1)
           (func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {body})
           (func $decide (export \"decide\") (param $in i32) (result i32) (i32.const 16)))"
    );
    component(&[], "thrall:recipe/filter", &module)
}

pub(super) fn hotwire(body: &str) -> Vec<u8> {
    let module = format!(
        "(module {PREAMBLE} (func $evaluate (export \"evaluate\") (param $in i32) (result i32) {body}))"
    );
    component(&[], "thrall:recipe/hotwire", &module)
}

pub(super) fn action(body: &str) -> Vec<u8> {
    let module = format!(
        "(module {PREAMBLE} (func $plan (export \"plan\") (param $in i32) (result i32) {body}))"
    );
    component(&[], "thrall:recipe/action", &module)
}

/// A filter that also imports these interfaces of packages given as WIT.
pub(super) fn importing(packages: &[&str], imports: &str, core_imports: &str) -> Vec<u8> {
    let world = format!(
        "package other:guest; world guest {{ include thrall:recipe/filter@1.0.0; {imports} }}"
    );
    let packages: Vec<&str> = packages.iter().copied().chain([world.as_str()]).collect();
    let module = format!(
        "(module {core_imports} {PREAMBLE} (func $decide (export \"decide\") (param $in i32) (result i32) (i32.const 16)))"
    );
    component(&packages, "other:guest/guest", &module)
}

/// Serves two worlds at once.
pub(super) fn of_two_worlds() -> Vec<u8> {
    let world = "package other:guest; world guest {
        include thrall:recipe/filter@1.0.0; export evaluate: func(x: u32) -> u32; }";
    let module = format!(
        "(module {PREAMBLE}
           (func (export \"decide\") (param i32) (result i32) (i32.const 16))
           (func (export \"evaluate\") (param i32) (result i32) (i32.const 16)))"
    );
    component(&[world], "other:guest/guest", &module)
}

/// `decide`, but of another type.
pub(super) fn of_another_type() -> Vec<u8> {
    let world = "package other:guest; world guest { export decide: func(x: u32) -> u32; }";
    let module = "(module (func (export \"decide\") (param i32) (result i32) (local.get 0)))";
    component(&[world], "other:guest/guest", module)
}

/// A component as text, as it is.
pub(super) fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A good filter, to be spoilt.
pub(super) fn good() -> Vec<u8> {
    filter("(call $skip (i32.load (local.get $in)) (i32.load offset=4 (local.get $in)))")
}

/// A good filter with a core module behind it that is instantiated so often.
pub(super) fn with_module(module: &str, instances: usize) -> Vec<u8> {
    with_module_bytes(&wat::parse_str(module).unwrap(), instances)
}

fn with_module_bytes(module: &[u8], instances: usize) -> Vec<u8> {
    let mut bytes = good();
    section(&mut bytes, 1, module);
    let mut body = number(instances);
    for _ in 0..instances {
        // Instantiate without arguments the module of number 1: the filter
        // brings number 0.
        body.extend([0, 1, 0]);
    }
    section(&mut bytes, 2, &body);
    bytes
}

/// A good filter with so many empty functions behind it.
pub(super) fn with_functions(count: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    section(&mut module, 3, &[number(count), vec![0; count]].concat());
    section(&mut module, 10, &[number(count), [2, 0, 0x0b].repeat(count)].concat());
    with_module_bytes(&module, 1)
}

/// A good filter with so many bytes in a data segment that no memory holds.
pub(super) fn with_data(bytes: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 11, &[vec![1, 1], number(bytes), vec![b'x'; bytes]].concat());
    with_module_bytes(&module, 1)
}

/// Components inside of components, so many deep, the innermost empty.
pub(super) fn nested_components(depth: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut sizes = vec![HEADER.len()];
    for level in 0..depth {
        sizes.push(HEADER.len() + 1 + number(sizes[level]).len() + sizes[level]);
    }
    let mut bytes = Vec::new();
    for size in sizes[..depth].iter().rev() {
        bytes.extend(HEADER);
        bytes.push(4);
        bytes.extend(number(*size));
    }
    bytes.extend(HEADER);
    assert_eq!(bytes.len(), sizes[depth]);
    bytes
}

/// A good filter that also holds components so many deep.
pub(super) fn with_nested_components(depth: usize) -> Vec<u8> {
    let mut bytes = good();
    section(&mut bytes, 4, &nested_components(depth));
    bytes
}

/// A good filter, then so many custom sections of the same name.
pub(super) fn with_custom_sections(count: usize, content: usize) -> Vec<u8> {
    let mut bytes = good();
    let body = [b"\x04same".as_slice(), &vec![0; content]].concat();
    for _ in 0..count {
        section(&mut bytes, 0, &body);
    }
    bytes
}

/// A good filter, padded to exactly so many bytes.
pub(super) fn of_size(bytes: usize) -> Vec<u8> {
    let short = with_custom_sections(1, 1 << 22).len() - (1 << 22);
    let padded = with_custom_sections(1, bytes - short);
    assert_eq!(padded.len(), bytes);
    padded
}

/// A filter with a function that keeps the compiler busy for long.
pub(super) fn slow_to_compile(instructions: usize) -> Vec<u8> {
    // Every step depends on the one before and on memory, so nothing folds.
    let step = "(local.set $x (i64.add (i64.mul (local.get $x) (i64.load (i32.wrap_i64 (local.get $x)))) (i64.rotl (local.get $x) (local.get $y))))";
    let steps = step.repeat(instructions);
    filter_with(
        &format!("(func $slow (param $x i64) (param $y i64) (result i64) {steps} (local.get $x))"),
        "(drop (call $slow (i64.const 1) (i64.const 2))) (i32.const 16)",
    )
}

fn section(bytes: &mut Vec<u8>, id: u8, body: &[u8]) {
    bytes.push(id);
    bytes.extend(number(body.len()));
    bytes.extend(body);
}

/// LEB128, unsigned.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// `world` as `package/name`; `packages` are known beside our own contract.
fn component(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
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
