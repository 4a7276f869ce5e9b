//! The closed set of labels that a model may answer with.
//!
//! Labels come from a prompt's kinds or from a recipe, never from a message.
//! What a label leads to is not here: see the recipe's mapping of kinds.

use thiserror::Error;

/// Fewer than two is no choice; more than this makes small models guess and
/// the prompt long.
pub const LABELS: std::ops::RangeInclusive<usize> = 2..=32;

/// A label is read from few tokens; a sentence is no label.
const MAX_NAME_CHARS: usize = 40;

/// One possible answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    pub name: String,
    /// What the model says for it; the name, unless a plainer word is read better.
    pub word: String,
    /// A few words for the model, shown in the prompt's constant part; may be empty.
    pub describe: String,
}

/// A validated set: 2 to 32 labels, unique names of `[a-z0-9 _-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelSet {
    labels: Vec<Label>,
}

/// Why a list of labels is not a label set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelSetError {
    #[error("a label set has {0} labels; it needs 2 to 32")]
    Count(usize),
    #[error("label `{0}` is there twice; give each label its own name and word")]
    Duplicate(String),
    #[error(
        "label `{0}` is not usable: 1 to 40 characters of a-z, 0-9, space, `_` and `-`, no space at the ends"
    )]
    Name(String),
}

impl LabelSet {
    /// # Errors
    /// [`LabelSetError`] when count, names or uniqueness do not hold.
    pub fn new(labels: Vec<Label>) -> Result<Self, LabelSetError> {
        if !LABELS.contains(&labels.len()) {
            return Err(LabelSetError::Count(labels.len()));
        }
        for (at, label) in labels.iter().enumerate() {
            if let Some(bad) = [&label.name, &label.word].into_iter().find(|n| !is_label_name(n)) {
                return Err(LabelSetError::Name(bad.clone()));
            }
            let is_same =
                |earlier: &&Label| earlier.name == label.name || earlier.word == label.word;
            if labels.iter().take(at).find(is_same).is_some() {
                return Err(LabelSetError::Duplicate(label.name.clone()));
            }
        }
        Ok(Self { labels })
    }

    /// A set of names without descriptions, such as a recipe's actions.
    ///
    /// # Errors
    /// As for [`LabelSet::new`].
    pub fn of_names<S: AsRef<str>>(names: &[S]) -> Result<Self, LabelSetError> {
        let label = |name: &S| {
            let name = name.as_ref().to_owned();
            Label { word: name.clone(), name, describe: String::new() }
        };
        Self::new(names.iter().map(label).collect())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.labels.iter()
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: kept because a `len` without it surprises.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Whether a word can name a label.
pub fn is_label_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.trim() == name
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b' ' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_two_to_thirty_two_unique_plain_names() {
        assert!(LabelSet::of_names(&["spam", "status question", "bug-report_2"]).is_ok());
        assert_eq!(LabelSet::of_names(&["one"]), Err(LabelSetError::Count(1)));
        let many: Vec<String> = (0..33).map(|n| format!("l{n}")).collect();
        assert_eq!(LabelSet::of_names(&many), Err(LabelSetError::Count(33)));
        let twice = LabelSet::of_names(&["spam", "news", "spam"]);
        assert_eq!(twice, Err(LabelSetError::Duplicate("spam".into())));
    }

    #[test]
    fn refuses_names_that_could_carry_something_else() {
        for bad in ["", " spam", "Spam", "spam\nwake", "späm", "a\"b", &"x".repeat(41)] {
            let set = LabelSet::of_names(&["ok", bad]);
            assert_eq!(set, Err(LabelSetError::Name(bad.into())), "{bad:?}");
        }
    }
}
