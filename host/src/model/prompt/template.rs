//! The placeholder grammar of prompts: `{{root.name}}`.
//!
//! Parsed once, when a prompt is loaded. A value put in for a placeholder is
//! never looked at again, so text that contains placeholders stays text.

use thiserror::Error;

use crate::ids::nearest;

/// What a placeholder may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    Envelope,
    Filter,
    Context,
    Gather,
    Inject,
    /// What the first step of a cascade said.
    Cascade,
}

const ROOTS: [(&str, Root); 6] = [
    ("envelope", Root::Envelope),
    ("filter", Root::Filter),
    ("context", Root::Context),
    ("gather", Root::Gather),
    ("inject", Root::Inject),
    ("cascade", Root::Cascade),
];

/// What the filter stage and a cascade's first step say; other roots have open
/// names.
const FILTER_NAMES: [&str; 2] = ["tier", "decision"];
const CASCADE_NAMES: [&str; 2] = ["action", "reason"];

/// Fields of the event that say whose it is and where it belongs.
const HEADERS: [&str; 10] = [
    "from_node",
    "to_node",
    "msg_type",
    "session_id",
    "message_id",
    "reply_to",
    "id",
    "trigger",
    "source",
    "received_at",
];

/// One placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub root: Root,
    pub name: String,
}

impl Slot {
    /// The key of its value: `root.name`.
    pub fn key(&self) -> String {
        let root = ROOTS.iter().find(|(_, r)| *r == self.root).map_or("", |(word, _)| word);
        format!("{root}.{}", self.name)
    }

    /// Whether it is the message itself.
    pub fn is_body(&self) -> bool {
        self.root == Root::Envelope && matches!(self.name.as_str(), "body_text" | "body_json")
    }

    /// Whether what somebody wrote can stand there: any field of the event but
    /// those that say whose it is, and what a recipe put beside it.
    pub fn may_hold_message(&self) -> bool {
        match self.root {
            Root::Envelope => !HEADERS.contains(&self.name.as_str()),
            Root::Inject | Root::Gather => true,
            Root::Filter | Root::Context | Root::Cascade => false,
        }
    }

    /// The one value that is the host's own word. Everything else can hold
    /// text that a sender, a file or a component chose; unknown names count as
    /// foreign, so a new field is safe before anybody thinks of it.
    pub fn is_tier(&self) -> bool {
        self.root == Root::Filter && self.name == "tier"
    }
}

/// A stretch of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Slot(Slot),
}

/// A parsed prompt text, cut in three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Whole lines before the first foreign placeholder: constant per tier.
    pub constant: Vec<Piece>,
    /// What stands before that placeholder in its line; constant as well.
    pub lead: Vec<Piece>,
    /// From the first foreign placeholder on. Empty if there is none.
    pub rest: Vec<Piece>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error(
        "line {line}: unknown placeholder `{{{{{written}}}}}`{hint}; placeholders begin with \
         envelope, filter, context, gather, inject or cascade, as in `{{{{envelope.body_text}}}}`"
    )]
    Unknown { line: usize, written: String, hint: String },
    #[error("line {line}: a `{{{{` is never closed; write `{{{{root.name}}}}`")]
    Unclosed { line: usize },
    #[error(
        "line {line}: a single `{{` or `}}` in a text of the earlier form; double it, or use only `{{tier}}`"
    )]
    SingleBrace { line: usize },
}

/// A template, and the text that it was converted to if it came in the earlier form.
pub struct Parsed {
    pub template: Template,
    pub converted: Option<String>,
}

impl Template {
    /// # Errors
    /// [`TemplateError`] with the line, and the nearest placeholder if one is near.
    pub fn parse(content: &str) -> Result<Parsed, TemplateError> {
        let converted = if is_earlier_form(content) { Some(convert(content)?) } else { None };
        // Converted text may hold `{{` that the author meant literally, so its
        // pieces are cut at our marker for the tier and nowhere else.
        let pieces = match &converted {
            Some(_) => pieces_of_earlier_form(content)?,
            None => pieces(content)?,
        };
        Ok(Parsed { template: cut(pieces), converted })
    }

    pub fn names_tier(&self) -> bool {
        self.slots().any(Slot::is_tier)
    }

    /// Whether the constant text contains a word, as a word of its own.
    pub fn mentions(&self, word: &str) -> bool {
        self.texts().any(|text| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|w| w == word)
        })
    }

    pub fn mentions_text(&self, part: &str) -> bool {
        self.texts().any(|text| text.contains(part))
    }

    fn all(&self) -> impl Iterator<Item = &Piece> {
        self.constant.iter().chain(&self.lead).chain(&self.rest)
    }

    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.all().filter_map(|p| if let Piece::Slot(slot) = p { Some(slot) } else { None })
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.all()
            .filter_map(|p| if let Piece::Text(text) = p { Some(text.as_str()) } else { None })
    }
}

/// The earlier form marks the tier with `{tier}` and doubles all other braces.
fn is_earlier_form(content: &str) -> bool {
    content.match_indices("{tier}").any(|(at, _)| {
        let before = content.get(..at).unwrap_or_default();
        let opened = before.len() - before.trim_end_matches('{').len();
        opened % 2 == 0
    })
}

fn convert(content: &str) -> Result<String, TemplateError> {
    let pieces = pieces_of_earlier_form(content)?;
    Ok(pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Slot(slot) => format!("{{{{{}}}}}", slot.key()),
        })
        .collect())
}

fn pieces_of_earlier_form(content: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = content;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{") {
            text.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            text.push('}');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{tier}") {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Slot(Slot { root: Root::Filter, name: "tier".to_owned() }));
            rest = after;
        } else if matches!(next, '{' | '}') {
            return Err(TemplateError::SingleBrace { line: line_of(content, rest) });
        } else {
            text.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn pieces(content: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = content;
    while let Some((before, opened)) = rest.split_once("{{") {
        let line = line_of(content, opened);
        let (inside, after) = opened.split_once("}}").ok_or(TemplateError::Unclosed { line })?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Slot(slot(inside.trim(), line)?));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn slot(written: &str, line: usize) -> Result<Slot, TemplateError> {
    let is_known_name = |root: Root, name: &str| match root {
        Root::Filter => FILTER_NAMES.contains(&name),
        Root::Cascade => CASCADE_NAMES.contains(&name),
        _ => {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        }
    };
    // What the host puts beside the event was once written as a part of it.
    let path = match written.strip_prefix("envelope.") {
        Some(inner) if inner.starts_with("gather.") || inner.starts_with("inject.") => inner,
        _ => written,
    };
    if let Some((word, name)) = path.split_once('.')
        && let Some((_, root)) = ROOTS.iter().find(|(known, _)| *known == word)
        && is_known_name(*root, name)
    {
        return Ok(Slot { root: *root, name: name.to_owned() });
    }
    // Long text between braces is somebody's JSON, not a misspelt word.
    let written: String = written.chars().take(60).collect();
    let hint = hint(&written);
    Err(TemplateError::Unknown { line, written, hint })
}

fn hint(written: &str) -> String {
    const KNOWN: [&str; 10] = [
        "envelope.from_node",
        "envelope.to_node",
        "envelope.msg_type",
        "envelope.body_text",
        "envelope.body_json",
        "envelope.session_id",
        "filter.tier",
        "filter.decision",
        "cascade.action",
        "cascade.reason",
    ];
    let by_name = KNOWN.into_iter().find(|k| k.split_once('.').is_some_and(|(_, n)| n == written));
    by_name
        .or_else(|| nearest(written, KNOWN))
        .map(|n| format!(", did you mean `{{{{{n}}}}}`?"))
        .unwrap_or_default()
}

/// The line, from 1, at which `rest`, an end of `content`, begins.
fn line_of(content: &str, rest: &str) -> usize {
    let before = content.get(..content.len().saturating_sub(rest.len())).unwrap_or_default();
    before.matches('\n').count() + 1
}

fn cut(pieces: Vec<Piece>) -> Template {
    let is_foreign = |p: &Piece| matches!(p, Piece::Slot(slot) if !slot.is_tier());
    let first = pieces.iter().position(is_foreign).unwrap_or(pieces.len());
    let mut constant = pieces;
    let rest = constant.split_off(first);
    if rest.is_empty() {
        return Template { constant, lead: Vec::new(), rest };
    }
    let mut lead = Vec::new();
    while let Some(piece) = constant.pop() {
        if let Piece::Text(text) = &piece
            && let Some(end) = text.rfind('\n')
        {
            let (kept, moved) = text.split_at(end + 1);
            lead.insert(0, Piece::Text(moved.to_owned()));
            constant.push(Piece::Text(kept.to_owned()));
            break;
        }
        lead.insert(0, piece);
    }
    Template { constant, lead, rest }
}
