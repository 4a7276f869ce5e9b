//! Where the host is in each log that it follows. What a place means is in
//! `log_tail.rs`; these are its rows.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::log_tail::{Identity, Place};

impl Store {
    /// Keeps the place in a log; durable on return.
    ///
    /// # Errors
    /// The database cannot be written; the earlier place stays.
    pub async fn keep_log_place(
        &self,
        path: String,
        place: Place,
        now: TimestampMs,
    ) -> Result<(), StoreError> {
        self.writer.run(1, move |session| keep(session, &path, &place, now)).await
    }
}

impl Reader {
    /// The place in a log; `None` for one that was never followed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn log_place(&self, path: &str) -> Result<Option<Place>, StoreError> {
        self.with(|connection| {
            let row = connection
                .prepare_cached(
                    "SELECT incarnation, identity, offset, fingerprint FROM log_positions
                     WHERE path = ?1",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row([path], |row| {
                            Ok((
                                row.get::<_, i64>(0)?,
                                row.get::<_, Option<String>>(1)?,
                                row.get::<_, i64>(2)?,
                                row.get::<_, [u8; 32]>(3)?,
                            ))
                        })
                        .optional()
                })
                .doing("read the place in a log")?;
            let Some((incarnation, identity, offset, fingerprint)) = row else { return Ok(None) };
            let identity = identity
                .map(|text| Identity::parse(&text).ok_or(StoreError::malformed("a log's identity")))
                .transpose()?;
            Ok(Some(Place {
                incarnation: u64::try_from(incarnation).unwrap_or(0),
                identity,
                offset: u64::try_from(offset).unwrap_or(0),
                fingerprint: Digest(fingerprint),
            }))
        })
    }
}

pub(super) fn keep(
    session: &Session,
    path: &str,
    place: &Place,
    now: TimestampMs,
) -> Result<(), StoreError> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    session
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO log_positions
                 (path, incarnation, identity, offset, fingerprint, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                path,
                number(place.incarnation),
                place.identity.map(|identity| identity.to_string()),
                number(place.offset),
                place.fingerprint.0,
                now.as_i64(),
            ])
        })
        .doing("keep the place in a log")
        .map(drop)
}
