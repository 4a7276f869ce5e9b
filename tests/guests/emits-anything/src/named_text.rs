//! Fields in a recipe's `[config]`, as often as asked for.

use serde::Deserialize;
use thrall_sdk::Field;

use crate::text::Text;

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
