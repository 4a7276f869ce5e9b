//! The database of a home: `state/thrall.db`. One thread writes ([`writer`]),
//! a few connections read beside it ([`Reader`]). Only this part names
//! rusqlite; what rows mean is in `journal.rs`, `buffers.rs` and `recipes.rs`.
//!
//! Writing functions come twice: async ones, and `_blocking` ones for threads
//! outside of any runtime. Each answers when what it wrote survives a power
//! cut, or wrote nothing.

mod accept;
pub mod baseline;
mod breaker_history;
mod buffer_list;
mod checkpointer;
mod children;
mod commit;
mod connection;
mod continuations;
mod counters;
mod database_file;
mod decision_inputs;
pub mod earlier_database;
mod effects;
mod error;
mod event_story;
mod failed_steps;
mod flush;
mod flush_rows;
mod forgetting;
mod grant_history;
mod host_answers;
mod journal_columns;
mod journal_list;
mod journal_query;
mod known_words;
mod log_positions;
mod memory_list;
mod migrations;
mod outbox_ends;
mod outbox_list;
mod outbox_orders;
mod outbox_rows;
mod process_lock;
mod prompts;
mod reader;
mod reviews;
mod revisions;
mod sender_limits;
mod session;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod usage;
mod verify;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

pub use accept::{Accepted, DEDUPE_AGE, Incoming};
pub use breaker_history::BreakerNote;
pub use buffer_list::{ListedItem, StoredBuffer};
pub use children::TriggeredEvent;
pub use continuations::{CONTINUATION_AGE, Continuation, SkillAnswer};
pub use error::StoreError;
pub use event_story::{EventStory, PendingEvent, StoredEnvelope, StoryKey};
pub use grant_history::{PastGrant, TrippedRevision};
pub use journal_list::{JournalEntry, JournalFilter, JournalRecord, JournalStory, PerformedRow};
pub use memory_list::{ContextEntry, FlagEntry, Memories, MemoryFilter};
pub use outbox_ends::{Finish, Outcome};
pub use outbox_list::{OutboxEntry, OutboxFilter};
pub use outbox_orders::{Ordered, OutboxOrder};
pub use outbox_rows::{
    BRIEFING, LONGEST_RETRY, NO_NODE, OutboxRow, OutboxState, TRIP_BREAKER, UnknownState, WAKE,
};
pub use prompts::{
    PromptActivation, PromptChange, PromptMark, PromptPush, PromptStep, PromptVersion,
};
pub use reader::Reader;
pub use reviews::{Review, ReviewCounts, ReviewEntry, Reviewed};
pub use revisions::Revision;
pub use status::{BufferStatus, StatusCounts};
pub use verify::{VerifyError, VerifyReport};

use crate::clock::TimestampMs;
use checkpointer::Checkpointer;
use database_file::DatabaseFile;
use process_lock::ProcessLock;
use session::Session;
use trouble::Trouble;
use writer::Writer;

/// File names inside the `state` folder.
const DATABASE: &str = "thrall.db";
const LOCK: &str = "thrall.lock";

/// The store of a running service. Dropping it writes what waits, and ends.
pub struct Store {
    // Fields are dropped in this order: the lock outlives the writer.
    writer: Writer,
    reader: Reader,
    trouble: Trouble,
    /// Closed after every connection, see `database_file.rs`.
    _file: Arc<File>,
    _lock: ProcessLock,
}

impl Store {
    /// Opens the database of a home, creating or migrating it. `state_dir` is
    /// the home's `state` folder; `now` stamps what is found half-done.
    ///
    /// # Errors
    /// Another service uses the home, the database is a newer thrall's or not
    /// one at all, or it cannot be read or written.
    pub fn open(state_dir: &Path, now: TimestampMs) -> Result<Self, StoreError> {
        let path = state_dir.join(DATABASE);
        Self::open_file(state_dir, &path, now).map_err(|error| error.at_opening(&path))
    }

    fn open_file(state_dir: &Path, path: &Path, now: TimestampMs) -> Result<Self, StoreError> {
        create_private(state_dir)?;
        let lock = ProcessLock::take(&state_dir.join(LOCK))?;
        let file = DatabaseFile::open(path)?;
        let handle = file.handle();
        let connection = connection::open_writer(path)?;
        migrations::migrate(&connection, path)?;
        let mut session = Session::new(connection, file)?;
        session.transaction(|session| outbox_ends::recover(session, now))?;
        let trouble = Trouble::default();
        let writer = Writer::start(session, Checkpointer::start(path)?, trouble.clone())?;
        Ok(Self {
            writer,
            reader: Reader::new(path.to_owned()),
            trouble,
            _file: handle,
            _lock: lock,
        })
    }

    /// Everything that reads.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Notified when there is something new to perform.
    pub fn outbox_signal(&self) -> Arc<Notify> {
        self.writer.outbox_signal()
    }
}

/// The folder holds message texts: it is the service's alone.
fn create_private(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| StoreError::Open { path: dir.to_owned(), source })
}
