//! A text in a recipe's `[config]`: plain, or too long to be written out.
//! Shared by the guests that do what their configuration says.

use serde::Deserialize;
use thrall_sdk::Field;

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

/// `{ name = "from_node", value = "..." }`, `times` times.
#[derive(Clone, Deserialize)]
pub(crate) struct NamedText {
    #[serde(default)]
    pub(crate) name: Text,
    #[serde(default)]
    pub(crate) value: Text,
    #[serde(default = "once")]
    pub(crate) times: usize,
}

pub(crate) fn once() -> usize {
    1
}

pub(crate) fn fields(fields: &[NamedText]) -> Vec<Field> {
    fields
        .iter()
        .flat_map(|field| {
            let made = Field::new(field.name.get(), field.value.get());
            std::iter::repeat_n(made, field.times)
        })
        .collect()
}
