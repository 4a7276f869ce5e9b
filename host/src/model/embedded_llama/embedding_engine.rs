//! One loaded embedding model: texts to tokens, tokens to vectors.
//!
//! An encoder reads each text whole and in both directions, so there is nothing to
//! keep between calls and no step in the middle of one; what bounds a call is the
//! number of its tokens.

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::engine::{failed, position};
use super::spare_cores;
use crate::model::ModelError;
use crate::model::embedding::{DIMENSIONS, MAX_TOKENS};

/// Texts that are embedded side by side; their tokens are bounded as well.
pub(super) const MAX_TEXTS: usize = 16;

/// What llama.cpp calls the only architecture that is known to embed well here.
const ARCHITECTURE: &str = "bert";

/// A text as the model reads it, its two markers included.
pub(super) struct Text {
    tokens: Vec<LlamaToken>,
    cut: bool,
}

impl Text {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// It had more tokens than count.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}

/// An embedding model in memory.
pub(super) struct EmbeddingEngine<'m> {
    vocab: LlamaVocab<'m>,
    /// Computes on as many threads as are configured.
    wide: LlamaContext<'m>,
    /// Computes on one, while the cores for more are not there.
    narrow: Option<LlamaContext<'m>>,
    threads: usize,
    batch: LlamaBatch<'static>,
    /// Tokens that a text may have.
    room: usize,
}

impl<'m> EmbeddingEngine<'m> {
    /// Makes a context for a loaded model.
    pub(super) fn new(
        llama: &LlamaBackend,
        model: &'m LlamaModel,
        threads: usize,
    ) -> Result<Self, ModelError> {
        check(model)?;
        let threads = threads.max(1);
        let narrow = if threads > 1 { Some(context(llama, model, 1)?) } else { None };
        let trained = usize::try_from(model.n_ctx_train()).unwrap_or(0);
        Ok(Self {
            vocab: model.vocab(),
            wide: context(llama, model, threads)?,
            narrow,
            threads,
            batch: LlamaBatch::new(MAX_TOKENS, 1),
            room: MAX_TOKENS.min(trained),
        })
    }

    /// A text's tokens between the model's markers. What looks like a marker in the
    /// text is read as letters.
    pub(super) fn text(&self, text: &str) -> Text {
        let words = self.vocab.tokenize(text.as_bytes(), false, false);
        let room = self.room.saturating_sub(2);
        let mut tokens = vec![self.vocab.bos()];
        tokens.extend(words.iter().take(room));
        tokens.push(self.vocab.sep());
        Text { tokens, cut: words.len() > room }
    }

    /// The vector of each text, of length 1.
    pub(super) fn embed(&mut self, texts: &[Text]) -> Result<Vec<[f32; DIMENSIONS]>, ModelError> {
        self.batch.clear();
        for (text, sequence) in texts.iter().zip(0..) {
            for (at, token) in text.tokens.iter().enumerate() {
                self.batch
                    .add(*token, position(at)?, &[sequence], true)
                    .map_err(|e| failed("filling a batch", &e))?;
            }
        }
        let context = match &mut self.narrow {
            Some(narrow) if !spare_cores::are_there(self.threads) => narrow,
            _ => &mut self.wide,
        };
        context.encode(&mut self.batch).map_err(|e| failed("embedding", &e))?;
        let vector = |sequence| {
            let numbers = context
                .embeddings_seq_ith(sequence)
                .map_err(|e| failed("reading an embedding", &e))?;
            normalised(numbers)
        };
        texts.iter().zip(0..).map(|(_, sequence)| vector(sequence)).collect()
    }
}

fn context<'m>(
    llama: &LlamaBackend,
    model: &'m LlamaModel,
    threads: usize,
) -> Result<LlamaContext<'m>, ModelError> {
    let threads = i32::try_from(threads).unwrap_or(1);
    let tokens = u32::try_from(MAX_TOKENS).unwrap_or(1);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(tokens))
        .with_n_batch(tokens)
        // An encoder takes a batch whole or not at all.
        .with_n_ubatch(tokens)
        .with_n_seq_max(u32::try_from(MAX_TEXTS).unwrap_or(1))
        .with_kv_unified(true)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_pooling_type(LlamaPoolingType::Mean)
        .with_embeddings(true);
    model
        .new_context(llama, params)
        .map_err(|e| failed("making a context (is there enough memory?)", &e))
}

/// llama.cpp ends the process over some models that it cannot embed with.
fn check(model: &LlamaModel) -> Result<(), ModelError> {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let dimensions = usize::try_from(model.n_embd()).unwrap_or(0);
    if architecture == ARCHITECTURE && dimensions == DIMENSIONS {
        return Ok(());
    }
    Err(ModelError::Unavailable {
        reason: format!(
            "the model is {architecture:?} with {dimensions} numbers a text, not {ARCHITECTURE:?} \
             with {DIMENSIONS}; `thrall model list` names the embedding models"
        ),
    })
}

fn normalised(numbers: &[f32]) -> Result<[f32; DIMENSIONS], ModelError> {
    let mut vector = <[f32; DIMENSIONS]>::try_from(numbers)
        .map_err(|_| ModelError::Failed(format!("{} numbers came for a text", numbers.len())))?;
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(ModelError::Failed("a text's numbers are none".to_owned()));
    }
    for number in &mut vector {
        *number /= length;
    }
    Ok(vector)
}
