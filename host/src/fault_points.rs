//! The places between two durable steps at which a crash must lose nothing and
//! double nothing. Tests end the program at each; a service passes them by.

use std::sync::Arc;

/// A moment after one step and before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// An event is accepted, no recipe has run.
    Accepted,
    /// A run is decided, nothing of it is written.
    Decided,
    /// A run is written, nothing of it is performed.
    Committed,
    /// A flush has taken some of its buffer, and has no wake yet.
    FlushBegun,
    /// A briefing is on disk, its row is still pending.
    BriefingWritten,
    /// An attempt is marked, no byte has gone out.
    AttemptMarked,
    /// A node has answered, its answer is not written.
    NodeAnswered,
    /// A row is ended, its answer is no event yet.
    RowEnded,
    /// An answer is an event, the event is not queued.
    AnswerStored,
}

impl FaultPoint {
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Decided,
        Self::Committed,
        Self::FlushBegun,
        Self::BriefingWritten,
        Self::AttemptMarked,
        Self::NodeAnswered,
        Self::RowEnded,
        Self::AnswerStored,
    ];
}

/// Called at each point.
pub type FaultHook = Arc<dyn Fn(FaultPoint) + Send + Sync>;

/// The hook of a service.
pub fn none() -> FaultHook {
    Arc::new(|_| ())
}
