//! The baseline that the engine is compared with: the rows of an event written
//! bare, with the same durability and grouping, and nothing decided; and the
//! journal of a node that has run for long. For `thrall bench engine`.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::error::{Doing, StoreError};
use super::{DATABASE, connection};

/// About what an event's envelope and its trace take.
const EVENT_BYTES: usize = 300;
const TRACE_BYTES: usize = 1200;

/// Writes two rows for each event, in two durable transactions for each
/// `batch` events, into a new database in `folder`. Tells how long that took.
///
/// # Errors
/// The database cannot be written.
pub fn bare_rows(folder: &Path, events: u32, batch: usize) -> Result<Duration, StoreError> {
    let connection = connection::open_writer(&folder.join("baseline.db"))?;
    connection
        .execute_batch("CREATE TABLE bare (id INTEGER PRIMARY KEY, kind INTEGER, body TEXT) STRICT")
        .doing("make the baseline's table")?;
    let bodies = ["e".repeat(EVENT_BYTES), "t".repeat(TRACE_BYTES)];
    let batch = u32::try_from(batch.max(1)).unwrap_or(u32::MAX);
    let started = Instant::now();
    let mut done = 0;
    while done < events {
        let rows = batch.min(events - done);
        for (kind, body) in (0_i64..).zip(&bodies) {
            let transaction = connection.unchecked_transaction().doing("begin")?;
            for _ in 0..rows {
                transaction
                    .prepare_cached("INSERT INTO bare (kind, body) VALUES (?1, ?2)")
                    .and_then(|mut insert| insert.execute(params![kind, body]))
                    .doing("write a bare row")?;
            }
            transaction.commit().doing("commit")?;
        }
        done += rows;
    }
    Ok(started.elapsed())
}

/// A table that grows with the events, the table whose rows are copied into it,
/// and what sets a copy apart, as column and SQL: `:copy` is its number from 1,
/// `:rows` how many events there are, `:age` how much older it is, in
/// milliseconds.
type Copied = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const COPIED: [Copied; 7] = [
    (
        "envelopes",
        "envelopes",
        &[
            ("seq", "seq + :copy * :rows"),
            ("id", "id || '-' || :copy"),
            ("received_at", "received_at - :age"),
        ],
    ),
    ("payloads", "payloads", &[("seq", "seq + :copy * :rows")]),
    (
        "journal",
        "journal",
        &[
            ("id", "id + :copy * :rows"),
            ("envelope_seq", "envelope_seq + :copy * :rows"),
            ("envelope_id", "envelope_id || '-' || :copy"),
            ("at", "at - :age"),
        ],
    ),
    ("traces", "traces", &[("journal_id", "journal_id + :copy * :rows")]),
    (
        "dedupe",
        "dedupe",
        &[("id", "id || '-' || :copy"), ("seq", "seq + :copy * :rows"), ("at", "at - :age")],
    ),
    ("cooldowns", "cooldowns", &[("key", "key || '-' || :copy"), ("last", "last - :age")]),
    (
        "verdict_cache",
        "envelopes",
        &[("key", "randomblob(32)"), ("value", "'{}'"), ("expires_at", "received_at - :age")],
    ),
];

/// How much older the rows of a copy are than those of the one before.
const HOUR_MS: i64 = 3_600_000;

/// Copies what a database holds `copies` times, as if it had happened before.
/// The copies' hashes do not form a chain.
///
/// # Errors
/// The database in `folder` cannot be read or written.
pub fn copy_rows(folder: &Path, copies: u32) -> Result<(), StoreError> {
    let connection = connection::open_writer(&folder.join(DATABASE))?;
    let rows: i64 = connection
        .query_row("SELECT max(seq) FROM envelopes", [], |row| row.get(0))
        .doing("count the events to copy")?;
    let mut statements = Vec::new();
    for (table, source, changed) in COPIED {
        connection
            .execute_batch(&format!("CREATE TEMP TABLE {table}_sample AS SELECT * FROM {source}"))
            .doing("take a sample")?;
        statements.push(copy_statement(&connection, table, changed)?);
    }
    for copy in 1..=i64::from(copies) {
        let transaction = connection.unchecked_transaction().doing("begin")?;
        for statement in &statements {
            transaction
                .prepare_cached(statement)
                .and_then(|mut insert| {
                    let age = copy * HOUR_MS;
                    for (name, value) in [(":copy", copy), (":rows", rows), (":age", age)] {
                        if let Some(index) = insert.parameter_index(name)? {
                            insert.raw_bind_parameter(index, value)?;
                        }
                    }
                    insert.raw_execute()
                })
                .doing("copy a row")?;
        }
        transaction.commit().doing("commit")?;
    }
    Ok(())
}

fn copy_statement(
    connection: &Connection,
    table: &str,
    changed: &[(&str, &str)],
) -> Result<String, StoreError> {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut names| names.query_map([table], |row| row.get(0))?.collect())
        .doing("list columns")?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| {
            changed.iter().find(|(name, _)| name == column).map_or(column.as_str(), |(_, sql)| sql)
        })
        .collect();
    Ok(format!(
        "INSERT INTO main.{table} ({}) SELECT {} FROM temp.{table}_sample",
        columns.join(", "),
        values.join(", ")
    ))
}
