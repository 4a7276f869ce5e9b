//! A BERT encoder's tensors under llama.cpp's names: matrices in 8 bits, the small
//! rest as published. What was only for training (the pooler) is left out.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::ConvertError;
use super::gguf_writer::{GgufHead, Storage, pad};
use super::q8_0::{BLOCK, BLOCK_BYTES, quantise};
use super::safetensors::{Header, Kind, Tensor};
use super::word_pieces::Vocabulary;

/// Each layer norm of a BERT is computed with it.
const LAYER_NORM_EPSILON: f32 = 1e-12;
/// llama.cpp's number for the mean over all tokens.
const POOLING_MEAN: u32 = 1;
/// llama.cpp's number for a file that is mostly Q8_0.
const FILE_TYPE: u32 = 7;
/// Of the quantised types themselves.
const QUANTISATION_VERSION: u32 = 2;
/// Sentence A and sentence B.
const TOKEN_TYPES: u64 = 2;
/// More than any BERT has.
const MAX_LAYERS: u32 = 128;
const FLOAT_BYTES: u64 = 4;
/// Blocks that are converted between a read and a write.
const BLOCKS_AT_ONCE: usize = 4096;

/// Published and llama.cpp's name of what each layer has, and its shape.
const LAYER: [(&str, &str, Shape); 16] = [
    ("attention.self.query.weight", "attn_q.weight", Shape::Square),
    ("attention.self.query.bias", "attn_q.bias", Shape::Wide),
    ("attention.self.key.weight", "attn_k.weight", Shape::Square),
    ("attention.self.key.bias", "attn_k.bias", Shape::Wide),
    ("attention.self.value.weight", "attn_v.weight", Shape::Square),
    ("attention.self.value.bias", "attn_v.bias", Shape::Wide),
    ("attention.output.dense.weight", "attn_output.weight", Shape::Square),
    ("attention.output.dense.bias", "attn_output.bias", Shape::Wide),
    ("attention.output.LayerNorm.weight", "attn_output_norm.weight", Shape::Wide),
    ("attention.output.LayerNorm.bias", "attn_output_norm.bias", Shape::Wide),
    ("intermediate.dense.weight", "ffn_up.weight", Shape::Up),
    ("intermediate.dense.bias", "ffn_up.bias", Shape::Inner),
    ("output.dense.weight", "ffn_down.weight", Shape::Down),
    ("output.dense.bias", "ffn_down.bias", Shape::Wide),
    ("output.LayerNorm.weight", "layer_output_norm.weight", Shape::Wide),
    ("output.LayerNorm.bias", "layer_output_norm.bias", Shape::Wide),
];

#[derive(Clone, Copy)]
enum Shape {
    Wide,
    Inner,
    Square,
    Up,
    Down,
}

/// The model's measures, read from the shapes that tell them.
struct Measures {
    width: u64,
    inner: u64,
    positions: u64,
    words: u64,
    layers: u32,
}

/// One tensor on its way.
struct Piece<'h> {
    name: String,
    tensor: &'h Tensor,
    storage: Storage,
}

pub(super) fn convert(
    heads: u32,
    weights: &mut (impl Read + Seek),
    vocabulary: &Vocabulary,
    out: &mut impl Write,
) -> Result<(), ConvertError> {
    let header = Header::read(weights)?;
    let measures = measure(&header, heads, vocabulary)?;
    let pieces = pieces(&header, &measures)?;
    let mut head = GgufHead::default();
    describe(&mut head, heads, &measures)?;
    tokenizer(&mut head, vocabulary);
    for piece in &pieces {
        head.tensor(&piece.name, &piece.tensor.shape, piece.storage, piece.bytes());
    }
    head.write(out).map_err(ConvertError::Write)?;
    for piece in &pieces {
        piece.copy(weights, out)?;
        pad(out, piece.bytes()).map_err(ConvertError::Write)?;
    }
    Ok(())
}

fn describe(head: &mut GgufHead, heads: u32, measures: &Measures) -> Result<(), ConvertError> {
    let small = |what: &str, number: u64| {
        u32::try_from(number).map_err(|_| refused(format!("its {what} is {number}")))
    };
    head.text("general.architecture", "bert");
    head.number("general.file_type", FILE_TYPE);
    head.number("general.quantization_version", QUANTISATION_VERSION);
    head.number("bert.context_length", small("number of positions", measures.positions)?);
    head.number("bert.embedding_length", small("width", measures.width)?);
    head.number("bert.feed_forward_length", small("inner width", measures.inner)?);
    head.number("bert.block_count", measures.layers);
    head.number("bert.attention.head_count", heads);
    head.float("bert.attention.layer_norm_epsilon", LAYER_NORM_EPSILON);
    head.flag("bert.attention.causal", false);
    head.number("bert.pooling_type", POOLING_MEAN);
    Ok(())
}

fn tokenizer(head: &mut GgufHead, vocabulary: &Vocabulary) {
    let markers = vocabulary.markers;
    head.text("tokenizer.ggml.model", "bert");
    head.number("tokenizer.ggml.token_type_count", 2);
    head.texts("tokenizer.ggml.tokens", vocabulary.words.iter().map(String::as_str));
    head.integers("tokenizer.ggml.token_type", vocabulary.kinds.iter().copied());
    head.number("tokenizer.ggml.bos_token_id", markers.begin);
    head.number("tokenizer.ggml.eos_token_id", markers.end);
    head.number("tokenizer.ggml.unknown_token_id", markers.unknown);
    // Spelt so in the format.
    head.number("tokenizer.ggml.seperator_token_id", markers.end);
    head.number("tokenizer.ggml.padding_token_id", markers.padding);
    head.number("tokenizer.ggml.cls_token_id", markers.begin);
    head.number("tokenizer.ggml.mask_token_id", markers.mask);
}

fn measure(header: &Header, heads: u32, vocabulary: &Vocabulary) -> Result<Measures, ConvertError> {
    let [words, width] = matrix(header, "embeddings.word_embeddings.weight")?;
    let [positions, _] = matrix(header, "embeddings.position_embeddings.weight")?;
    let [inner, _] = matrix(header, &published(0, "intermediate.dense.weight"))?;
    let has_layer =
        |layer: &u32| header.tensors.contains_key(&published(*layer, "output.dense.weight"));
    let layers = (0..MAX_LAYERS).take_while(has_layer).count();
    let layers = u32::try_from(layers).unwrap_or(MAX_LAYERS);
    let block = BLOCK as u64;
    if width == 0 || inner == 0 || width % block != 0 || inner % block != 0 {
        let what = format!("rows of {width} and {inner} numbers are no whole blocks of {BLOCK}");
        return Err(refused(what));
    }
    if heads == 0 || width % u64::from(heads) != 0 {
        return Err(refused(format!("{heads} heads cannot share a width of {width}")));
    }
    if words != vocabulary.words.len() as u64 {
        let known = vocabulary.words.len();
        return Err(refused(format!("it has {words} words, the vocabulary {known}")));
    }
    Ok(Measures { width, inner, positions, words, layers })
}

/// All tensors of the file, in the order in which they are written.
fn pieces<'h>(header: &'h Header, measures: &Measures) -> Result<Vec<Piece<'h>>, ConvertError> {
    let Measures { width, inner, positions, words, .. } = *measures;
    let mut pieces = Vec::new();
    let mut take = |from: &str, to: String, shape: &[u64], storage| {
        let tensor = tensor(header, from)?;
        if tensor.kind != Kind::F32 || tensor.shape != shape {
            let what = format!(
                "tensor {from:?} is {:?} of shape {:?}, not F32 of shape {shape:?}",
                tensor.kind, tensor.shape
            );
            return Err(refused(what));
        }
        pieces.push(Piece { name: to, tensor, storage });
        Ok(())
    };
    for (from, to, shape, storage) in [
        ("word_embeddings.weight", "token_embd.weight", &[words, width][..], Storage::Q8_0),
        ("position_embeddings.weight", "position_embd.weight", &[positions, width], Storage::F32),
        ("token_type_embeddings.weight", "token_types.weight", &[TOKEN_TYPES, width], Storage::F32),
        ("LayerNorm.weight", "token_embd_norm.weight", &[width], Storage::F32),
        ("LayerNorm.bias", "token_embd_norm.bias", &[width], Storage::F32),
    ] {
        take(&format!("embeddings.{from}"), to.to_owned(), shape, storage)?;
    }
    for layer in 0..measures.layers {
        for (from, to, shape) in LAYER {
            let (shape, storage) = match shape {
                Shape::Wide => (vec![width], Storage::F32),
                Shape::Inner => (vec![inner], Storage::F32),
                Shape::Square => (vec![width, width], Storage::Q8_0),
                Shape::Up => (vec![inner, width], Storage::Q8_0),
                Shape::Down => (vec![width, inner], Storage::Q8_0),
            };
            take(&published(layer, from), format!("blk.{layer}.{to}"), &shape, storage)?;
        }
    }
    Ok(pieces)
}

fn published(layer: u32, name: &str) -> String {
    format!("encoder.layer.{layer}.{name}")
}

fn tensor<'h>(header: &'h Header, name: &str) -> Result<&'h Tensor, ConvertError> {
    header.tensors.get(name).ok_or_else(|| refused(format!("it has no tensor {name:?}")))
}

fn matrix(header: &Header, name: &str) -> Result<[u64; 2], ConvertError> {
    let shape = &tensor(header, name)?.shape;
    <[u64; 2]>::try_from(shape.as_slice())
        .map_err(|_| refused(format!("tensor {name:?} of shape {shape:?} is no matrix")))
}

fn refused(what: String) -> ConvertError {
    ConvertError::Weights(what)
}

impl Piece<'_> {
    fn source_bytes(&self) -> u64 {
        self.tensor.place.end - self.tensor.place.start
    }

    /// What it takes in the new file. Rows are whole blocks.
    fn bytes(&self) -> u64 {
        match self.storage {
            Storage::F32 => self.source_bytes(),
            Storage::Q8_0 => {
                self.source_bytes() / (FLOAT_BYTES * BLOCK as u64) * BLOCK_BYTES as u64
            }
        }
    }

    fn copy(
        &self,
        weights: &mut (impl Read + Seek),
        out: &mut impl Write,
    ) -> Result<(), ConvertError> {
        weights.seek(SeekFrom::Start(self.tensor.place.start)).map_err(ConvertError::Read)?;
        let mut left = self.source_bytes();
        let mut buffer = vec![0; BLOCKS_AT_ONCE * BLOCK * 4];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            weights.read_exact(chunk).map_err(ConvertError::Read)?;
            self.write(chunk, out)?;
            left -= count as u64;
        }
        Ok(())
    }

    fn write(&self, chunk: &[u8], out: &mut impl Write) -> Result<(), ConvertError> {
        let written = match self.storage {
            Storage::F32 => out.write_all(chunk),
            Storage::Q8_0 => out.write_all(&self.quantised(chunk)?),
        };
        written.map_err(ConvertError::Write)
    }

    fn quantised(&self, chunk: &[u8]) -> Result<Vec<u8>, ConvertError> {
        let (numbers, rest) = chunk.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (blocks, over) = numbers.as_chunks::<BLOCK>();
        if !rest.is_empty() || !over.is_empty() {
            let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(ConvertError::Read(cut));
        }
        let mut bytes = Vec::with_capacity(blocks.len() * BLOCK_BYTES);
        for block in blocks {
            let quantised = quantise(block)
                .ok_or_else(|| refused(format!("{} has a number that is not finite", self.name)))?;
            bytes.extend(quantised);
        }
        Ok(bytes)
    }
}
