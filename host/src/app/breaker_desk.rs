//! Breakers as people and programs handle them: listed, tripped, cleared, and
//! what became of them written down, in the journal and in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::breakers::{Held, Target, Trip};
use crate::capabilities::standing_breakers::{Breakers, Change};
use crate::clock::{Clock, TimestampMs};
use crate::store::{BreakerNote, Reader, Store, StoreError};
use crate::telemetry::EventLog;

/// The answer of `GET /thrall/breakers`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakersListing {
    pub breakers: Vec<ListedBreaker>,
    /// What is wrong in the folder, a line each.
    pub problems: Vec<String>,
}

/// One that stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedBreaker {
    pub target: String,
    /// global, node, skill, node+skill, or recipe for a recipe's own.
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub since: TimestampMs,
    pub expires_at: Option<TimestampMs>,
    pub expires_in_s: Option<u64>,
    pub trips: u32,
    /// Events that it stopped so far.
    pub blocked: u64,
    /// In `breakers/`.
    pub file: String,
}

/// What the operator wants to be stopped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripRequest {
    pub target: String,
    pub reason: String,
    /// As long as is usual if absent, for ever if 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// Why nothing was tripped or cleared.
#[derive(Debug, thiserror::Error)]
pub enum BreakerError {
    #[error(transparent)]
    Target(#[from] crate::breakers::TargetError),
    #[error("a breaker needs a reason: whoever finds it wants to know why it stands")]
    NoReason,
    #[error("no breaker stands for {0}{1}")]
    NotThere(String, String),
    #[error("it holds, but its file cannot be written, which is tried again: {0}")]
    NotWritten(std::io::Error),
    #[error("its file cannot be removed, it still stands: {0}")]
    NotRemoved(std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module's documentation.
pub struct BreakerDesk {
    breakers: Arc<Breakers>,
    store: Arc<Store>,
    log: Arc<EventLog>,
    clock: Arc<dyn Clock>,
}

impl BreakerDesk {
    pub fn new(
        breakers: Arc<Breakers>,
        store: Arc<Store>,
        log: Arc<EventLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { breakers, store, log, clock }
    }

    /// Brings memory and folder in step, and writes down what changed. Returns
    /// how long the look took. Blocking.
    pub fn look(&self) -> Duration {
        let began = Instant::now();
        self.breakers.look(self.clock.now());
        began.elapsed()
    }

    /// Writes down what became of breakers since the last time.
    pub async fn keep_history(&self) {
        if self.store.trouble().is_some() {
            // Said once by the store; they wait.
            return;
        }
        let changes = self.breakers.take_changes();
        if changes.is_empty() {
            return;
        }
        let notes = changes.iter().map(note).collect();
        match self.store.note_breakers(notes).await {
            Ok(()) => self.log.breakers(&changes),
            Err(error) => {
                tracing::error!(%error, "cannot write down what became of breakers, tried again");
                self.breakers.put_back(changes);
            }
        }
    }

    /// Everything that stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<BreakersListing, BreakerError> {
        listing(&self.breakers, Some(self.store.reader()), self.clock.now())
    }

    /// Trips a breaker: it holds on return. Blocking.
    ///
    /// # Errors
    /// See [`BreakerError`].
    pub fn trip(&self, asked: &TripRequest, by: &str) -> Result<ListedBreaker, BreakerError> {
        trip(&self.breakers, asked, by, self.clock.now())?;
        let target = Target::parse(&asked.target)?;
        let all = self.list()?.breakers;
        let found = all.into_iter().find(|one| one.target == target.as_str());
        found.ok_or_else(|| BreakerError::NotThere(target.as_str().to_owned(), String::new()))
    }

    /// Clears a breaker. Blocking.
    ///
    /// # Errors
    /// See [`BreakerError`].
    pub fn clear(&self, target: &str, by: &str) -> Result<(), BreakerError> {
        clear(&self.breakers, target, by, self.clock.now())
    }
}

/// Trips a breaker by hand.
///
/// # Errors
/// See [`BreakerError`].
pub fn trip(
    breakers: &Breakers,
    asked: &TripRequest,
    by: &str,
    now: TimestampMs,
) -> Result<(), BreakerError> {
    let target = Target::parse(&asked.target)?;
    if asked.reason.trim().is_empty() {
        return Err(BreakerError::NoReason);
    }
    let trip = Trip {
        target: &target,
        reason: &asked.reason,
        at: now,
        expires_in_s: asked.expires_in_s.unwrap_or_else(|| breakers.usual_expiry_s()),
        // Each time is another one.
        operation: &format!("{by} {}", uuid::Uuid::now_v7()),
    };
    breakers.trip(&trip, by).map(drop).map_err(BreakerError::NotWritten)
}

/// Clears a breaker by hand.
///
/// # Errors
/// See [`BreakerError`].
pub fn clear(
    breakers: &Breakers,
    target: &str,
    by: &str,
    now: TimestampMs,
) -> Result<(), BreakerError> {
    let target = Target::parse(target)?;
    if breakers.clear(&target, by, now).map_err(BreakerError::NotRemoved)? {
        return Ok(());
    }
    let standing = breakers.standing();
    let names: Vec<&str> = standing.list().iter().map(|held| held.target.as_str()).collect();
    let hint = match crate::ids::nearest(target.as_str(), names.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None if names.is_empty() => "; none stands at all".to_owned(),
        None => String::new(),
    };
    Err(BreakerError::NotThere(target.as_str().to_owned(), hint))
}

/// What stands, with what each has stopped as far as that is written down.
///
/// # Errors
/// When the database cannot be read.
pub fn listing(
    breakers: &Breakers,
    reader: Option<&Reader>,
    now: TimestampMs,
) -> Result<BreakersListing, BreakerError> {
    let held: Vec<Held> = {
        let standing = breakers.standing();
        standing.list().into_iter().filter(|held| held.holds(now)).cloned().collect()
    };
    let blocked = match (reader, held.iter().map(Held::since).min()) {
        (Some(reader), Some(since)) => reader.blocked_by_breakers(since)?,
        _ => std::collections::HashMap::new(),
    };
    let listed = held.iter().map(|held| {
        let expires_at = held.ends(now);
        ListedBreaker {
            target: held.target.as_str().to_owned(),
            kind: held.target.kind().to_owned(),
            reason: held.file.short_reason(),
            since: held.since(),
            expires_at,
            expires_in_s: expires_at.map(|end| end.0.saturating_sub(now.0) / 1000),
            trips: held.file.trip_count,
            blocked: blocked.get(held.target.as_str()).copied().unwrap_or(0),
            file: format!("breakers/{}", held.target.file_name()),
        }
    });
    Ok(BreakersListing { breakers: listed.collect(), problems: breakers.problems() })
}

fn note(change: &Change) -> BreakerNote {
    BreakerNote {
        at: change.at,
        target: change.target.clone(),
        what: change.what.as_str(),
        reason: change.reason.clone(),
        by: change.by.clone(),
        trip_count: change.trip_count,
    }
}
