//! Schema versions. The number of the last migration that ran stands in
//! `user_version`; a database of a newer thrall is refused, not guessed at.

use std::path::Path;

use rusqlite::Connection;

use super::error::{Doing, StoreError};

/// In order; the position plus one is the schema's version.
pub(super) const MIGRATIONS: [&str; 12] = [
    include_str!("../../migrations/V1__initial.sql"),
    include_str!("../../migrations/V2__lineage.sql"),
    include_str!("../../migrations/V3__grants.sql"),
    include_str!("../../migrations/V4__switchboard.sql"),
    include_str!("../../migrations/V5__log_positions.sql"),
    include_str!("../../migrations/V6__dropped.sql"),
    include_str!("../../migrations/V7__guard.sql"),
    include_str!("../../migrations/V8__prompt_loads.sql"),
    include_str!("../../migrations/V9__context_by_sender.sql"),
    include_str!("../../migrations/V10__one_wake.sql"),
    include_str!("../../migrations/V11__answered_as.sql"),
    include_str!("../../migrations/V12__expiry.sql"),
];

/// The newest schema that this program knows.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Brings the schema up to [`KNOWN`], each step in a transaction of its own.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > KNOWN {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: KNOWN });
    }
    if found == 0 && holds_tables(connection)? {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found == KNOWN {
        return Ok(());
    }
    // A table that others refer to is written anew in one of the steps.
    set_foreign_keys(connection, false)?;
    let migrated = run_steps(connection, found);
    set_foreign_keys(connection, true)?;
    migrated
}

fn set_foreign_keys(connection: &Connection, on: bool) -> Result<(), StoreError> {
    connection.pragma_update(None, "foreign_keys", on).doing("apply a setting")
}

fn run_steps(connection: &Connection, found: u32) -> Result<(), StoreError> {
    for (step, sql) in (1_u32..).zip(MIGRATIONS).filter(|(step, _)| *step > found) {
        let script = format!("BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {step};\nCOMMIT;");
        if let Err(error) = connection.execute_batch(&script) {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error).doing("migrate the schema");
        }
    }
    Ok(())
}

/// For readers, which cannot migrate.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection)?;
    match found.cmp(&KNOWN) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: KNOWN })
        }
        std::cmp::Ordering::Less => {
            Err(StoreError::NotMigrated { path: path.to_owned(), found, known: KNOWN })
        }
    }
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .doing("read the schema's version")
}

fn holds_tables(connection: &Connection) -> Result<bool, StoreError> {
    connection
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
        .doing("read the schema")
}
