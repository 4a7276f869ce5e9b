//! Which rows of a buffer a briefing takes, what its wake says of them, and
//! reading them back.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::error::{Doing, StoreError};
use super::outbox_rows::BRIEFING;
use super::reader::Reader;
use super::session::Session;
use crate::buffers::wake_body::{self, FlushStats};
use crate::buffers::{BufferItem, FlushHead, GatheredLines, briefing};
use crate::clock::TimestampMs;

/// What a briefing takes, at most [`briefing::MAX_ITEMS`] of what waits.
#[derive(Clone, Copy)]
pub(super) enum Take {
    /// The item that made the buffer flush, all that has priority, and then the
    /// oldest of the rest.
    Urgent { item: i64 },
    /// The oldest that are no later than this.
    Oldest { upto: i64 },
}

impl Reader {
    /// One briefing of a flush with its items, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn briefing(
        &self,
        flush_id: i64,
        part: u32,
    ) -> Result<Option<(FlushHead, Vec<BufferItem>)>, StoreError> {
        self.snapshot(|connection| {
            let Some((head, _)) = read_head(connection, flush_id)? else { return Ok(None) };
            let items = connection
                .prepare_cached(&format!(
                    "SELECT {ITEM} FROM buffers WHERE flush_id = ?1 AND part = ?2 ORDER BY id"
                ))
                .and_then(|mut statement| {
                    statement.query_map(params![flush_id, part], item)?.collect()
                })
                .doing("read a flush")?;
            Ok(Some((head, items)))
        })
    }
}

/// The columns of an item.
pub(super) const ITEM: &str = "at, recipe, from_node, sender_key, tier, msg_type, session_id,
    action, reason, note, priority, body, template, file, lines, last_at, last_body";

pub(super) fn item(row: &Row<'_>) -> rusqlite::Result<BufferItem> {
    Ok(BufferItem {
        at: TimestampMs::from_i64(row.get(0)?),
        recipe: row.get(1)?,
        from_node: row.get(2)?,
        sender_key: row.get(3)?,
        tier: row.get(4)?,
        msg_type: row.get(5)?,
        session_id: row.get(6)?,
        action: row.get(7)?,
        reason: row.get(8)?,
        note: row.get(9)?,
        is_priority: row.get(10)?,
        body: row.get(11)?,
        lines: match row.get(12)? {
            None => None,
            Some(template) => Some(GatheredLines {
                template,
                file: row.get(13)?,
                count: row.get(14)?,
                last_at: TimestampMs::from_i64(row.get(15)?),
                last: row.get(16)?,
            }),
        },
    })
}

/// A flush, and up to which item it still takes what waits.
pub(super) fn read_head(
    connection: &Connection,
    id: i64,
) -> Result<Option<(FlushHead, Option<i64>)>, StoreError> {
    connection
        .prepare_cached("SELECT buffer, cause, at, upto FROM flushes WHERE id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([id], |row| {
                    let at = TimestampMs::from_i64(row.get(2)?);
                    Ok((FlushHead { id, buffer: row.get(0)?, cause: row.get(1)?, at }, row.get(3)?))
                })
                .optional()
        })
        .doing("read a flush")
}

/// Briefings of a flush so far.
pub(super) fn parts(connection: &Connection, id: i64) -> Result<u32, StoreError> {
    connection
        .prepare_cached("SELECT count(*) FROM outbox WHERE flush_id = ?1 AND kind = ?2")
        .and_then(|mut statement| statement.query_row(params![id, BRIEFING], |row| row.get(0)))
        .doing("read a flush")
}

/// Items waiting in a buffer; counting stops at `cap`.
pub(super) fn gathered(session: &Session, buffer: &str, cap: u32) -> Result<u32, StoreError> {
    session
        .connection
        .prepare_cached(GATHERED)
        .and_then(|mut statement| statement.query_row(params![buffer, cap], |row| row.get(0)))
        .doing("count a buffer")
}

/// Whether anything waits that is no later than `upto`.
pub(super) fn waits(session: &Session, buffer: &str, upto: i64) -> Result<bool, StoreError> {
    session
        .connection
        .prepare_cached(WAITS)
        .and_then(|mut statement| statement.query_row(params![buffer, upto], |row| row.get(0)))
        .doing("look at a buffer")
}

/// Takes waiting rows into a briefing; returns how many.
pub(super) fn stamp(
    session: &Session,
    head: &FlushHead,
    part: u32,
    take: Take,
) -> Result<u32, StoreError> {
    let connection = &session.connection;
    let stamp = |sql: &str, upto: i64, left: u32| -> Result<u32, StoreError> {
        let taken = connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.execute(params![head.id, part, head.buffer, upto, left])
            })
            .doing("stamp a flush")?;
        Ok(left.saturating_sub(u32::try_from(taken).unwrap_or(left)))
    };
    let mut left = briefing::MAX_ITEMS;
    let upto = match take {
        Take::Urgent { item } => {
            left = stamp(STAMP_ONE, item, left)?;
            left = stamp(STAMP_URGENT, i64::MAX, left)?;
            i64::MAX
        }
        Take::Oldest { upto } => upto,
    };
    left = stamp(STAMP_OLDEST, upto, left)?;
    let taken = briefing::MAX_ITEMS - left;
    connection
        .prepare_cached("UPDATE flushes SET item_count = item_count + ?2 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![head.id, taken]))
        .doing("stamp a flush")?;
    Ok(taken)
}

pub(super) fn stats(session: &Session, flush_id: i64) -> Result<FlushStats, StoreError> {
    let connection = &session.connection;
    let mut stats = connection
        .prepare_cached(SUMMARY)
        .and_then(|mut statement| {
            statement.query_row([flush_id], |row| {
                Ok(FlushStats {
                    item_count: row.get(0)?,
                    unique_senders: row.get(1)?,
                    oldest: TimestampMs::from_i64(row.get(2)?),
                    newest: TimestampMs::from_i64(row.get(3)?),
                    ..FlushStats::default()
                })
            })
        })
        .doing("summarise a flush")?;
    stats.senders = connection
        .prepare_cached(SENDERS)
        .and_then(|mut statement| {
            statement
                .query_map(params![flush_id, wake_body::MAX_SENDERS], |row| row.get(0))?
                .collect()
        })
        .doing("summarise a flush")?;
    stats.priority_items = connection
        .prepare_cached(URGENT)
        .and_then(|mut statement| {
            statement
                .query_map(params![flush_id, wake_body::MAX_PRIORITY_ITEMS], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        })
        .doing("summarise a flush")?;
    Ok(stats)
}

const GATHERED: &str = "SELECT count(*) FROM (SELECT 1 FROM buffers
    WHERE buffer = ?1 AND flush_id IS NULL LIMIT ?2)";
const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM buffers
    WHERE buffer = ?1 AND flush_id IS NULL AND id <= ?2)";
const STAMP_ONE: &str = "UPDATE buffers SET flush_id = ?1, part = ?2
    WHERE id = ?4 AND buffer = ?3 AND flush_id IS NULL AND ?5 > 0";
pub(super) const STAMP_URGENT: &str = "UPDATE buffers SET flush_id = ?1, part = ?2 WHERE id IN
    (SELECT id FROM buffers WHERE buffer = ?3 AND flush_id IS NULL AND priority = 1 AND id <= ?4
     ORDER BY id LIMIT ?5)";
const STAMP_OLDEST: &str = "UPDATE buffers SET flush_id = ?1, part = ?2 WHERE id IN
    (SELECT id FROM buffers WHERE buffer = ?3 AND flush_id IS NULL AND id <= ?4
     ORDER BY id LIMIT ?5)";
const SUMMARY: &str = "SELECT count(*), count(DISTINCT sender_key), coalesce(min(at), 0),
        coalesce(max(coalesce(last_at, at)), 0)
    FROM buffers WHERE flush_id = ?1";
const SENDERS: &str =
    "SELECT DISTINCT sender_key FROM buffers WHERE flush_id = ?1 ORDER BY 1 LIMIT ?2";
const URGENT: &str = "SELECT sender_key, body FROM buffers WHERE id IN
    (SELECT id FROM buffers WHERE flush_id = ?1 AND priority = 1 ORDER BY id LIMIT ?2)
    ORDER BY id";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 8] =
    [GATHERED, WAITS, STAMP_ONE, STAMP_URGENT, STAMP_OLDEST, SUMMARY, SENDERS, URGENT];
/// Those of them that an index answers alone.
#[cfg(test)]
pub(super) const SUMMARIES: [&str; 2] = [SUMMARY, SENDERS];
