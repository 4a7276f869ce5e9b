//! How an input ended, as a number: equal for inputs that took the same way.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The number of some parts.
pub(crate) fn of(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A message without what was quoted from the input.
pub(crate) fn words(message: &str) -> String {
    let mut kept = String::new();
    let mut quoted = false;
    for letter in message.chars() {
        match letter {
            '"' | '`' => quoted = !quoted,
            _ if quoted || letter.is_ascii_digit() => {}
            _ => kept.push(letter),
        }
    }
    kept
}
