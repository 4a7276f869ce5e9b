//! A rendered prompt as the model's tokens, in three parts that are cached
//! differently. Ours and foreign text part ways here for good.

use llama_cpp_2::token::LlamaToken;

use super::engine::Engine;
use crate::model::LabelSet;
use crate::model::prompt::{RenderedPrompt, UserPart};

/// Tokens of one foreign text. A character can be four tokens, so a limit in
/// characters alone would let 800 rare ones take the model for seconds.
pub(super) const MAX_FOREIGN_TOKENS: usize = 384;

/// A request as tokens.
pub(super) struct Tokens {
    /// Constant: system turn, examples, and the user turn up to the message.
    pub prefix: Vec<LlamaToken>,
    /// The message and what else is not constant.
    pub message: Vec<LlamaToken>,
    /// From the closing fence to the cue.
    pub after: Vec<LlamaToken>,
}

impl Engine<'_> {
    /// A rendered prompt as tokens. Foreign text is read with special tokens
    /// off, bounded, and without any that a vocabulary hides in plain text.
    pub(super) fn tokens(&self, rendered: &RenderedPrompt) -> Tokens {
        let (lead, rest) = match rendered.user.split_first() {
            Some((UserPart::Ours(lead), rest)) => (lead.as_str(), rest),
            _ => ("", rendered.user.as_slice()),
        };
        let (rest, closing) = match rest.split_last() {
            Some((UserPart::Ours(closing), rest)) => (rest, closing.as_str()),
            _ => (rest, ""),
        };
        let mut message = Vec::new();
        for part in rest {
            match part {
                UserPart::Ours(text) => message.extend(self.plain(text)),
                UserPart::Foreign(text) => message.extend(
                    self.plain(text)
                        .into_iter()
                        .filter(|t| !self.vocab.is_control(*t) && !self.vocab.is_eog(*t))
                        .take(MAX_FOREIGN_TOKENS),
                ),
            }
        }
        let prefix = self.frame.before_message(&self.vocab, &rendered.system, lead);
        let after = self.frame.after_message(&self.vocab, closing, &rendered.cue);
        Tokens { prefix, message, after }
    }

    pub(super) fn plain(&self, text: &str) -> Vec<LlamaToken> {
        self.vocab.tokenize(text.as_bytes(), false, false)
    }

    pub(super) fn label_tokens(&self, labels: &LabelSet) -> Vec<Vec<i32>> {
        let tokens = |word: &str| self.plain(&format!(" {word}")).iter().map(|t| t.0).collect();
        labels.iter().map(|label| tokens(&label.word)).collect()
    }
}
