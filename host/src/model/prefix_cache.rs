//! Constant prompt prefixes, kept as snapshots of the model's attention state.
//!
//! The model's own memory holds one prefix at a time, so that a message attends
//! to its own prompt and nothing else, always in the same cells: the same
//! message gives the same numbers, whatever came between. Changing to another
//! prefix (another tier, another prompt) copies its snapshot back, a few
//! milliseconds instead of processing it again. Snapshots are opaque bytes that
//! llama.cpp made; they are also what a later start could read from disk.

use llama_cpp_2::context::session::SeqState;
use llama_cpp_2::token::LlamaToken;

/// Tiers times prompts in use, with room. The least recently used one goes first.
pub const MAX_PREFIXES: usize = 12;

/// A snapshot takes 10 to 40 kB a token; this bounds the lot.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Label sets that one prefix remembers; recipes share prompts, so there are few.
const MAX_BASELINES: usize = 16;

/// One prefix that the model has processed.
pub struct CachedPrefix {
    /// The prefix itself is its key: whatever prompt, tier or label set led to
    /// these tokens, equal tokens mean equal state.
    tokens: Vec<LlamaToken>,
    /// What to copy back.
    pub state: SeqState,
    /// Oldest first.
    baselines: Vec<(BaselineKey, Vec<f32>)>,
}

/// What each label's mean log-probability over content-free messages depends
/// on besides the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineKey {
    /// The labels' tokens.
    pub labels: Vec<Vec<i32>>,
    /// What follows the message.
    pub after: Vec<LlamaToken>,
}

impl CachedPrefix {
    pub fn new(tokens: Vec<LlamaToken>, state: SeqState) -> Self {
        Self { tokens, state, baselines: Vec::new() }
    }

    pub fn baseline(&self, key: &BaselineKey) -> Option<&[f32]> {
        self.baselines.iter().find(|(known, _)| known == key).map(|(_, b)| b.as_slice())
    }

    pub fn remember(&mut self, key: BaselineKey, baseline: Vec<f32>) {
        if self.baselines.len() >= MAX_BASELINES {
            self.baselines.remove(0);
        }
        self.baselines.push((key, baseline));
    }
}

/// The prefixes, most recently used last.
#[derive(Default)]
pub struct PrefixCache {
    entries: Vec<CachedPrefix>,
}

impl PrefixCache {
    /// Finds a prefix and makes it the most recently used one.
    pub fn touch(&mut self, tokens: &[LlamaToken]) -> Option<&mut CachedPrefix> {
        let at = self.entries.iter().position(|e| e.tokens == tokens)?;
        let entry = self.entries.remove(at);
        self.entries.push(entry);
        self.entries.last_mut()
    }

    /// Adds a prefix, giving up the oldest ones that no longer fit beside it.
    pub fn insert(&mut self, entry: CachedPrefix) {
        self.entries.retain(|e| e.tokens != entry.tokens);
        self.entries.push(entry);
        while self.entries.len() > 1
            && (self.entries.len() > MAX_PREFIXES || self.bytes() > MAX_BYTES)
        {
            self.entries.remove(0);
        }
    }

    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|e| e.state.byte_len()).sum()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
