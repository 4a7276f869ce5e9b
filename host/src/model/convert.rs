//! From a model's published files to the form that llama.cpp reads. The same files
//! give the same bytes on every machine, so that the result is pinned by its hash
//! like a download.
//!
//! Pure but for the readers and the writer that it is given; where files come from
//! and under which name the result lies is `pull`'s.

use std::io::{self, Read, Seek, Write};

mod bert;
mod gguf_writer;
mod q8_0;
pub mod safetensors;
mod word_pieces;

/// Longest vocabulary file that is read: a hundred times what BERT's has.
pub const MAX_VOCABULARY_BYTES: u64 = 32 << 20;

/// Why files were not converted. Says what is wrong with the file; which file it is,
/// whoever opened it knows.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("cannot be read")]
    Read(#[source] io::Error),
    #[error("is not a safetensors file: {0}")]
    Safetensors(#[from] safetensors::HeaderError),
    #[error("is not the model that the catalogue describes: {0}")]
    Weights(String),
    #[error("is not a vocabulary of word pieces: {0}")]
    Vocabulary(String),
    /// The caller's writer failed; its own error is what matters.
    #[error("the converted model cannot be written")]
    Write(#[source] io::Error),
}

/// A BERT model as a GGUF of 8-bit numbers, without the layers above it that were
/// for training. `heads` is what no shape tells.
///
/// # Errors
/// When the weights are damaged or of another architecture; see
/// [`read_vocabulary`] for the words.
pub fn bert_q8_0(
    heads: u32,
    weights: &mut (impl Read + Seek),
    vocabulary: &Vocabulary,
    out: &mut impl Write,
) -> Result<(), ConvertError> {
    bert::convert(heads, weights, vocabulary, out)
}

pub use word_pieces::Vocabulary;

/// Reads BERT's `vocab.txt`.
///
/// # Errors
/// When it cannot be read, or is no list of different words with BERT's markers.
pub fn read_vocabulary(file: &mut impl Read) -> Result<Vocabulary, ConvertError> {
    let mut text = String::new();
    file.take(MAX_VOCABULARY_BYTES + 1).read_to_string(&mut text).map_err(ConvertError::Read)?;
    if text.len() as u64 > MAX_VOCABULARY_BYTES {
        let what = format!("it has more than {MAX_VOCABULARY_BYTES} bytes");
        return Err(ConvertError::Vocabulary(what));
    }
    Vocabulary::parse(&text).map_err(ConvertError::Vocabulary)
}

#[cfg(test)]
pub(crate) mod tests;
