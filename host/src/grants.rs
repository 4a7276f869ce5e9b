//! What the operator allows a recipe: `grants/NAME.toml`. Here are its nouns;
//! how the file is read is in `grants/parse.rs`, what an act needs in
//! `grants/need.rs`, whether a permission allows it in `grants/permissions.rs`,
//! which revision a grant covers in `grants/binding.rs`. Pure.
//!
//! Everything is denied that is not granted, but for `log` and `drop`, which
//! touch nothing but the journal. A key that is absent never means "all": it
//! means nothing, or the narrowest bound that its documentation names.

pub mod authority;
pub mod binding;
mod denial;
pub mod leaks;
pub mod need;
mod parse;
mod permissions;
pub mod plan;
mod render;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::ids::Digest;
use crate::operation::Operation;
use crate::recipes::{Mode, canonical};
use crate::stage::StageLimits;

pub use authority::Authority;
pub use denial::Denial;
pub use need::Need;
pub use parse::{file_name, keys, operation_keys, parse, parse_bytes};
pub use render::to_toml;

/// Interfaces that a component may import and that need a grant: those of
/// `wit/host.wit` without `log`.
pub const INTERFACES: [&str; 5] =
    ["context-read", "journal-read", "breaker-read", "model", "cockpit-read"];

/// Stands in a list for every value, where the operator really means that.
pub const ANY: &str = "*";

/// What may be shared between recipes instead of being a recipe's own.
pub const SHAREABLE: [&str; 3] = ["context", "flags", "breakers"];

/// Kinds whose number in an hour is bounded.
pub const HOURLY: [&str; 3] = ["wake", "reply", "mail"];

/// One recipe's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub recipe: String,
    /// The revision that it is for; see `grants/binding.rs`. A grant without
    /// one lets nothing run.
    pub binding: Option<Digest>,
    /// As written; what applies where nothing is written depends on the recipe.
    pub follow: Option<Follow>,
    /// How far the recipe may act, whatever its file says.
    pub mode: Mode,
    pub permissions: Permissions,
    /// Of what is granted; not of how the file is written.
    pub digest: Digest,
}

/// What happens to a grant when its recipe changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follow {
    /// The new revision waits for the operator.
    Exact,
    /// It goes on if what it can ask for stays inside the grant.
    SameOrNarrower,
}

impl Follow {
    pub const WORDS: [&'static str; 2] = ["exact", "same-or-narrower"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::SameOrNarrower => "same-or-narrower",
        }
    }
}

/// Everything that a grant gives, apart from the mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Permissions {
    pub imports: BTreeSet<String>,
    /// Of [`SHAREABLE`].
    pub shared: BTreeSet<String>,
    pub reads: Reads,
    pub operations: Operations,
    pub budget: Budget,
    pub limits: Limits,
}

/// Bounds of what may be read through a granted import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    pub journal: JournalScope,
    pub context: ContextScope,
    /// Beginnings of keys. `None`: any flag of the recipe's own.
    pub flags: Option<BTreeSet<String>>,
    /// Of the common ones; its own a recipe always sees.
    pub breakers: BTreeSet<String>,
    pub cockpit: BTreeSet<String>,
    pub prompts: BTreeSet<String>,
    pub models: BTreeSet<String>,
    pub gather: BTreeSet<String>,
}

/// Whose journal rows a recipe sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalScope {
    /// Those that it wrote itself.
    #[default]
    Own,
    /// Those of the present event's sender as well, whoever wrote them.
    Sender,
    All,
}

impl JournalScope {
    pub const WORDS: [&'static str; 3] = ["own", "sender", "all"];
    const ALL: [Self; 3] = [Self::Own, Self::Sender, Self::All];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Sender => "sender",
            Self::All => "all",
        }
    }
}

/// Whose context a recipe sees, or sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContextScope {
    /// That of the present event's session.
    #[default]
    Session,
    All,
}

impl ContextScope {
    pub const WORDS: [&'static str; 2] = ["session", "all"];
    const ALL: [Self; 2] = [Self::Session, Self::All];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::All => "all",
        }
    }
}

/// Which operations may be done, each within its bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Operations {
    /// Names of buffers.
    pub compile: Option<BTreeSet<String>>,
    /// Wakes an hour, those of a buffer that flushes included.
    pub wake: Option<u32>,
    pub reply: Option<ReplyBounds>,
    pub mail: Option<MailBounds>,
    pub skill: BTreeMap<String, SkillBounds>,
    pub set_context: Option<ContextScope>,
    /// Beginnings of keys.
    pub set_flag: Option<BTreeSet<String>>,
    pub trip_breaker: Option<BTreeSet<String>>,
    /// Names of the events that may be made.
    pub trigger: Option<BTreeSet<String>>,
    pub answer: Option<BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplyBounds {
    pub to: ReplyTo,
    pub body: ReplyBody,
    pub per_hour: u32,
}

/// To whom a reply may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyTo {
    /// The sender of the event itself.
    Sender,
    /// Also from an event that another one led to, to the first one's sender.
    Origin,
}

impl ReplyTo {
    pub const WORDS: [&'static str; 2] = ["sender", "origin"];
    const ALL: [Self; 2] = [Self::Sender, Self::Origin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Origin => "origin",
        }
    }
}

/// Where the words of a reply may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyBody {
    /// A template of the recipe's own file, filled for this event.
    Template,
    /// Also what the model wrote in this very run, unchanged.
    Model,
    Any,
}

impl ReplyBody {
    pub const WORDS: [&'static str; 3] = ["template", "model", "any"];
    const ALL: [Self; 3] = [Self::Template, Self::Model, Self::Any];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Model => "model",
            Self::Any => "any",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailBounds {
    /// Full node ids.
    pub nodes: BTreeSet<String>,
    pub per_hour: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkillBounds {
    /// Members that the input may have, each with the values that it may have.
    pub input: BTreeMap<String, BTreeSet<String>>,
    pub max_input_bytes: u32,
}

/// What a recipe may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Questions to the model in a day (UTC).
    pub model_calls_per_day: u32,
    pub model_tokens_per_run: u32,
    /// At most [`StageLimits::MAX_HOST_CALLS`].
    pub host_calls_per_run: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            model_calls_per_day: 2000,
            model_tokens_per_run: 4000,
            host_calls_per_run: StageLimits::MAX_HOST_CALLS,
        }
    }
}

/// What each call of a component may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// 1 to 128 MiB.
    pub memory_mib: u32,
    /// `None`: 50 million for filters and evaluators, 500 million for actions.
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: 16, fuel: None }
    }
}

impl Grant {
    pub fn new(
        recipe: &str,
        binding: Option<Digest>,
        follow: Option<Follow>,
        mode: Mode,
        permissions: Permissions,
    ) -> Self {
        let content = serde_json::json!({
            "recipe": binding, "follow": follow, "mode": mode, "permissions": &permissions,
        });
        let digest = Digest::of_parts(&[
            b"thrall grant 2",
            recipe.as_bytes(),
            canonical::text(&content).as_bytes(),
        ]);
        Self { recipe: recipe.to_owned(), binding, follow, mode, permissions, digest }
    }

    /// The grant of a recipe that has none: manual mode, and nothing but `log`
    /// and `drop`.
    pub fn nothing(recipe: &str) -> Self {
        Self::new(recipe, None, None, Mode::Manual, Permissions::default())
    }

    /// Whether the grant allows what a need stands for.
    ///
    /// # Errors
    /// The line that is missing from the file.
    pub fn allow(&self, need: &Need<'_>) -> Result<(), Denial> {
        if self.permissions.allows(need) {
            return Ok(());
        }
        Err(Denial::missing(&self.recipe, &self.permissions, need))
    }

    /// How many operations of a kind may be done in an hour; `None` where the
    /// kind has no such bound.
    pub fn per_hour(&self, kind: &str) -> Option<u32> {
        let operations = &self.permissions.operations;
        match kind {
            "wake" => Some(operations.wake.unwrap_or(0)),
            "reply" => Some(operations.reply.as_ref().map_or(0, |reply| reply.per_hour)),
            "mail" => Some(operations.mail.as_ref().map_or(0, |mail| mail.per_hour)),
            _ => None,
        }
    }
}

/// A compile with a threshold or keywords wakes the agent when it flushes, so
/// it needs the grant for that as well.
pub fn can_wake(operation: &Operation) -> bool {
    match operation {
        Operation::Wake { .. } => true,
        Operation::Compile { summon_threshold, summon_keywords, .. } => {
            *summon_threshold > 0 || !summon_keywords.is_empty()
        }
        _ => false,
    }
}
