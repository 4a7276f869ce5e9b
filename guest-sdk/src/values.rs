//! Short ways to make and read the shared records.

use crate::{Envelope, Field, HostError, Situation, Tier, Verdict};

impl Field {
    /// A field of this name and value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Envelope {
    /// The value of a field; `None` if the event has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        value_of(&self.fields, name)
    }
}

impl Situation {
    /// A live context row of the envelope's session.
    #[must_use]
    pub fn context(&self, key: &str) -> Option<&str> {
        value_of(&self.context, key)
    }

    /// What the gather stage fetched under this name.
    #[must_use]
    pub fn gathered(&self, name: &str) -> Option<&str> {
        value_of(&self.gathered, name)
    }
}

impl Verdict {
    /// A rule's verdict: without confidence, without fields.
    #[must_use]
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into(), confidence: None, fields: Vec::new() }
    }

    /// The value of a verdict's field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        value_of(&self.fields, name)
    }
}

impl Tier {
    /// The tier as it is written in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
        }
    }
}

impl HostError {
    /// The refusal as a sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Denied(grant) => ["not granted: ", grant].concat(),
            Self::Budget(budget) => ["budget spent: ", budget].concat(),
            Self::Unavailable(wait_ms) => {
                ["not available, try again in ", &wait_ms.to_string(), " ms"].concat()
            }
            Self::Invalid(what) => ["not a valid question: ", what].concat(),
            Self::Failed(what) => ["the host failed: ", what].concat(),
        }
    }
}

/// Lets a recipe pass a refusal on with `?`.
impl From<HostError> for String {
    fn from(error: HostError) -> Self {
        error.message()
    }
}

/// An event of trigger `on_mail` without fields: a start for a test.
impl Default for Envelope {
    fn default() -> Self {
        Self {
            id: String::new(),
            trigger: "on_mail".into(),
            source: String::new(),
            parent: None,
            depth: 0,
            received_at: 0,
            fields: Vec::new(),
        }
    }
}

/// An unknown sender at time 0, with empty tables: a start for a test.
impl Default for Situation {
    fn default() -> Self {
        Self {
            now: 0,
            seed: 0,
            tier: Tier::Unknown,
            context: Vec::new(),
            gathered: Vec::new(),
            config: r#"{"stage":{},"config":{}}"#.into(),
        }
    }
}

fn value_of<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}
