//! From a recipe's `model = "NAME"` to the backend that answers, and from the name
//! of an embedding model to who embeds.
//!
//! The composition root registers what the configuration names; a backend loads
//! its model on first use, so registering costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ModelBackend, ModelError, TextEmbedder};
use crate::ids::nearest;

/// Backends by the name that recipes and prompts use.
#[derive(Clone, Default)]
pub struct ModelRouter {
    backends: BTreeMap<String, Arc<dyn ModelBackend>>,
    embedders: BTreeMap<String, Arc<dyn TextEmbedder>>,
}

impl ModelRouter {
    /// Adds a backend; an alias is the same backend under a second name.
    #[must_use]
    pub fn with(mut self, name: &str, backend: Arc<dyn ModelBackend>) -> Self {
        self.backends.insert(name.to_owned(), backend);
        self
    }

    /// Adds an embedding model.
    #[must_use]
    pub fn with_embedder(mut self, name: &str, embedder: Arc<dyn TextEmbedder>) -> Self {
        self.embedders.insert(name.to_owned(), embedder);
        self
    }

    /// # Errors
    /// [`ModelError::Unavailable`] naming the nearest known model.
    pub fn backend(&self, name: &str) -> Result<Arc<dyn ModelBackend>, ModelError> {
        let found = self.backends.get(name).cloned();
        found.ok_or_else(|| match self.embedders.contains_key(name) {
            true => unavailable(format!("`{name}` embeds texts, it answers no questions")),
            false => unknown("model", name, self.names()),
        })
    }

    /// # Errors
    /// As for [`ModelRouter::backend`].
    pub fn embedder(&self, name: &str) -> Result<Arc<dyn TextEmbedder>, ModelError> {
        let found = self.embedders.get(name).cloned();
        found.ok_or_else(|| match self.backends.contains_key(name) {
            true => unavailable(format!("`{name}` answers questions, it embeds no texts")),
            false => unknown("embedding model", name, self.embedders.keys().map(String::as_str)),
        })
    }

    /// Who answers questions; embedding models are not among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.backends.keys().map(String::as_str)
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> ModelError {
    let hint = nearest(name, known).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    unavailable(format!("no {what} named `{name}` is configured{hint}"))
}

fn unavailable(reason: String) -> ModelError {
    ModelError::Unavailable { reason }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::model::{EmbedRequest, Embedding};

    struct Silent;

    #[async_trait]
    impl TextEmbedder for Silent {
        async fn embed(&self, _request: EmbedRequest) -> Result<Embedding, ModelError> {
            Err(ModelError::Failed("silent".to_owned()))
        }

        fn summary(&self) -> String {
            "silent".to_owned()
        }
    }

    fn refusal<T: ?Sized>(asked: Result<Arc<T>, ModelError>) -> String {
        asked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_unknown_model_names_the_nearest() {
        let router = ModelRouter::default().with_embedder("minilm", Arc::new(Silent));
        let error = refusal(ModelRouter::default().backend("gemma3-1b"));
        assert!(error.contains("`gemma3-1b`"), "{error}");
        let error = refusal(router.embedder("minlm"));
        assert!(error.contains("did you mean `minilm`?"), "{error}");
    }

    #[test]
    fn a_model_of_the_other_kind_is_told_apart_from_none() {
        let router = ModelRouter::default().with_embedder("minilm", Arc::new(Silent));
        assert!(router.embedder("minilm").is_ok());
        assert!(refusal(router.backend("minilm")).contains("embeds texts"));
        assert_eq!(router.names().count(), 0);
    }
}
