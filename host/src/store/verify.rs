//! Walks the journal's chain from its first row to its last and names the
//! first row that is not as it was written. Traces and payloads are compared
//! with the digests that the chain covers; one that is gone has expired, one
//! that differs was changed.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::commit::{HostCallRow, trace_digest};
use super::error::{Doing, StoreError};
use super::journal_columns::{COLUMNS, Values, canonical};
use super::reader::Reader;
use crate::ids::{Digest, JournalId};
use crate::journal::hash_chain::row_hash;

/// Rows between two calls of the progress function.
const PROGRESS_STEP: u64 = 1000;

/// A journal that is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    pub rows: u64,
    pub expired_payloads: u64,
    pub expired_traces: u64,
    /// Hash of the last row: what a second place can keep and compare.
    pub head: Option<Digest>,
}

/// The first thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("journal row {0} is missing: it was removed, or the rows after it were renumbered")]
    Missing(JournalId),
    #[error("journal row {0} is not the row that was written: it was changed, exchanged or put in")]
    Changed(JournalId),
    #[error("the trace of journal row {0} is not the one that was written")]
    TraceChanged(JournalId),
    #[error("the fields of the event behind journal row {0} are not those that were accepted")]
    PayloadChanged(JournalId),
    #[error("the journal ends at row {last}, but rows up to {written} were written")]
    Shortened { last: JournalId, written: JournalId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reader {
    /// Checks every row. `progress` is told rows done and rows in all, now and
    /// then; the journal is seen as it was when the check began.
    ///
    /// # Errors
    /// The first row that was changed, removed, put in or moved; or the
    /// database cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, VerifyError> {
        let mut verdict = None;
        self.snapshot(|connection| {
            verdict = Some(walk(connection, progress));
            Ok(())
        })?;
        verdict.unwrap_or(Err(VerifyError::Store(StoreError::Closed)))
    }
}

fn walk(
    connection: &Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, VerifyError> {
    let written: JournalId = connection
        .query_row(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0)",
            [],
            |row| row.get(0),
        )
        .doing("read how much was written")?;
    let total = u64::try_from(written).unwrap_or(0);
    let sql = format!(
        "SELECT j.id, j.kind, j.hash, t.body, p.body, {} FROM journal j
         LEFT JOIN traces t ON t.journal_id = j.id
         LEFT JOIN payloads p ON p.seq = j.envelope_seq
         ORDER BY j.id",
        COLUMNS.map(|name| format!("j.{name}")).join(", ")
    );
    let mut statement = connection.prepare(&sql).doing("read the journal")?;
    let mut rows = statement.query([]).doing("read the journal")?;
    let mut report = VerifyReport::default();
    let mut previous = Digest::ZERO;
    let mut last = 0;
    while let Some(row) = rows.next().doing("read the journal")? {
        let checked = Checked::read(row).doing("read the journal")?;
        if checked.id != last + 1 {
            return Err(VerifyError::Missing(last + 1));
        }
        checked.check(connection, &previous, &mut report)?;
        previous = checked.hash;
        last = checked.id;
        report.rows += 1;
        if report.rows.is_multiple_of(PROGRESS_STEP) {
            progress(report.rows, total);
        }
    }
    if last != written {
        return Err(VerifyError::Shortened { last, written });
    }
    progress(report.rows, total);
    report.head = (last > 0).then_some(previous);
    Ok(report)
}

/// A row as it stands in the file.
struct Checked<'a> {
    id: JournalId,
    kind: &'a str,
    hash: Digest,
    trace: Option<&'a str>,
    payload: Option<&'a str>,
    values: Values<'a>,
}

impl<'a> Checked<'a> {
    fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let mut values: Values<'a> = [ValueRef::Null; COLUMNS.len()];
        for (column, value) in (5..).zip(values.iter_mut()) {
            *value = row.get_ref(column)?;
        }
        Ok(Self {
            id: row.get(0)?,
            kind: row.get_ref(1)?.as_str()?,
            // A hash of the wrong length is a changed one.
            hash: Digest::from_slice(row.get_ref(2)?.as_blob()?).unwrap_or(Digest::ZERO),
            trace: row.get_ref(3)?.as_str_or_null()?,
            payload: row.get_ref(4)?.as_str_or_null()?,
            values,
        })
    }

    fn check(
        &self,
        connection: &Connection,
        previous: &Digest,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyError> {
        if row_hash(previous, self.id, self.kind, &canonical(&self.values)) != self.hash {
            return Err(VerifyError::Changed(self.id));
        }
        if let Some(wanted) = self.digest("trace_digest") {
            let calls = host_calls(connection, self.id)?;
            match self.trace {
                Some(trace) if trace_digest(trace, &calls) != wanted => {
                    return Err(VerifyError::TraceChanged(self.id));
                }
                Some(_) => {}
                None => report.expired_traces += 1,
            }
        }
        if let Some(wanted) = self.digest("payload_digest") {
            match self.payload {
                Some(payload) if Digest::of(payload.as_bytes()) != wanted => {
                    return Err(VerifyError::PayloadChanged(self.id));
                }
                Some(_) => {}
                None => report.expired_payloads += 1,
            }
        }
        Ok(())
    }

    fn digest(&self, name: &str) -> Option<Digest> {
        let position = COLUMNS.iter().position(|column| *column == name)?;
        match self.values.get(position)? {
            ValueRef::Blob(bytes) => Digest::from_slice(bytes),
            _ => None,
        }
    }
}

fn host_calls(connection: &Connection, id: JournalId) -> Result<Vec<HostCallRow>, StoreError> {
    connection
        .prepare_cached(
            "SELECT stage, interface, function, request, answered_as, answer, wall_us
             FROM host_calls
             WHERE journal_id = ?1 ORDER BY ordinal",
        )
        .and_then(|mut statement| {
            statement
                .query_map([id], |row| {
                    Ok(HostCallRow {
                        stage: row.get(0)?,
                        interface: row.get(1)?,
                        function: row.get(2)?,
                        request: row.get(3)?,
                        answered_as: row.get(4)?,
                        answer: row.get(5)?,
                        wall_us: row.get(6)?,
                    })
                })?
                .collect()
        })
        .doing("read host calls")
}
