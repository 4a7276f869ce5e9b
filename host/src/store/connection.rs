//! How connections are opened and set: one that writes, a few that only read.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Doing, StoreError};

/// Statements kept prepared; more than all that the event path uses.
const CACHED_STATEMENTS: usize = 128;

/// Settings of every connection: name, value, reason.
const PRAGMAS: [(&str, &str, &str); 6] = [
    ("busy_timeout", "5000", "a backup or a shell may hold the file for a moment"),
    ("foreign_keys", "ON", "an outbox or buffer row without its journal row is a defect"),
    ("trusted_schema", "OFF", "a doctored schema must not run functions of ours"),
    ("cell_size_check", "ON", "a damaged page is named instead of being believed"),
    ("temp_store", "MEMORY", "no message text in files outside the state folder"),
    ("mmap_size", "0", "an I/O error stays an error instead of killing the process"),
];

/// Settings of the connection that writes.
const WRITER_PRAGMAS: [(&str, &str, &str); 5] = [
    ("journal_mode", "WAL", "readers beside the writer"),
    ("synchronous", "FULL", "what was acknowledged survives a power cut"),
    ("cache_size", "-65536", "64 MiB, so that indexes stay in memory as the journal grows"),
    ("wal_autocheckpoint", "0", "checkpoints run beside the writer, see checkpointer.rs"),
    ("journal_size_limit", "67108864", "a log that grew in a burst is cut back"),
];

/// Settings of connections that read.
const READER_PRAGMAS: [(&str, &str, &str); 2] = [
    ("query_only", "ON", "a read path can never write, whatever SQL it runs"),
    ("cache_size", "-8192", "8 MiB for each reader"),
];

/// Opens the writing connection, creating the file if it is not there.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open the file")?;
    prepare_once(&connection)?;
    apply(&connection, &PRAGMAS)?;
    apply(&connection, &WRITER_PRAGMAS)?;
    Ok(connection)
}

/// Opens a reading connection on a file that exists.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open the file for reading")?;
    prepare_once(&connection)?;
    apply(&connection, &PRAGMAS)?;
    apply(&connection, &READER_PRAGMAS)?;
    Ok(connection)
}

/// Opens a file that nobody writes, of whatever program, so that nothing is
/// written beside it either. No link is followed.
pub(super) fn open_untouched(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    let connection = Connection::open_with_flags(uri, flags).doing("open the file for reading")?;
    apply(&connection, &PRAGMAS)?;
    apply(&connection, &READER_PRAGMAS)?;
    Ok(connection)
}

/// Keeps statements prepared. Without the planner's stability guarantee SQLite
/// plans a range query anew for each value that is bound to it, which costs
/// more than the query.
fn prepare_once(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .doing("apply a setting")
        .map(drop)
}

fn apply(connection: &Connection, pragmas: &[(&str, &str, &str)]) -> Result<(), StoreError> {
    for (name, value, _reason) in pragmas {
        // Some pragmas answer with a row, some with none; both are fine.
        connection
            .pragma_update_and_check(None, name, value, |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                error => Err(error),
            })
            .doing("apply a setting")?;
    }
    Ok(())
}
