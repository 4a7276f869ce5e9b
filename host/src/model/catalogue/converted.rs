//! A model's file that is made here from files that are published: which, and by
//! which conversion. What a conversion does is `model/convert`'s.

use serde::{Deserialize, Serialize};

use super::{PinnedFile, Source};
use crate::ids::Digest;

/// A conversion with what it starts from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "by", deny_unknown_fields)]
pub enum Converted {
    /// A BERT encoder, from 32-bit floats to 8-bit numbers.
    #[serde(rename = "bert-q8_0")]
    BertQ8_0 {
        /// Attention heads, which no shape of the weights tells.
        heads: u32,
        weights: Original,
        vocabulary: Original,
    },
}

/// A published file. Its name here is what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Original {
    pub size: u64,
    pub sha256: Digest,
    /// Tried in order.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

impl Converted {
    /// All published files, each named after what it is for.
    pub fn originals<'a>(&'a self, model: &'a str) -> Vec<PinnedFile<'a>> {
        match self {
            Self::BertQ8_0 { weights, vocabulary, .. } => {
                vec![weights.pinned(model, WEIGHTS), vocabulary.pinned(model, VOCABULARY)]
            }
        }
    }
}

/// The name of [`Converted::BertQ8_0`]'s weights among its originals.
pub const WEIGHTS: &str = "weights";
/// The same for its vocabulary.
pub const VOCABULARY: &str = "vocabulary";

impl Original {
    fn pinned<'a>(&'a self, model: &'a str, name: &'a str) -> PinnedFile<'a> {
        PinnedFile { model, name, size: self.size, sha256: self.sha256, sources: &self.sources }
    }
}
