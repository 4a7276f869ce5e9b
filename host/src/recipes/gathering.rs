//! What a recipe gathers, in its validated form: from where, which part of it,
//! under which name. How a file says it is in `gather_section.rs`, which facts
//! have names of their own in `gather_catalog.rs`.

use std::fmt;

/// One thing to fetch for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherSpec {
    /// Seen by later stages as `gather.NAME`.
    pub name: String,
    pub source: GatherSource,
    pub take: Take,
    /// Of a longer file the end is taken, of anything else the beginning.
    pub max_bytes: u32,
}

impl GatherSpec {
    pub const MAX_BYTES: u32 = 64 * 1024;
}

/// Where gathered data comes from. What is asked of the host is one question
/// each, however many specs take their part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherSource {
    /// A read-only route of the node, one of [`COCKPIT_ROUTES`].
    Cockpit(String),
    Journal(JournalAsk),
    /// A key in the context of the event's session.
    Context(String),
    Flag(String),
    /// Stands in the recipe itself.
    Static(String),
    /// An absolute path, written in the one plain way.
    File(String),
}

/// What a recipe can gather from the node: routes that take no parameters and
/// hold neither mail nor secrets.
pub const COCKPIT_ROUTES: [&str; 10] = [
    "status",
    "peers",
    "economy",
    "skills",
    "ledger",
    "reputation",
    "settlements",
    "tasks",
    "demand",
    "metrics",
];

/// A question to the journal, before it is about a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalAsk {
    /// `None`: as much as the grant shows.
    pub recipe: Option<String>,
    pub action: Option<String>,
    /// How far back, from the event on.
    pub since_s: u64,
    pub limit: u32,
    pub what: JournalWhat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalWhat {
    /// How many rows, up to the limit.
    Count,
    /// The rows, newest first.
    Recent,
}

impl JournalWhat {
    pub const WORDS: [&'static str; 2] = ["count", "recent"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Recent => "recent",
        }
    }
}

/// Which part of an answer is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    Whole,
    /// What a JSON pointer (RFC 6901) leads to.
    Pointer(String),
    Fact(Fact),
}

/// A fact that is worked out; `pipeline/gathered_facts.rs` knows how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Uptime,
    NetPosition,
    WorstPosition,
    SettlementCandidates,
    CreditFloorPeers,
    TopSkillsByRevenue,
    TopSkillsByCost,
    BilateralSummary,
    PeerList,
    SkillInventory,
    PeerSkillGaps,
    RecentActions,
    ActionCounts,
    ProbeEntropy,
    ProbeUniquePeers,
}

impl fmt::Display for GatherSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cockpit(route) => write!(f, "cockpit {route}"),
            Self::Journal(ask) => ask.fmt(f),
            Self::Context(key) => write!(f, "context {key}"),
            Self::Flag(key) => write!(f, "flag {key}"),
            Self::Static(_) => f.write_str("static"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

impl fmt::Display for JournalAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal {} {} s", self.what.as_str(), self.since_s)?;
        if let Some(recipe) = &self.recipe {
            write!(f, " recipe={recipe}")?;
        }
        if let Some(action) = &self.action {
            write!(f, " action={action}")?;
        }
        Ok(())
    }
}
