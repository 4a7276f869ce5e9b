//! Questions to the model: the pipeline's own (`[evaluate] type = "llm"`) and
//! those of guests (WIT interface `model`). Here a recipe's words meet prompts
//! and backends; how a model answers is in `model/`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::envelope::Envelope;
use crate::envelope::sender::Tier;
use crate::ids::Digest;
use crate::model::embedding::DEFAULT_EMBEDDER;
use crate::model::{
    Classification, ClassifyRequest, CompleteRequest, EmbedRequest, LabelSet, ModelError,
    ModelRouter, Prompt, PromptLibrary, PromptValues,
};
use crate::pipeline::ports::{Classifier, ModelQuestion, PreparedQuestion};
use crate::recipes::{Asking, Recipe};
use crate::stage::{HostAnswer, HostError, HostRequest};

/// A host call's own deadline for `classify` and `embed`, which a guest cannot
/// stretch.
const GUEST_CLASSIFY: Duration = Duration::from_secs(5);
/// The same for `complete`.
const GUEST_COMPLETE: Duration = Duration::from_secs(30);

/// Prompts, backends and the operator's choices between them.
pub struct ModelQuestions {
    pub prompts: ArcSwap<PromptLibrary>,
    pub router: ModelRouter,
    /// The model of recipes and prompts that name none.
    pub default_model: String,
    /// Other names for models in the catalogue.
    pub aliases: BTreeMap<String, String>,
    /// How long the pipeline waits for a verdict, queue included.
    pub timeout: Duration,
    /// Below this the model's best label is no verdict.
    pub threshold: f32,
    /// The same for labels that lead to drop or reply.
    pub silence_threshold: f32,
}

impl ModelQuestions {
    fn prompt(&self, name: &str) -> Result<Arc<Prompt>, HostError> {
        self.prompts.load().get(name).map_err(|error| HostError::Failed(error.to_string()))
    }

    fn model_name(&self, wanted: Option<&str>) -> String {
        let name = wanted.unwrap_or(&self.default_model);
        self.aliases.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The model that questions with a prompt go to.
    pub fn model_of_prompt(&self, prompt: &str) -> String {
        let named = self.prompt(prompt).ok().and_then(|prompt| prompt.model.clone());
        self.model_name(named.as_deref())
    }

    /// The version of a prompt that is in use.
    pub fn hash_of_prompt(&self, prompt: &str) -> Option<String> {
        self.prompt(prompt).ok().map(|prompt| prompt.hash.clone())
    }

    /// The model that an evaluator asks with a prompt, by the recipe's own choice
    /// or the prompt's.
    pub fn model_of(&self, prompt: &str, model: Option<&str>) -> String {
        match model {
            Some(model) => self.model_name(Some(model)),
            None => self.model_of_prompt(prompt),
        }
    }

    async fn ask(&self, model: &str, request: ClassifyRequest) -> Result<HostAnswer, HostError> {
        let backend = self.router.backend(model).map_err(to_host_error)?;
        backend.classify(request).await.map(to_answer).map_err(to_host_error)
    }

    /// Asks about an empty message, for what that leaves in the model's memory.
    ///
    /// # Errors
    /// As for any question.
    pub async fn warm(
        &self,
        asking: Asking<'_>,
        tier: Tier,
        recipe: &Recipe,
    ) -> Result<(), HostError> {
        let envelope = Envelope::blank();
        let question = ModelQuestion {
            asking,
            envelope: &envelope,
            tier,
            context: &[],
            gathered: &[],
            cascade: &[],
            declared: &recipe.answers_to(asking),
        };
        let prepared = self.prepare(&question)?;
        self.classify(&prepared).await.map(drop)
    }

    /// Answers a guest's `model.classify`. The label set is the prompt's own,
    /// named after the prompt; text can never bring labels.
    ///
    /// # Errors
    /// Unknown prompt or label set, or the model's own failure.
    pub async fn classify_for_guest(
        &self,
        prompt: &str,
        label_set: &str,
        text: &str,
    ) -> Result<HostAnswer, HostError> {
        let prompt = self.prompt(prompt)?;
        if label_set != prompt.name {
            return Err(HostError::Invalid(format!(
                "label set {label_set:?} is not declared: the kinds of prompt {0:?} are the label set {0:?}",
                prompt.name
            )));
        }
        let labels = prompt.labels().ok_or_else(|| {
            HostError::Invalid(format!("prompt {:?} declares no kinds", prompt.name))
        })?;
        let model = self.model_name(prompt.model.as_deref());
        let request = ClassifyRequest {
            prompt,
            tier: Tier::Unknown,
            values: PromptValues::default(),
            text: text.to_owned(),
            labels,
            threshold: self.threshold,
            within: GUEST_CLASSIFY,
        };
        self.ask(&model, request).await
    }

    /// Answers a guest's `model.complete`.
    ///
    /// # Errors
    /// Unknown prompt, or the model's own failure.
    pub async fn complete_for_guest(
        &self,
        prompt: &str,
        text: &str,
        max_tokens: u32,
    ) -> Result<HostAnswer, HostError> {
        let prompt = self.prompt(prompt)?;
        let backend = self
            .router
            .backend(&self.model_name(prompt.model.as_deref()))
            .map_err(to_host_error)?;
        let request = CompleteRequest {
            prompt,
            tier: Tier::Unknown,
            values: PromptValues::default(),
            text: text.to_owned(),
            max_tokens,
            within: GUEST_COMPLETE,
        };
        let completion = backend.complete(request).await.map_err(to_host_error)?;
        Ok(HostAnswer::Completion { text: completion.text, tokens: completion.usage.tokens })
    }

    /// The model that embeds where none is named.
    pub fn embedder_name(&self) -> String {
        self.model_name(Some(DEFAULT_EMBEDDER))
    }

    /// Answers a guest's `model.embed`.
    ///
    /// # Errors
    /// The model's own failure.
    pub async fn embed_for_guest(&self, text: &str) -> Result<HostAnswer, HostError> {
        let embedder = self.router.embedder(&self.embedder_name()).map_err(to_host_error)?;
        let request = EmbedRequest::of_message(text, GUEST_CLASSIFY);
        let embedding = embedder.embed(request).await.map_err(to_host_error)?;
        Ok(HostAnswer::Embedding(embedding.vector.to_vec()))
    }
}

#[async_trait]
impl Classifier for ModelQuestions {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        let prompt = self.prompt(question.asking.prompt)?;
        let labels = label_set(&prompt, question)?;
        let actions = actions_of(&prompt, &labels, question.asking.kinds);
        let values = placeholder_values(question);
        let text = question.envelope.body().to_owned();
        let rendered = prompt.render(question.tier, &values, &text, Some(&labels));
        let model = self.model_name(question.asking.model.or(prompt.model.as_deref()));
        let user_text = rendered.user_text();
        let input_digest = Digest::of_parts(&[
            prompt.hash.as_bytes(),
            rendered.system.as_bytes(),
            user_text.as_bytes(),
            rendered.cue.as_bytes(),
            &self.threshold.to_be_bytes(),
            &self.silence_threshold.to_be_bytes(),
        ]);
        Ok(PreparedQuestion {
            prompt_hash: prompt.hash.clone(),
            actions,
            silence_threshold: self.silence_threshold,
            input_digest,
            // The record keeps what the model was shown of the message, not
            // the message: that is what the answer depends on.
            request: HostRequest::ModelClassify {
                prompt: prompt.name.clone(),
                label_set: labels
                    .iter()
                    .map(|label| label.name.as_str())
                    .collect::<Vec<_>>()
                    .join(","),
                text: user_text,
            },
            rendered: Arc::new(ClassifyRequest {
                prompt,
                tier: question.tier,
                values,
                text,
                labels,
                threshold: self.threshold,
                within: self.timeout,
            }),
            model,
        })
    }

    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        self.ask(&question.model, ClassifyRequest::clone(&question.rendered)).await
    }
}

/// The kinds that the prompt declares; without any, what the question can lead
/// to: mostly the actions that the recipe declares.
fn label_set(prompt: &Prompt, question: &ModelQuestion<'_>) -> Result<Arc<LabelSet>, HostError> {
    prompt
        .labels_or_actions(question.declared)
        .map_err(|error| HostError::Invalid(format!("prompt {:?}: {error}", prompt.name)))
}

/// Each label's action: the recipe's word first, then the prompt's; a label
/// that is an action stands for itself.
fn actions_of(
    prompt: &Prompt,
    labels: &LabelSet,
    kinds: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|label| {
            let name = label.name.as_str();
            let action = kinds
                .get(name)
                .map(String::as_str)
                .or_else(|| prompt.action_of(name))
                .unwrap_or(name);
            (name.to_owned(), action.to_owned())
        })
        .collect()
}

fn placeholder_values(question: &ModelQuestion<'_>) -> PromptValues {
    let mut values = PromptValues::default();
    let envelope = question.envelope;
    // Stamps first: a field of the same name, which a sender may have chosen,
    // is what the bundled components show as well.
    values.set("envelope.id", envelope.id.clone());
    values.set("envelope.trigger", envelope.trigger.clone());
    values.set("envelope.source", envelope.source.clone());
    values.set("envelope.received_at", envelope.received_at.0.to_string());
    for field in &envelope.fields {
        values.set(format!("envelope.{}", field.name), field.value.clone());
    }
    for field in question.context {
        values.set(format!("context.{}", field.name), field.value.clone());
    }
    for field in question.gathered {
        let has_root = field.name.starts_with("inject.") || field.name.starts_with("filter.");
        let key = if has_root { field.name.clone() } else { format!("gather.{}", field.name) };
        values.set(key, field.value.clone());
    }
    for field in question.cascade {
        values.set(field.name.clone(), field.value.clone());
    }
    values
}

fn to_answer(classification: Classification) -> HostAnswer {
    HostAnswer::Classification {
        best: classification.best,
        abstained: classification.abstained,
        scores: classification.scores,
        tokens: classification.usage.tokens,
    }
}

fn to_host_error(error: ModelError) -> HostError {
    match error {
        ModelError::Overflow { waited_ms } => HostError::Unavailable(waited_ms),
        ModelError::Invalid(what) => HostError::Invalid(what),
        other => HostError::Failed(other.to_string()),
    }
}
