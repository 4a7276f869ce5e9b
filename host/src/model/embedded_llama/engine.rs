//! One loaded model: its memory, its prefixes, and decoding in bounded steps.
//! What is done with them is `answer`'s.
//!
//! Runs on the model's own thread only and waits for nobody. Sequence 0 holds
//! the resident prefix, sequence 1 the message on top of it, the others label
//! continuations; sequences share cells, so copying one is free.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::chat_frame::ChatFrame;
use super::tokens::{MAX_FOREIGN_TOKENS, Tokens};
use super::{EmbeddedOptions, Stop, gguf_check};
use crate::model::prefix_cache::{CachedPrefix, PrefixCache};
use crate::model::{ModelError, Usage};

const PREFIX: i32 = 0;
pub(super) const MESSAGE: i32 = 1;
pub(super) const FIRST_LABEL: i32 = 2;

/// Label continuations decoded side by side. Each costs room for a row of logits.
pub(super) const LABEL_SEQUENCES: i32 = 8;

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED`, which llama-cpp-2 does not name.
const NO_FLASH_ATTENTION: i32 = 0;

/// A model in memory, ready to answer.
pub(super) struct Engine<'m> {
    pub(super) vocab: LlamaVocab<'m>,
    pub(super) context: LlamaContext<'m>,
    pub(super) batch: LlamaBatch<'static>,
    pub(super) frame: ChatFrame,
    pub(super) prefixes: PrefixCache,
    /// What sequence 0 holds now.
    pub(super) resident: Vec<LlamaToken>,
    step: usize,
}

impl<'m> Engine<'m> {
    /// Makes a context for a loaded model.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        options: &EmbeddedOptions,
    ) -> Result<Self, ModelError> {
        let threads = i32::try_from(options.threads).unwrap_or(1).max(1);
        let step = u32::try_from(options.step_tokens).unwrap_or(1).max(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(options.context_tokens))
            .with_n_batch(step)
            // Also the size of the compute buffer: a row of logits for each
            // token of a step is reserved, 1 MiB each with a large vocabulary.
            .with_n_ubatch(step)
            .with_n_seq_max(u32::try_from(FIRST_LABEL + LABEL_SEQUENCES).unwrap_or(1))
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            // Gemma's sliding-window layers forget the prefix otherwise.
            .with_swa_full(true)
            // On a CPU, llama.cpp's flash attention over a cached prefix takes
            // three times as long as its matrix products.
            .with_flash_attention_policy(NO_FLASH_ATTENTION)
            .with_kv_unified(true);
        let context = model
            .new_context(backend, params)
            .map_err(|e| failed("making a context (is there enough memory?)", &e))?;
        Ok(Self {
            vocab: model.vocab(),
            context,
            batch: LlamaBatch::new(options.step_tokens.max(1), 1),
            frame: ChatFrame::of(model),
            prefixes: PrefixCache::default(),
            resident: Vec::new(),
            step: options.step_tokens.max(1),
        })
    }

    /// Time to process tokens on an empty memory: what classify is measured against.
    pub(super) fn raw_prefill(&mut self, tokens: &[LlamaToken]) -> Result<Duration, ModelError> {
        self.forget();
        let began = Instant::now();
        self.decode(tokens, MESSAGE, 0, &Stop::never(), &mut Usage::default())?;
        self.row();
        let took = began.elapsed();
        self.forget();
        Ok(took)
    }

    /// Empties memory and cache, as after a start.
    pub(super) fn forget_prefixes(&mut self) {
        self.prefixes.clear();
        self.forget();
    }

    /// Brings the prefix into sequence 0 with nothing else in memory.
    pub(super) fn make_resident(
        &mut self,
        tokens: &Tokens,
        usage: &mut Usage,
    ) -> Result<(), ModelError> {
        let prefix = &tokens.prefix;
        let needed = prefix.len() + tokens.message.len() + tokens.after.len();
        if needed + MAX_FOREIGN_TOKENS > self.room() {
            return Err(ModelError::Invalid(format!(
                "prompt and message take {needed} tokens of the context's {}; shorten the prompt \
                 or raise the model's context",
                self.room()
            )));
        }
        if self.resident == *prefix {
            usage.cached_prefix = self.prefixes.touch(prefix).is_some();
            return Ok(());
        }
        self.forget();
        if let Some(entry) = self.prefixes.touch(prefix) {
            let restored = self.context.state_seq_set(&entry.state, PREFIX);
            if let Err(error) = restored {
                self.forget_prefixes();
                return Err(failed("restoring a prompt's state", &error));
            }
            self.resident.clone_from(prefix);
            usage.cached_prefix = true;
            return Ok(());
        }
        self.decode(prefix, PREFIX, 0, &Stop::never(), usage)?;
        usage.tokens += count(prefix);
        let state = self
            .context
            .state_seq_get(PREFIX, LlamaStateSeqFlags::empty())
            .map_err(|e| failed("saving a prompt's state", &e))?;
        self.prefixes.insert(CachedPrefix::new(prefix.clone(), state));
        self.resident.clone_from(prefix);
        Ok(())
    }

    /// Runs `work` with a message sequence on top of the prefix, and removes
    /// the sequence whatever came of it: nothing of a message outlives its call.
    pub(super) fn on_message<T>(
        &mut self,
        tokens: &Tokens,
        work: impl FnOnce(&mut Self, &[LlamaToken], usize) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let tail: Vec<LlamaToken> = tokens.message.iter().chain(&tokens.after).copied().collect();
        self.copy(PREFIX, MESSAGE)?;
        let done = work(self, &tail, tokens.prefix.len());
        let cleaned =
            (MESSAGE..FIRST_LABEL + LABEL_SEQUENCES).try_for_each(|sequence| self.remove(sequence));
        if matches!(done, Err(ModelError::Failed(_))) || cleaned.is_err() {
            self.forget();
        }
        cleaned.and(done)
    }

    /// Decodes tokens in steps, looking at the clock between them. Afterwards
    /// the last token's row of logits can be read.
    pub(super) fn decode(
        &mut self,
        tokens: &[LlamaToken],
        sequence: i32,
        from: usize,
        stop: &Stop<'_>,
        usage: &mut Usage,
    ) -> Result<(), ModelError> {
        let mut at = from;
        let end = from + tokens.len();
        for step in tokens.chunks(self.step) {
            stop.check()?;
            self.batch.clear();
            for token in step {
                at += 1;
                self.batch
                    .add(*token, position(at - 1)?, &[sequence], at == end)
                    .map_err(|e| failed("filling a batch", &e))?;
            }
            self.run_batch(usage)?;
        }
        Ok(())
    }

    pub(super) fn run_batch(&mut self, usage: &mut Usage) -> Result<(), ModelError> {
        usage.prefill_tokens += u32::try_from(self.batch.n_tokens()).unwrap_or(0);
        self.context.decode(&mut self.batch).map_err(|e| {
            // What a broken decode leaves in memory is nobody's prefix.
            self.resident.clear();
            failed("decoding", &e)
        })
    }

    /// The row of logits of the last batch's last token.
    pub(super) fn row(&self) -> &[f32] {
        self.context.get_logits_ith(-1)
    }

    pub(super) fn room(&self) -> usize {
        usize::try_from(self.context.n_ctx()).unwrap_or(0)
    }

    pub(super) fn copy(&mut self, from: i32, to: i32) -> Result<(), ModelError> {
        self.context
            .kv_cache_seq_cp(from, to, None, None)
            .map_err(|e| failed("copying a sequence", &e))
    }

    pub(super) fn remove(&mut self, sequence: i32) -> Result<(), ModelError> {
        self.context
            .kv_cache_seq_rm(sequence, None, None)
            .map_err(|e| failed("removing a sequence", &e))
    }

    fn forget(&mut self) {
        self.context.clear_kv_cache();
        self.resident.clear();
    }
}

/// A model file's first bytes tell whether llama.cpp should see it at all.
pub(super) fn load_model(
    backend: &LlamaBackend,
    path: &Path,
    name: Option<&str>,
) -> Result<LlamaModel, ModelError> {
    gguf_check::check(path, name)?;
    let params = llama_cpp_2::model::params::LlamaModelParams::default();
    LlamaModel::load_from_file(backend, path, &params).map_err(|error| ModelError::Unavailable {
        reason: format!(
            "llama.cpp cannot load {} ({error}); the file may be damaged or of an architecture \
             that it does not know; try `thrall model verify`",
            path.display()
        ),
    })
}

pub(super) fn failed(doing: &str, error: &dyn std::error::Error) -> ModelError {
    ModelError::Failed(format!("{doing}: {error}"))
}

pub(super) fn position(at: usize) -> Result<i32, ModelError> {
    i32::try_from(at).map_err(|e| failed("counting positions", &e))
}

pub(super) fn count(tokens: &[LlamaToken]) -> u32 {
    u32::try_from(tokens.len()).unwrap_or(u32::MAX)
}
