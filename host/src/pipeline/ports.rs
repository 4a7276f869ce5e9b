//! What a run may ask of the outside world. Live runs answer from the store
//! and the model service, dry runs and replays from a recorded row: the
//! pipeline cannot tell the difference.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::breakers::Stopped;
use crate::clock::{TimestampMs, Window};
use crate::envelope::sender::Tier;
use crate::envelope::{Envelope, Field};
use crate::grants::{Authority, need};
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::CachedVerdict;
use crate::recipes::Asking;
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{HostAnswer, HostError, HostRequest, Sandbox};

/// The host's facts could not be read; nothing may be decided on a guess.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {cause}")]
pub struct FactError {
    pub what: &'static str,
    pub cause: String,
}

/// Indexed state that the host's own filter stages look at.
pub trait Facts: Send + Sync {
    /// When the cooldown was last set.
    ///
    /// # Errors
    /// When the store cannot be read; so for all of these.
    fn cooldown_last(&self, recipe: &str, key: &str) -> Result<Option<TimestampMs>, FactError>;

    /// Counted runs of `recipe` for this sender in `window`, at most `cap`.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn rate_count(
        &self,
        recipe: &str,
        sender_key: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError>;

    /// Operations of a kind that a recipe had done in `window`, at most `cap`; of
    /// [`EVERYBODY`], all that were done.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn operation_count(
        &self,
        recipe: &str,
        kind: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError>;

    /// What a sender has caused lately; `session` is a
    /// [`counted one`](crate::sender_limits::loops::counted_session). What the event
    /// `root` led to so far is no other answer than the one that is asked about.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn sender_history(
        &self,
        sender_key: &str,
        session: &str,
        root: EnvelopeSeq,
        now: TimestampMs,
    ) -> Result<SenderHistory, FactError>;

    /// A model's verdict kept under this key and not yet expired.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn cached(&self, key: &Digest, now: TimestampMs) -> Result<Option<CachedVerdict>, FactError>;

    /// Live context of a sender's session in a namespace: a recipe's own, or the
    /// common one. Without a sender, that of all.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn context(
        &self,
        namespace: &str,
        sender_key: Option<&str>,
        session: &str,
        now: TimestampMs,
    ) -> Result<Vec<Field>, FactError>;

    /// Events that recipes triggered below the root event `root`.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn descendants(&self, root: EnvelopeSeq) -> Result<u32, FactError>;

    /// The first of these targets whose breaker stands.
    ///
    /// # Errors
    /// See [`Facts::cooldown_last`].
    fn breaker(
        &self,
        targets: &[Cow<'static, str>],
        now: TimestampMs,
    ) -> Result<Option<Stopped>, FactError>;
}

/// Who asks, about which event, in which namespaces.
#[derive(Clone, Debug)]
pub struct Scope {
    pub recipe: String,
    pub session: String,
    pub from_node: String,
    /// The event was made by another one.
    pub is_descendant: bool,
    pub now: TimestampMs,
    /// Whose context and flags are meant: the recipe's own, or [`COMMON`].
    pub context_namespace: String,
    /// Under which sender's key: the event's own, or `None` for that of all.
    pub context_sender: Option<String>,
    pub flag_namespace: String,
}

/// In the place of a recipe's name: whoever it was.
pub const EVERYBODY: &str = "";

/// The namespace of what recipes share. No recipe can have this name.
pub const COMMON: &str = "";

impl Scope {
    pub fn new(recipe: &str, envelope: &Envelope, authority: &Authority, now: TimestampMs) -> Self {
        let namespace =
            |what: &str| if authority.shares(what) { COMMON } else { recipe }.to_owned();
        Self {
            recipe: recipe.to_owned(),
            session: envelope.text("session_id").to_owned(),
            from_node: envelope.sender().unwrap_or_default().to_owned(),
            is_descendant: envelope.depth > 0,
            now,
            context_namespace: namespace("context"),
            context_sender: (!authority.sees_all_context()).then(|| envelope.sender_key()),
            flag_namespace: namespace("flags"),
        }
    }

    /// What a need is judged by.
    pub fn as_situation(&self) -> need::Situation<'_> {
        need::Situation {
            recipe: &self.recipe,
            session: &self.session,
            from_node: &self.from_node,
            is_descendant: self.is_descendant,
        }
    }

    /// A breaker's target as the host knows it: recipes that share none have
    /// their own under their name.
    pub fn breaker_target(&self, authority: &Authority, target: &str) -> String {
        if authority.shares("breakers") {
            target.to_owned()
        } else {
            format!("{}:{target}", self.recipe)
        }
    }
}

/// Answers the questions of guests, after they were authorised.
#[async_trait]
pub trait Answers: Send + Sync {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError>;

    /// The model that a question would go to; `None` for other questions.
    fn model_of(&self, request: &HostRequest) -> Option<String>;

    /// The version of the prompt that a question is put with; `None` for
    /// questions without one.
    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String>;
}

/// The node behind thrall, as far as recipes may look at it. Questions of guests
/// and of the gather stage come here, after they were authorised; the gate gives
/// up on an answer that does not come in time.
#[async_trait]
pub trait Cockpit: Send + Sync {
    /// The answer of a read-only route, such as `status`, as JSON. `params` is a
    /// JSON object, or empty.
    ///
    /// # Errors
    /// Why there is none: `Invalid` for a route or parameters that do not exist,
    /// `Unavailable` where it is worth trying again, else `Failed`.
    async fn get(&self, route: &str, params: &str) -> Result<String, HostError>;
}

/// The longest answer of the node that is taken, in bytes.
pub const MAX_COCKPIT_BYTES: usize = 256 * 1024;

/// Budgets of a day, which outlive runs and restarts.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes one question to the model from the budget of each recipe, all or
    /// none. Durable when it returns, so that a crash never gives any back.
    ///
    /// # Errors
    /// `Budget` with the line that is used up, `Failed` where it cannot be
    /// written down.
    async fn reserve(&self, budgets: &[(&str, u32)], now: TimestampMs) -> Result<(), HostError>;

    /// Gives one question back to each: it was never put.
    async fn give_back(&self, budgets: &[(&str, u32)], now: TimestampMs);
}

/// A question to the model, before rendering.
#[derive(Clone, Copy)]
pub struct ModelQuestion<'a> {
    pub asking: Asking<'a>,
    pub envelope: &'a Envelope,
    pub tier: Tier,
    pub context: &'a [Field],
    /// Gathered and injected fields; injected ones are named `inject.NAME`.
    pub gathered: &'a [Field],
    /// What a cascade's first step said: `cascade.action`, `cascade.reason`.
    pub cascade: &'a [Field],
    /// What it can lead to: the labels of a prompt without kinds.
    pub declared: &'a [&'a str],
}

/// A question that is ready to be asked: rendered, with its label set fixed.
#[derive(Clone, Debug)]
pub struct PreparedQuestion {
    pub model: String,
    pub prompt_hash: String,
    /// Kind of message to action, the recipe's mapping over the prompt's.
    pub actions: BTreeMap<String, String>,
    /// Certainty that an action needs which silences or answers the sender.
    pub silence_threshold: f32,
    /// Everything that the model will see, and its parameters.
    pub input_digest: Digest,
    pub rendered: Arc<crate::model::ClassifyRequest>,
    /// How the question stands in the record.
    pub request: HostRequest,
}

/// The model, as the pipeline sees it.
#[async_trait]
pub trait Classifier: Send + Sync {
    /// Renders a question.
    ///
    /// # Errors
    /// When the prompt or the model is missing, or a placeholder cannot be
    /// resolved: the recipe's fallback then applies and says so.
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError>;

    /// Asks. Waiting is bounded; a full queue is `Unavailable`.
    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError>;
}

/// What a file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    pub text: String,
    /// The beginning was left out: the file is longer than was asked for.
    pub truncated: bool,
    /// What was no UTF-8 was replaced.
    pub replaced: bool,
}

/// Reads files that recipes gather, after it was authorised. What else they
/// gather are questions to the host like those of guests.
#[async_trait]
pub trait Gatherer: Send + Sync {
    /// Reads the last `max_bytes` of a file, or all of it. Waiting is
    /// bounded. The error says why there is no data.
    async fn read(&self, path: &str, max_bytes: usize) -> Result<Gathered, String>;
}

/// Everything that a run reaches.
#[derive(Clone)]
pub struct Ports {
    pub sandbox: Arc<dyn Sandbox>,
    pub facts: Arc<dyn Facts>,
    pub answers: Arc<dyn Answers>,
    pub classifier: Arc<dyn Classifier>,
    pub meter: Arc<dyn Meter>,
    pub circuits: Arc<super::circuit::Circuits>,
    pub gatherer: Arc<dyn Gatherer>,
    /// Names the engine in `host_inputs`: versions that a replay depends on.
    pub engine: Arc<str>,
}
