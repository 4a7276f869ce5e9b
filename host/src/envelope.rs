//! The one input type: an immutable event as it was accepted. How its JSON
//! forms are read is in `envelope/json.rs`, how a sender is judged in
//! `envelope/sender.rs`, how a mail body becomes text in `envelope/body.rs`,
//! how a recipe's trigger becomes an event in `envelope/descent.rs`, how a
//! skill's answer does in `envelope/result_event.rs`, how a line of a log does
//! in `envelope/log_line.rs`, what of a text a person sees in `envelope/visible_text.rs`.

pub mod automatic;
pub mod body;
pub mod descent;
pub mod json;
pub mod log_line;
pub mod log_template;
pub mod result_event;
pub mod sender;
pub mod visible_text;

use serde::{Deserialize, Serialize};

use crate::clock::TimestampMs;
use crate::ids::EnvelopeSeq;

/// Bounds on what is accepted; beyond them an event is refused with a reason
/// and counted, and leaves no row.
pub mod limits {
    /// Names and values of all fields together, in bytes.
    pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;
    /// Enough for every trigger of the design and a log line's match groups.
    pub const MAX_FIELDS: usize = 64;
    pub const MAX_NAME_BYTES: usize = 128;
    pub const MAX_ID_BYTES: usize = 256;
    /// How deep JSON may nest before it is refused, so that nothing recurses.
    pub const MAX_JSON_DEPTH: usize = 32;
    /// Events on the way from one that a source brought to one that recipes
    /// triggered, the last included.
    pub const MAX_TRIGGER_DEPTH: u8 = 4;
    /// Events that one that a source brought may lead to in all.
    pub const MAX_DESCENDANTS: u32 = 16;
}

/// Triggers that only the host itself makes; no source brings them.
pub const HOST_TRIGGERS: [&str; 3] = ["on_tick", "on_result", "on_action"];

/// Triggers that ask: somebody waits for `pass`, `redact` or `block`.
pub const QUESTIONS: [&str; 2] = [MAIL_SEND, SKILL_REQUEST];

/// The question whether a mail may leave, to `to_node`.
pub const MAIL_SEND: &str = "on_mail_send";

/// The question that names in `caller_node` who asks.
pub const SKILL_REQUEST: &str = "on_skill_request";

/// One named value of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub value: String,
}

impl Field {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One event. Never changed after acceptance; stages see it by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: String,
    pub trigger: String,
    /// The declared source that brought it; stamped by the host.
    pub source: String,
    pub parent: Option<String>,
    pub depth: u8,
    pub received_at: TimestampMs,
    /// Where an event that a recipe triggered descends from; `None` for what a
    /// source brought.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub root: Option<RootEvent>,
    /// Recipes on the way from the root, the one that triggered this event
    /// last. What it may lead to is bounded by the grants of all of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lineage: Vec<String>,
    /// Sorted by name; names are unique.
    pub fields: Vec<Field>,
}

/// The event, brought by a source, at the beginning of a chain of triggers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEvent {
    pub seq: EnvelopeSeq,
    /// What it may say about its sender holds for all that descend from it.
    pub source: String,
}

/// The field that names the sender of a trigger's events.
pub fn sender_field(trigger: &str) -> &'static str {
    if trigger == SKILL_REQUEST { "caller_node" } else { "from_node" }
}

impl Envelope {
    /// An event without content, for questions that are about none.
    pub fn blank() -> Self {
        Self {
            id: String::new(),
            trigger: String::new(),
            source: String::new(),
            parent: None,
            depth: 0,
            received_at: TimestampMs(0),
            root: None,
            lineage: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// The source whose word about the sender counts: the root's, because the
    /// host only passes the sender on.
    pub fn vouching_source(&self) -> &str {
        self.root.as_ref().map_or(&self.source, |root| &root.source)
    }

    /// Whose event it is, as far as it says so: of a question for a skill who
    /// calls it, of all others who wrote.
    pub fn sender(&self) -> Option<&str> {
        self.field(sender_field(&self.trigger))
    }

    /// Whether somebody waits for an answer to it.
    pub fn is_question(&self) -> bool {
        QUESTIONS.contains(&self.trigger.as_str())
    }

    /// A field's value, `None` where the field is absent.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// A field's value, empty where the field is absent.
    pub fn text(&self, name: &str) -> &str {
        self.field(name).unwrap_or_default()
    }

    /// What the event is about: of a mail its body, of a line of a log the line.
    pub fn body(&self) -> &str {
        self.text(if self.trigger == log_line::TRIGGER { log_line::LINE } else { "body_text" })
    }

    /// Events of one lane keep their order; lanes run side by side.
    pub fn lane(&self) -> String {
        self.lane_of(&self.source, &self.trigger)
    }

    /// The lane of events that recipes trigger on this one.
    pub fn children_lane(&self) -> String {
        self.lane_of(descent::SOURCE, descent::TRIGGER)
    }

    /// Under what its sender is counted; empty where it has none.
    pub fn sender_key(&self) -> String {
        self.sender().map(sender::sender_key).unwrap_or_default()
    }

    fn lane_of(&self, source: &str, trigger: &str) -> String {
        match self.sender() {
            Some(sender) => format!("{source}/{}", sender::sender_key(sender)),
            // A file that is written to without end does not hold up the others.
            None if trigger == log_line::TRIGGER => {
                format!("{source}/{trigger}/{}", self.text(log_line::SOURCE_FILE))
            }
            None => format!("{source}/{trigger}/{}", self.text("session_id")),
        }
    }
}
