//! Numbers that have no row of their own, such as refused events by reason.

use rusqlite::params;

use super::Store;
use super::error::{Doing, StoreError};
use super::session::Session;

impl Store {
    /// Adds to a counter, which begins at 0.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn count(&self, name: String, by: u32) -> Result<(), StoreError> {
        self.writer.run(1, move |session| count(session, &name, by)).await
    }

    /// As [`Self::count`], outside of any async runtime.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub fn count_blocking(&self, name: String, by: u32) -> Result<(), StoreError> {
        self.writer.run_blocking(1, move |session| count(session, &name, by))
    }
}

fn count(session: &Session, name: &str, by: u32) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached(
            "INSERT INTO counters (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        )
        .and_then(|mut statement| statement.execute(params![name, by]))
        .doing("count")
        .map(drop)
}
