//! Carries the write-ahead log over into the database file. A thread with a
//! connection of its own copies while the writer goes on; the writer itself
//! only copies the short rest, when the log has become so long that it should
//! start again from its beginning.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connection;
use super::error::{Doing, StoreError};

/// Pages not yet carried over that start the thread: 16 MB of 4 KiB pages.
const COPY_PAGES: i64 = 4096;
/// Pages in the log from which the writer starts it anew: 64 MB.
const RESTART_PAGES: i64 = 16_384;

pub(super) struct Checkpointer {
    signal: Option<SyncSender<()>>,
    is_busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = connection::open_writer(path)?;
        let (signal, signals) = sync_channel(1);
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&is_busy);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || copy_when_told(&connection, &signals, &busy))
            .map_err(|source| StoreError::Open { path: "store-checkpoint".into(), source })?;
        Ok(Self { signal: Some(signal), is_busy, thread: Some(thread) })
    }

    /// Called by the writer between two transactions.
    pub(super) fn after_commit(&self, writer: &Connection) {
        if self.is_busy.load(Ordering::Acquire) {
            return;
        }
        let Ok((log, copied)) = checkpoint(writer, "PRAGMA wal_checkpoint(NOOP)") else { return };
        if log >= RESTART_PAGES {
            let _ = checkpoint(writer, "PRAGMA wal_checkpoint(PASSIVE)");
        } else if log - copied >= COPY_PAGES {
            self.is_busy.store(true, Ordering::Release);
            if let Some(signal) = &self.signal {
                let _ = signal.try_send(());
            }
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.signal = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn copy_when_told(connection: &Connection, signals: &Receiver<()>, is_busy: &AtomicBool) {
    while signals.recv().is_ok() {
        if let Err(error) = checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)") {
            tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint failed");
        }
        is_busy.store(false, Ordering::Release);
    }
}

/// Pages in the log, and how many of them are carried over.
fn checkpoint(connection: &Connection, sql: &'static str) -> Result<(i64, i64), StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?))))
        .doing("carry the log over")
}
