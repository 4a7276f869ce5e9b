//! What the writer thread works with: its connection, the journal's head, and
//! what a batch has to make known once it is committed.

use rusqlite::Connection;

use super::database_file::DatabaseFile;
use super::error::{Doing, StoreError};
use crate::ids::{Digest, JournalId};

/// The last row of the journal's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainHead {
    pub(super) id: JournalId,
    pub(super) hash: Digest,
}

pub(super) struct Session {
    pub(super) connection: Connection,
    file: DatabaseFile,
    pub(super) head: ChainHead,
    /// Set when the batch added rows that someone has to perform.
    pub(super) outbox_grew: bool,
}

impl Session {
    pub(super) fn new(connection: Connection, file: DatabaseFile) -> Result<Self, StoreError> {
        let head = read_head(&connection)?;
        Ok(Self { connection, file, head, outbox_grew: false })
    }

    /// The id that the next journal row will have.
    pub(super) fn next_id(&self) -> JournalId {
        self.head.id + 1
    }

    /// Runs `work` in one transaction that is durable when this returns. An
    /// error leaves nothing behind, neither in the file nor in memory.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let head = self.head;
        self.outbox_grew = false;
        self.run_sql("BEGIN IMMEDIATE", "begin a transaction")?;
        let result = work(self).and_then(|value| {
            self.file.check()?;
            self.run_sql("COMMIT", "commit")?;
            Ok(value)
        });
        if result.is_err() {
            self.head = head;
            self.outbox_grew = false;
            // A full disk makes SQLite roll back by itself.
            if !self.connection.is_autocommit() {
                self.run_sql("ROLLBACK", "roll back")?;
            }
        }
        result
    }

    fn run_sql(&self, sql: &'static str, doing: &'static str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .doing(doing)?;
        Ok(())
    }
}

fn read_head(connection: &Connection) -> Result<ChainHead, StoreError> {
    let last =
        connection.query_row("SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
        });
    match last {
        Ok((id, hash)) => Ok(ChainHead { id, hash: Digest(hash) }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(ChainHead { id: 0, hash: Digest::ZERO }),
        Err(error) => Err(error).doing("read the journal's head"),
    }
}
