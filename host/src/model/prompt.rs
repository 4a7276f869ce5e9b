//! A prompt as an operator writes it: `prompts/NAME.toml`, or the plain text
//! of the earlier thrall. Pure: text in, checked prompt out.
//!
//! A prompt's text has two sides. What stands before the line of the first
//! placeholder that a sender can influence is constant (per tier) and becomes
//! the system turn; the rest becomes the user turn, with everything foreign in
//! it delimited (`render`). The placeholder grammar is in `template`; keeping
//! prompts by name, and which version is active, in `prompt_library`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::label_set::{Label, LabelSet, LabelSetError};
use crate::ids::{Digest, is_valid_name};

pub mod message_text;
pub mod render;
pub mod template;

pub use render::{PromptValues, RenderedPrompt, UserPart};
use template::{Template, TemplateError};

/// Characters of a message that the model sees, unless the prompt says otherwise.
pub const DEFAULT_BODY_LIMIT: usize = 800;

/// A prompt is a page; more is a mistake or an attack on the loader's memory.
pub const MAX_PROMPT_BYTES: usize = 256 * 1024;

/// A prompt with a larger limit would let one message fill the model's context.
const MAX_BODY_LIMIT: usize = 8000;

/// Examples are processed once per tier, but every message attends to them.
const MAX_EXAMPLES: usize = 64;

/// What the label follows if the prompt does not say.
const DEFAULT_CUE: &str = "Kind:";

/// The answer form that the earlier prompts ask for; the label stands in it.
const JSON_CUE: &str = "{\"action\":\"";

/// How a prompt is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptForm {
    /// A prompt file.
    Toml,
    /// Bare text, as the earlier thrall took it.
    Text,
}

impl PromptForm {
    pub const WORDS: [&'static str; 2] = ["toml", "text"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Text => "text",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "toml" => Some(Self::Toml),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// A checked prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    pub name: String,
    pub version: Option<String>,
    /// The model its author had in mind; a recipe's own choice goes first.
    pub model: Option<String>,
    /// First 16 hex characters of SHA-256 of the text as it was loaded.
    pub hash: String,
    /// The same of the converted text, for a prompt in the earlier form.
    pub converted_hash: Option<String>,
    /// Characters of a message that reach the model.
    pub body_limit: usize,
    /// Kinds of message with their default actions; may be empty.
    pub kinds: Vec<Kind>,
    pub examples: Vec<Example>,
    /// What the model's answer begins with; the label follows it.
    pub cue: String,
    template: Template,
    labels: Option<Arc<LabelSet>>,
}

/// One kind of message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    pub name: String,
    /// What a recipe does with it unless its `[evaluate.kinds]` says otherwise.
    pub action: String,
    /// What the model is asked to say for it, where a plainer word than the
    /// name is read better: small models hardly ever say `acknowledgement`.
    #[serde(default)]
    pub word: Option<String>,
    /// A few words for the model.
    #[serde(default)]
    pub describe: String,
}

/// A message with its kind, shown to the model as a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub kind: String,
    pub text: String,
}

/// Why a text is not a prompt.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PromptError {
    #[error("prompt file is not valid: {0}")]
    Toml(String),
    #[error("prompt name `{0}` is not usable: use lower-case letters, digits, `-` and `_`")]
    Name(String),
    /// The first words are those that the earlier thrall answered with.
    #[error("content required: that of prompt `{name}` is empty")]
    Empty { name: String },
    #[error("it has {0} bytes, a prompt has at most {MAX_PROMPT_BYTES}")]
    TooLarge(usize),
    #[error("line {line}: {what}; of control characters only line breaks and tabs are taken")]
    Control { line: usize, what: String },
    #[error(
        "prompt `{name}`: kind `{kind}` leads to `{action}`, which is no action's name: use lower-case letters, digits, `-` and `_`"
    )]
    KindAction { name: String, kind: String, action: String },
    #[error("prompt `{name}`: {source}")]
    Template { name: String, source: TemplateError },
    #[error("prompt `{name}`, kinds: {source}")]
    Kinds { name: String, source: LabelSetError },
    #[error("prompt `{name}`: an example names kind `{kind}`, which [[kinds]] does not declare")]
    ExampleKind { name: String, kind: String },
    #[error("prompt `{name}`: {what}")]
    Bound { name: String, what: String },
    /// The words that the earlier thrall answered with; scripts look for them.
    #[error("prompt must contain {{tier}} placeholder")]
    NoTier,
    #[error(
        "prompt `{name}` has no placeholder for the message text: write `{{{{envelope.body_text}}}}` where it belongs, or the field of the event that holds it"
    )]
    NoMessage { name: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    model: Option<String>,
    content: String,
    #[serde(default)]
    body_limit: Option<usize>,
    #[serde(default)]
    cue: Option<String>,
    #[serde(default)]
    kinds: Vec<Kind>,
    #[serde(default)]
    examples: Vec<Example>,
}

impl PromptFile {
    /// Everything in it that people or models are shown.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let kinds = self.kinds.iter().flat_map(|kind| {
            let word = kind.word.as_deref().unwrap_or_default();
            [kind.name.as_str(), kind.action.as_str(), kind.describe.as_str(), word]
        });
        let examples = self.examples.iter().map(|example| example.text.as_str());
        let other = [self.version.as_deref(), self.model.as_deref(), self.cue.as_deref()];
        std::iter::once(self.content.as_str())
            .chain(kinds)
            .chain(examples)
            .chain(other.into_iter().flatten())
    }
}

/// A text of a prompt's size, without characters that nobody sees.
fn check_characters(text: &str) -> Result<(), PromptError> {
    if text.len() > MAX_PROMPT_BYTES {
        return Err(PromptError::TooLarge(text.len()));
    }
    let is_strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let Some((at, strange)) = text.char_indices().find(|(_, c)| is_strange(*c)) else {
        return Ok(());
    };
    let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let what = match strange {
        '\0' => "a NUL character".to_owned(),
        other => format!("the control character U+{:04X}", u32::from(other)),
    };
    Err(PromptError::Control { line, what })
}

impl Prompt {
    /// Reads a prompt file. Its hash covers the whole file, kinds and examples
    /// included, so that `sha256sum` of the file shows the same.
    ///
    /// # Errors
    /// [`PromptError`], naming the line for a TOML error and the nearest word
    /// for an unknown placeholder.
    pub fn from_toml(text: &str) -> Result<Self, PromptError> {
        check_characters(text)?;
        let file: PromptFile =
            toml::from_str(text).map_err(|e| PromptError::Toml(e.to_string()))?;
        Self::checked(file, text)
    }

    /// Reads a prompt's bare text, as the earlier thrall's `thrall-prompt-load`
    /// took it.
    ///
    /// # Errors
    /// As for [`Prompt::from_toml`].
    pub fn from_text(name: &str, content: &str) -> Result<Self, PromptError> {
        check_characters(content)?;
        let file = PromptFile {
            name: name.to_owned(),
            version: None,
            model: None,
            content: content.to_owned(),
            body_limit: None,
            cue: None,
            kinds: Vec::new(),
            examples: Vec::new(),
        };
        Self::checked(file, content)
    }

    /// Reads a prompt in either form. A name that is given goes before the one
    /// that a file declares.
    ///
    /// # Errors
    /// As for [`Prompt::from_toml`]; bare text without a name is called "".
    pub fn read(form: PromptForm, name: Option<&str>, text: &str) -> Result<Self, PromptError> {
        let prompt = match (form, name) {
            (PromptForm::Text, name) => return Self::from_text(name.unwrap_or_default(), text),
            (PromptForm::Toml, None) => return Self::from_toml(text),
            (PromptForm::Toml, Some(_)) => Self::from_toml(text)?,
        };
        match name {
            Some(name) if is_valid_name(name) => Ok(Self { name: name.to_owned(), ..prompt }),
            other => Err(PromptError::Name(other.unwrap_or_default().to_owned())),
        }
    }

    fn checked(file: PromptFile, loaded: &str) -> Result<Self, PromptError> {
        let name = file.name.clone();
        if !is_valid_name(&name) {
            return Err(PromptError::Name(name));
        }
        if file.content.trim().is_empty() {
            return Err(PromptError::Empty { name });
        }
        // What escapes of TOML stand for, too.
        for text in file.texts() {
            check_characters(text)?;
        }
        let body_limit = file.body_limit.unwrap_or(DEFAULT_BODY_LIMIT);
        if !(1..=MAX_BODY_LIMIT).contains(&body_limit) {
            let what = format!("body_limit {body_limit} is outside 1 to {MAX_BODY_LIMIT}");
            return Err(PromptError::Bound { name, what });
        }
        if file.examples.len() > MAX_EXAMPLES {
            let what = format!("{} examples; at most {MAX_EXAMPLES}", file.examples.len());
            return Err(PromptError::Bound { name, what });
        }
        if let Some(stray) = file.examples.iter().find(|e| !has_kind(&file.kinds, &e.kind)) {
            return Err(PromptError::ExampleKind { name, kind: stray.kind.clone() });
        }
        if let Some(kind) = file.kinds.iter().find(|kind| !is_valid_name(&kind.action)) {
            let (kind, action) = (kind.name.clone(), kind.action.clone());
            return Err(PromptError::KindAction { name, kind, action });
        }
        let labels = kinds_as_labels(&file.kinds)
            .map_err(|source| PromptError::Kinds { name: name.clone(), source })?;
        let parsed = Template::parse(&file.content)
            .map_err(|source| PromptError::Template { name: name.clone(), source })?;
        let cue = file.cue.unwrap_or_else(|| default_cue(&parsed.template).to_owned());
        Ok(Self {
            name,
            version: file.version,
            model: file.model,
            hash: prompt_hash(loaded),
            converted_hash: parsed.converted.as_deref().map(prompt_hash),
            body_limit,
            kinds: file.kinds,
            examples: file.examples,
            cue,
            template: parsed.template,
            labels,
        })
    }

    /// Whether the operator may activate this prompt: a verdict that cannot
    /// depend on the sender's tier was the commonest mistake.
    ///
    /// # Errors
    /// [`PromptError::NoTier`] without a tier placeholder,
    /// [`PromptError::NoMessage`] without one for the message. The earlier form
    /// has none for it: there the message follows the text.
    pub fn check_loadable(&self) -> Result<(), PromptError> {
        if !self.template.names_tier() {
            return Err(PromptError::NoTier);
        }
        let is_earlier = self.converted_hash.is_some();
        if is_earlier || self.template.slots().any(template::Slot::may_hold_message) {
            Ok(())
        } else {
            Err(PromptError::NoMessage { name: self.name.clone() })
        }
    }

    /// What it asks to be filled in, as `root.name`.
    pub fn placeholders(&self) -> Vec<String> {
        let mut names: Vec<String> = self.template.slots().map(template::Slot::key).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The label set of the prompt's kinds, if it declares any.
    pub fn labels(&self) -> Option<Arc<LabelSet>> {
        self.labels.clone()
    }

    /// The labels to choose from: the prompt's kinds; without kinds those of
    /// the recipe's actions that the prompt's text speaks of, or all of them if
    /// it speaks of fewer than two.
    ///
    /// # Errors
    /// [`LabelSetError`] if no valid set comes of it.
    pub fn labels_or_actions(&self, actions: &[&str]) -> Result<Arc<LabelSet>, LabelSetError> {
        if let Some(labels) = self.labels() {
            return Ok(labels);
        }
        let named: Vec<&str> =
            actions.iter().copied().filter(|a| self.template.mentions(a)).collect();
        let chosen = if named.len() < 2 { actions } else { named.as_slice() };
        LabelSet::of_names(chosen).map(Arc::new)
    }

    /// The action that a kind leads to unless the recipe says otherwise.
    pub fn action_of(&self, kind: &str) -> Option<&str> {
        self.kinds.iter().find(|k| k.name == kind).map(|k| k.action.as_str())
    }
}

fn has_kind(kinds: &[Kind], name: &str) -> bool {
    kinds.iter().any(|k| k.name == name)
}

fn kinds_as_labels(kinds: &[Kind]) -> Result<Option<Arc<LabelSet>>, LabelSetError> {
    if kinds.is_empty() {
        return Ok(None);
    }
    let label = |k: &Kind| Label {
        name: k.name.clone(),
        word: k.word.as_ref().unwrap_or(&k.name).clone(),
        describe: k.describe.clone(),
    };
    LabelSet::new(kinds.iter().map(label).collect()).map(|set| Some(Arc::new(set)))
}

fn default_cue(template: &Template) -> &'static str {
    if template.mentions_text("{\"action\":") { JSON_CUE } else { DEFAULT_CUE }
}

/// The short name of a prompt's text: first 16 hex characters of its SHA-256.
pub fn prompt_hash(text: &str) -> String {
    Digest::of(text.as_bytes()).short()
}

#[cfg(test)]
mod tests;
