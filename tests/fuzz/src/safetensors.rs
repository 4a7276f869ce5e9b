//! Published weights, as somebody might change them on the way. What is refused is
//! refused with a reason; what is read lies inside the file; what is converted is
//! no larger than what it was made from.

use std::io::Cursor;
use std::sync::OnceLock;

use thrall::model::convert::safetensors::Header;
use thrall::model::convert::{Vocabulary, bert_q8_0, read_vocabulary};

use crate::shape;

/// Pieces of heads.
pub const WORDS: &[&str] = &[
    "{\"__metadata__\":{\"format\":\"pt\"},",
    "\"embeddings.word_embeddings.weight\":",
    "\"embeddings.position_embeddings.weight\":",
    "\"encoder.layer.0.output.dense.weight\":",
    "\"encoder.layer.1.output.dense.weight\":",
    "{\"dtype\":\"F32\",\"shape\":[32,32],\"data_offsets\":[0,4096]}",
    "\"dtype\":\"I64\"",
    "\"dtype\":\"BF16\"",
    "\"shape\":[]",
    "\"shape\":[4294967296,4294967296]",
    "\"shape\":[0,18446744073709551615]",
    "\"data_offsets\":[0,0]",
    "\"data_offsets\":[18446744073709551615,1]",
    "[[[[[[[[",
    "}}",
    ",",
    "-1",
    "1e400",
    "\\ud800",
    "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    "\0\0\0\0",
];

const MAX_MESSAGE_BYTES: usize = 2 * 1024;

/// The words of the corpus's model.
fn vocabulary() -> &'static Vocabulary {
    static WORDS: OnceLock<Vocabulary> = OnceLock::new();
    WORDS.get_or_init(|| {
        let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhi\n##s\n";
        read_vocabulary(&mut words.as_bytes()).unwrap()
    })
}

/// The target.
#[must_use]
pub fn safetensors(data: &[u8]) -> u64 {
    let header = Header::read(&mut Cursor::new(data));
    if let Ok(header) = &header {
        for (name, tensor) in &header.tensors {
            let inside =
                tensor.place.start <= tensor.place.end && tensor.place.end <= data.len() as u64;
            assert!(inside, "{name}: {tensor:?} of {} bytes", data.len());
        }
    }
    let mut converted = Vec::new();
    match bert_q8_0(4, &mut Cursor::new(data), vocabulary(), &mut converted) {
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() <= MAX_MESSAGE_BYTES, "{message}");
            shape::of((header.is_ok(), shape::words(&message)))
        }
        Ok(()) => {
            let header = header.expect("what was converted can be read");
            assert!(converted.starts_with(b"GGUF") && converted.len() <= data.len() + 4096);
            shape::of(header.tensors.len())
        }
    }
}
