//! What was decided before: WIT interface `journal-read`.
//!
//! Only rows committed before `situation.now`, at most 30 days back, within
//! the granted scope (by default the recipe's own rows).

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::thrall::recipe::journal_read as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake_host::answers::journal_read as host;

use crate::{HostError, TimestampMs};

pub use crate::bindings::host::thrall::recipe::journal_read::{Entry, Query};

/// The most rows that [`recent`] gives.
pub const MOST_ROWS: u32 = 200;

impl Query {
    /// Every row of the granted scope from `since` on.
    #[must_use]
    pub fn since(since: TimestampMs) -> Self {
        Self { recipe: None, from_node: None, session: None, action: None, since, limit: MOST_ROWS }
    }

    /// Only rows of this sender.
    #[must_use]
    pub fn from_node(mut self, sender: &str) -> Self {
        self.from_node = Some(sender.into());
        self
    }

    /// Only rows that ended in this action.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only rows of this session.
    #[must_use]
    pub fn session(mut self, session: &str) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Only rows of this recipe; needs a scope wider than `own` for another's.
    #[must_use]
    pub fn recipe(mut self, recipe: &str) -> Self {
        self.recipe = Some(recipe.into());
        self
    }

    /// At most so many rows.
    #[must_use]
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = rows;
        self
    }
}

/// How many rows match.
///
/// # Errors
/// Denied unless `journal-read` is granted with a scope that covers the query.
pub fn count(query: &Query) -> Result<u64, HostError> {
    host::count(query)
}

/// The newest rows that match, newest first, at most `query.limit`.
///
/// # Errors
/// As [`count`].
pub fn recent(query: &Query) -> Result<Vec<Entry>, HostError> {
    host::recent(query)
}
