//! How a model wants its turns marked.
//!
//! Instruct models carry a chat template; it is applied once, to placeholders,
//! and cut into the frame around the system text, the user text and the answer.
//! Only these frame pieces are read with special tokens on. Models without a
//! template (base models) continue a pattern: plain text with examples.

use llama_cpp_2::model::{LlamaChatMessage, LlamaModel};
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

/// Stand-ins that no template contains or changes.
const SYSTEM_MARK: &str = "thrallsystemplaceholder";
const USER_MARK: &str = "thralluserplaceholder";

/// The text around system turn, user turn and answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChatFrame {
    /// No template: one text, turns separated by blank lines.
    Completion,
    Chat {
        before_system: String,
        between: String,
        before_answer: String,
    },
}

impl ChatFrame {
    /// The frame in a model's file; a template that llama.cpp does not know
    /// counts as none.
    pub(super) fn of(model: &LlamaModel) -> Self {
        let applied = model.chat_template(None).ok().and_then(|template| {
            let turn =
                |role: &str, text: &str| LlamaChatMessage::new(role.into(), text.into()).ok();
            let turns = [turn("system", SYSTEM_MARK)?, turn("user", USER_MARK)?];
            model.apply_chat_template(&template, &turns, true).ok()
        });
        applied.as_deref().and_then(Self::cut).unwrap_or(Self::Completion)
    }

    fn cut(applied: &str) -> Option<Self> {
        let (before_system, rest) = applied.split_once(SYSTEM_MARK)?;
        let (between, before_answer) = rest.split_once(USER_MARK)?;
        Some(Self::Chat {
            before_system: before_system.to_owned(),
            between: between.to_owned(),
            before_answer: before_answer.to_owned(),
        })
    }

    /// Everything before the message. `lead` is the user turn's own beginning.
    pub(super) fn before_message(
        &self,
        vocab: &LlamaVocab<'_>,
        system: &str,
        lead: &str,
    ) -> Vec<LlamaToken> {
        let mut tokens = Vec::new();
        match self {
            Self::Completion => tokens.extend(plain(vocab, &format!("{system}\n\n{lead}"))),
            Self::Chat { before_system, between, .. } => {
                tokens.extend(marked(vocab, before_system));
                tokens.extend(plain(vocab, system));
                tokens.extend(marked(vocab, between));
                tokens.extend(plain(vocab, lead));
            }
        }
        if vocab.should_add_bos() && tokens.first() != Some(&vocab.bos()) {
            tokens.insert(0, vocab.bos());
        }
        tokens
    }

    /// Everything after the message, up to where the label or answer follows.
    pub(super) fn after_message(
        &self,
        vocab: &LlamaVocab<'_>,
        closing: &str,
        cue: &str,
    ) -> Vec<LlamaToken> {
        match self {
            Self::Completion => plain(vocab, &format!("{closing}\n{cue}")),
            Self::Chat { before_answer, .. } => {
                let mut tokens = plain(vocab, closing);
                tokens.extend(marked(vocab, before_answer));
                tokens.extend(plain(vocab, cue));
                tokens
            }
        }
    }

    /// Whether a written answer is over. A base model has no end of turn: it
    /// would go on with an invented message, so its answer is one line.
    pub(super) fn ends_answer(&self, written: &[u8]) -> bool {
        *self == Self::Completion && written.trim_ascii_start().contains(&b'\n')
    }
}

fn plain(vocab: &LlamaVocab<'_>, text: &str) -> Vec<LlamaToken> {
    vocab.tokenize(text.as_bytes(), false, false)
}

fn marked(vocab: &LlamaVocab<'_>, text: &str) -> Vec<LlamaToken> {
    vocab.tokenize(text.as_bytes(), false, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_without_places_for_both_turns_is_not_used() {
        assert_eq!(ChatFrame::cut("<s>thralluserplaceholder"), None);
        let applied = "<|s|>thrallsystemplaceholder<|e|><|u|>thralluserplaceholder<|e|><|a|>";
        let expected = ChatFrame::Chat {
            before_system: "<|s|>".into(),
            between: "<|e|><|u|>".into(),
            before_answer: "<|e|><|a|>".into(),
        };
        assert_eq!(ChatFrame::cut(applied), Some(expected));
    }

    #[test]
    fn a_base_models_answer_is_its_first_line() {
        assert!(ChatFrame::Completion.ends_answer(b"\nYes.\nMessage"));
        assert!(!ChatFrame::Completion.ends_answer(b"\nYes."));
    }
}
