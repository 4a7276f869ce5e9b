//! A text as a vector: the request, the answer, and who answers.
//!
//! What is embedded is what the chat model would be shown of a message, and no
//! request is made otherwise: [`EmbedRequest::of_message`] is the only way to one.

use std::time::Duration;

use async_trait::async_trait;

use super::{ModelError, Usage};
use crate::envelope::visible_text;

/// Numbers in an embedding of the MiniLM family; a model that gives another
/// number of them is refused when it is loaded.
pub const DIMENSIONS: usize = 384;

/// Who embeds where nobody names a model: its name in the catalogue.
pub const DEFAULT_EMBEDDER: &str = "all-minilm-l6-v2";

/// Tokens of a text that count, the two markers around it included. The model was
/// trained on at most 128 and published for at most 256; more would also cost more
/// time than a verdict may take.
pub const MAX_TOKENS: usize = 256;

/// Characters of a message that are looked at: eight for each token, which is twice
/// what they take in prose, so that the bound on tokens is the one that is felt.
/// Costs of reading a message stop here, whatever its size.
pub const MAX_CHARACTERS: usize = 2048;

/// One text to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    text: String,
    cut: bool,
    within: Duration,
}

impl EmbedRequest {
    /// A request about a message as it came. Hostile: what no person would see is
    /// left out, and what is over the bound.
    #[must_use]
    pub fn of_message(message: &str, within: Duration) -> Self {
        // What is behind the bound tells whether there is more: a space and a letter.
        let mut text = visible_text::one_line(message, MAX_CHARACTERS + 2);
        let end = text.char_indices().nth(MAX_CHARACTERS).map(|(at, _)| at);
        if let Some(end) = end {
            text.truncate(end);
        }
        Self { text, cut: end.is_some(), within }
    }

    /// The text as the model gets it: one clean line, bounded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The message had more than [`MAX_CHARACTERS`].
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How long the caller waits in all, queue included.
    #[must_use]
    pub fn within(&self) -> Duration {
        self.within
    }
}

/// What a text means, as far as a small model can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Of length 1, so that the product of two is the cosine of their angle.
    pub vector: [f32; DIMENSIONS],
    /// The text had more than [`MAX_TOKENS`] or [`MAX_CHARACTERS`]; the rest did
    /// not count.
    pub truncated: bool,
    /// `wall_us` is the time of all texts that were embedded together.
    pub usage: Usage,
}

impl Embedding {
    /// How alike two texts are: 1 for the same, about 0 for unrelated ones.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        self.vector.iter().zip(&other.vector).map(|(a, b)| a * b).sum()
    }
}

/// Somebody who turns texts into vectors with one model. The same text gives the
/// same vector, whatever is embedded beside it, within 1e-3 of each number.
#[async_trait]
pub trait TextEmbedder: Send + Sync {
    /// Embeds one text.
    ///
    /// # Errors
    /// As for [`ModelBackend::classify`](super::ModelBackend::classify); an empty
    /// text is embedded like any other.
    async fn embed(&self, request: EmbedRequest) -> Result<Embedding, ModelError>;

    /// One line for people: which model, from where, in which state.
    fn summary(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &str) -> String {
        EmbedRequest::of_message(message, Duration::from_secs(1)).text().to_owned()
    }

    #[test]
    fn a_message_is_embedded_as_a_person_sees_it() {
        assert_eq!(
            text("  Hi,\r\n\r\nｉｓ  node\u{200b} 7 \"up\"?\u{1b}[2J "),
            "Hi, is node 7 \"up\"?[2J"
        );
    }

    #[test]
    fn what_is_over_the_bound_is_not_looked_at() {
        let request = |text: &str| EmbedRequest::of_message(text, Duration::from_secs(1));
        let long = request(&"ä".repeat(1_000_000));
        assert_eq!((long.text().chars().count(), long.is_cut()), (MAX_CHARACTERS, true));
        let most = request(&format!(" {}\n ", "ä".repeat(MAX_CHARACTERS)));
        assert_eq!((most.text().chars().count(), most.is_cut()), (MAX_CHARACTERS, false));
        assert_eq!(request(" \n\t").text(), "");
    }
}
