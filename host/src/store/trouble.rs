//! Whether the store can be written at present: what `/health` says, what stops
//! the performing, and what ends both when writing works again.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Store;
use super::error::{Doing, StoreError};
use super::session::Session;

/// Why the last batch could not be written, if it could not.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<ArcSwapOption<String>>);

impl Trouble {
    /// After a batch, or a command on its own. One that wrote nothing proves
    /// nothing.
    pub(super) fn note(&self, result: &Result<(), StoreError>, has_written: bool) {
        match result {
            Ok(()) if has_written => {
                if let Some(trouble) = self.0.swap(None) {
                    tracing::warn!("the database can be written again; before: {trouble}");
                }
            }
            Err(error) if error.may_pass() => {
                let text = error.chain();
                if self.0.swap(Some(Arc::new(text.clone()))).is_none() {
                    tracing::error!("the database cannot be written: {text}");
                }
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Store {
    /// What keeps the store from being written, until it can be again.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.0.load_full().map(|text| text.to_string())
    }

    /// Looks after the database when nobody writes. While there is trouble, it
    /// tries a small write.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let tries = self.trouble.0.load().is_some();
        self.writer.run(1, move |session| if tries { try_write(session) } else { Ok(()) }).await
    }
}

fn try_write(session: &Session) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT INTO counters (name, value) VALUES ('store.probes', 1)
             ON CONFLICT (name) DO UPDATE SET value = value + 1",
        )
        .and_then(|mut statement| statement.execute([]))
        .doing("try a write")
        .map(drop)
}
