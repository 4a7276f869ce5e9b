//! A prompt filled in for one message.
//!
//! The result keeps apart, by type, what is ours and what is foreign: the
//! backend reads foreign parts with special tokens switched off and bounds them
//! on their own. No foreign text can be in `system`, because `system` is made
//! without looking at any.

use std::collections::BTreeMap;

use super::Prompt;
use super::message_text::one_line;
use super::template::{Piece, Root};
use crate::envelope::sender::Tier;
use crate::model::label_set::LabelSet;

/// A session id or a node id fits; a second message body does not.
const VALUE_LIMIT: usize = 120;

/// What the recipe gathered is asked for on purpose: a short list fits.
const GATHERED_LIMIT: usize = 400;

/// The fence; `one_line` keeps it out of everything foreign.
const FENCE: char = '"';

/// Values for placeholders, by `root.name`. What is missing renders empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptValues(BTreeMap<String, String>);

impl PromptValues {
    /// Adds a value, such as `envelope.msg_type`.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for PromptValues {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Self(values.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// A stretch of the user turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserPart {
    /// Written by the prompt's author or by us.
    Ours(String),
    /// Chosen by somebody else; cleaned and fenced, yet never to be believed.
    Foreign(String),
}

/// A prompt ready for a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedPrompt {
    /// The same for every message of a tier.
    pub system: String,
    pub user: Vec<UserPart>,
    /// What the answer begins with.
    pub cue: String,
}

impl RenderedPrompt {
    /// The user turn as one text, for traces and for backends that take text.
    pub fn user_text(&self) -> String {
        self.user
            .iter()
            .map(|part| match part {
                UserPart::Ours(text) | UserPart::Foreign(text) => text.as_str(),
            })
            .collect()
    }
}

impl Prompt {
    /// Fills the prompt in. `labels` adds the kinds' descriptions and the
    /// prompt's examples of them; without labels neither is shown.
    pub fn render(
        &self,
        tier: Tier,
        values: &PromptValues,
        message: &str,
        labels: Option<&LabelSet>,
    ) -> RenderedPrompt {
        let fill = Fill { prompt: self, tier, values, message };
        let lead = fill.constant(&self.template.lead);
        let mut system = fill.constant(&self.template.constant).trim_end().to_owned();
        if let Some(labels) = labels {
            self.describe(&mut system, labels);
            self.show_examples(&mut system, labels, &lead);
        }
        let mut user = vec![UserPart::Ours(lead)];
        for piece in &self.template.rest {
            fill.push(&mut user, piece);
        }
        if !self.template.rest.iter().any(|p| matches!(p, Piece::Slot(slot) if slot.is_body())) {
            push_ours(&mut user, "Message: ");
            fence(&mut user, one_line(message, self.body_limit));
        }
        RenderedPrompt { system, user, cue: self.cue.clone() }
    }

    fn describe(&self, system: &mut String, labels: &LabelSet) {
        for label in labels.iter().filter(|l| !l.describe.is_empty()) {
            system.push_str(&format!("\n- {}: {}", label.word, label.describe));
        }
    }

    fn show_examples(&self, system: &mut String, labels: &LabelSet, lead: &str) {
        for example in &self.examples {
            let Some(label) = labels.iter().find(|l| l.name == example.kind) else { continue };
            let text = one_line(&example.text, self.body_limit);
            let (cue, word) = (&self.cue, &label.word);
            system.push_str(&format!("\n\n{lead}{FENCE}{text}{FENCE}\n{cue} {word}"));
        }
    }
}

struct Fill<'a> {
    prompt: &'a Prompt,
    tier: Tier,
    values: &'a PromptValues,
    message: &'a str,
}

impl Fill<'_> {
    /// Text of pieces whose only placeholder is the tier; any other renders as
    /// nothing rather than into a constant part.
    fn constant(&self, pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Slot(slot) if slot.is_tier() => self.tier.as_str(),
                Piece::Slot(_) => "",
            })
            .collect()
    }

    fn push(&self, user: &mut Vec<UserPart>, piece: &Piece) {
        match piece {
            Piece::Text(text) => push_ours(user, text),
            Piece::Slot(slot) if slot.is_tier() => push_ours(user, self.tier.as_str()),
            Piece::Slot(slot) if slot.is_body() => {
                fence(user, one_line(self.message, self.prompt.body_limit));
            }
            Piece::Slot(slot) => {
                let value = self.values.get(&slot.key()).unwrap_or_default();
                let limit = if slot.root == Root::Gather { GATHERED_LIMIT } else { VALUE_LIMIT };
                fence(user, one_line(value, limit));
            }
        }
    }
}

fn fence(user: &mut Vec<UserPart>, text: String) {
    push_ours(user, &FENCE.to_string());
    user.push(UserPart::Foreign(text));
    push_ours(user, &FENCE.to_string());
}

fn push_ours(user: &mut Vec<UserPart>, text: &str) {
    match user.last_mut() {
        Some(UserPart::Ours(last)) => last.push_str(text),
        _ => user.push(UserPart::Ours(text.to_owned())),
    }
}
