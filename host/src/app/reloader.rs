//! Reading the folders one at a time, whoever asks: the watcher, a signal file
//! or a request. Two readings side by side could let the older one win, and
//! bring back a grant that was revoked between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::App;
use super::reading::Reading;

pub struct Reloader {
    app: Arc<App>,
    /// Readings that have begun.
    begun: AtomicU64,
    turn: Mutex<()>,
}

impl Reloader {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, begun: AtomicU64::new(0), turn: Mutex::new(()) }
    }

    /// Returns when everything that lay in the folders at the call is read.
    /// Many who ask at one time share a reading.
    /// False when they could not be read; it is worth trying again.
    pub async fn reload(&self) -> bool {
        let seen = self.begun.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        if self.begun.load(Ordering::Acquire) > seen {
            // It began after this was asked, and has ended.
            return true;
        }
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.app.reload().await
    }

    /// What the last reading came to.
    pub fn last(&self) -> Reading {
        self.app.last_reading()
    }
}
