//! A text in a recipe's `[config]`: plain, or too long to be written out.
//! Shared by the guests that do what their configuration says.

use serde::Deserialize;

/// `"text"` or `{ text = "x", times = 70000 }`.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Repeated { text: String, times: usize },
}

impl Default for Text {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl Text {
    pub(crate) fn get(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Repeated { text, times } => text.repeat(*times),
        }
    }
}
