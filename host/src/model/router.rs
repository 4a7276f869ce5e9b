//! From a recipe's `model = "NAME"` to the backend that answers.
//!
//! The composition root registers what the configuration names; a backend loads
//! its model on first use, so registering costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ModelBackend, ModelError};
use crate::ids::nearest;

/// Backends by the name that recipes and prompts use.
#[derive(Clone, Default)]
pub struct ModelRouter {
    backends: BTreeMap<String, Arc<dyn ModelBackend>>,
}

impl ModelRouter {
    /// Adds a backend; an alias is the same backend under a second name.
    #[must_use]
    pub fn with(mut self, name: &str, backend: Arc<dyn ModelBackend>) -> Self {
        self.backends.insert(name.to_owned(), backend);
        self
    }

    /// # Errors
    /// [`ModelError::Unavailable`] naming the nearest known model.
    pub fn backend(&self, name: &str) -> Result<Arc<dyn ModelBackend>, ModelError> {
        self.backends.get(name).cloned().ok_or_else(|| {
            let near = nearest(name, self.names());
            let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            ModelError::Unavailable {
                reason: format!("no model named `{name}` is configured{hint}"),
            }
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.backends.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_names_the_nearest() {
        let Err(error) = ModelRouter::default().backend("gemma3-1b") else {
            panic!("an empty router answered");
        };
        assert!(error.to_string().contains("`gemma3-1b`"), "{error}");
    }
}
