//! The GGUF file format, version 3, as far as a model needs it: keys with values,
//! then the names, shapes and places of tensors, then their bytes, each begun at a
//! multiple of 32.

use std::io::{self, Write};

/// What tensors are aligned to where the file says nothing else.
const ALIGNMENT: u64 = 32;
const VERSION: u32 = 3;

// Numbers of llama.cpp's `gguf_type`.
const UINT32: u32 = 4;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// How a tensor's numbers are written; its number is that of `ggml_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    F32 = 0,
    Q8_0 = 8,
}

/// A file's head, being put together.
#[derive(Debug, Default)]
pub(super) struct GgufHead {
    keys: u64,
    key_bytes: Vec<u8>,
    tensors: u64,
    tensor_bytes: Vec<u8>,
    data: u64,
}

impl GgufHead {
    pub(super) fn number(&mut self, key: &str, value: u32) {
        self.key(key, UINT32);
        self.key_bytes.extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, key: &str, value: f32) {
        self.key(key, FLOAT32);
        self.key_bytes.extend(value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.key(key, BOOL);
        self.key_bytes.push(u8::from(value));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key, STRING);
        text(&mut self.key_bytes, value);
    }

    pub(super) fn texts<'a>(&mut self, key: &str, values: impl ExactSizeIterator<Item = &'a str>) {
        self.array(key, STRING, values.len());
        for value in values {
            text(&mut self.key_bytes, value);
        }
    }

    pub(super) fn integers(&mut self, key: &str, values: impl ExactSizeIterator<Item = i32>) {
        self.array(key, INT32, values.len());
        for value in values {
            self.key_bytes.extend(value.to_le_bytes());
        }
    }

    /// Adds a tensor of `bytes` bytes behind those before it. `shape` has the
    /// slowest dimension first; the format wants it last.
    pub(super) fn tensor(&mut self, name: &str, shape: &[u64], storage: Storage, bytes: u64) {
        self.tensors += 1;
        let into = &mut self.tensor_bytes;
        text(into, name);
        into.extend(u32::try_from(shape.len()).unwrap_or(u32::MAX).to_le_bytes());
        for length in shape.iter().rev() {
            into.extend(length.to_le_bytes());
        }
        into.extend((storage as u32).to_le_bytes());
        into.extend(self.data.to_le_bytes());
        self.data += bytes + padding(bytes);
    }

    /// Writes the head, up to where the first tensor's bytes belong.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend(self.tensors.to_le_bytes());
        head.extend(self.keys.to_le_bytes());
        head.extend(&self.key_bytes);
        head.extend(&self.tensor_bytes);
        out.write_all(&head)?;
        pad(out, head.len() as u64)
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.keys += 1;
        text(&mut self.key_bytes, key);
        self.key_bytes.extend(kind.to_le_bytes());
    }

    fn array(&mut self, key: &str, kind: u32, length: usize) {
        self.key(key, ARRAY);
        self.key_bytes.extend(kind.to_le_bytes());
        self.key_bytes.extend((length as u64).to_le_bytes());
    }
}

/// Fills up behind `bytes` bytes, to where the next tensor begins.
pub(super) fn pad(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    let zeros = [0; ALIGNMENT as usize];
    let count = usize::try_from(padding(bytes)).unwrap_or(0);
    out.write_all(zeros.get(..count).unwrap_or_default())
}

fn padding(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT) - bytes
}

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend((text.len() as u64).to_le_bytes());
    into.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written_byte_for_byte_as_the_format_says() {
        let mut head = GgufHead::default();
        head.number("n", 7);
        head.flag("f", true);
        head.texts("t", ["ab"].into_iter());
        head.tensor("x", &[2, 3], Storage::F32, 24);
        head.tensor("y", &[32], Storage::Q8_0, 34);
        let mut bytes = Vec::new();
        head.write(&mut bytes).unwrap();
        let expected = [
            b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0".as_slice(),
            b"\x01\0\0\0\0\0\0\0n\x04\0\0\0\x07\0\0\0",
            b"\x01\0\0\0\0\0\0\0f\x07\0\0\0\x01",
            b"\x01\0\0\0\0\0\0\0t\x09\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0ab",
            b"\x01\0\0\0\0\0\0\0x\x02\0\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0",
            b"\x01\0\0\0\0\0\0\0y\x01\0\0\0\x20\0\0\0\0\0\0\0\x08\0\0\0\x20\0\0\0\0\0\0\0",
        ]
        .concat();
        assert_eq!(bytes[..expected.len()], expected);
        assert_eq!(bytes.len() % 32, 0);
        assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
    }
}
