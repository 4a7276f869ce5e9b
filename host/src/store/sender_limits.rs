//! What senders caused, counted by index: answers, mail that we began, when the
//! agent was last told of one. Each question costs as much as the sender has
//! caused within the window, whatever the journal holds. What the counts mean is
//! in `sender_limits/`, beside the store.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::effects;
use super::error::{Doing, StoreError};
use super::flush::Origin;
use super::journal_columns::{self, Note, PERFORMED};
use super::outbox_rows::{self, OutboxRow};
use super::reader::Reader;
use super::session::Session;
use crate::clock::{TimestampMs, Window};
use crate::envelope::sender;
use crate::ids::EnvelopeSeq;
use crate::journal::{Alert, Answering, DecisionRow};
use crate::sender_limits::loops::{self, SenderHistory};
use crate::sender_limits::{SenderLimits, knocks};

pub(super) const LOOP: &str = "loop";
const KNOCK: &str = "knock";

/// How many reasons of drops the agent is shown.
const SHOWN_REASONS: u32 = 3;

/// Rows that have long ceased to count, taken away with each new one.
const FORGOTTEN_AT_ONCE: u32 = 8;

impl Reader {
    /// What a sender has caused lately, in one session and in all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn sender_history(
        &self,
        sender_key: &str,
        session: &str,
        root: EnvelopeSeq,
        now: TimestampMs,
    ) -> Result<SenderHistory, StoreError> {
        self.with(|connection| {
            let window = loops::window(now, last_told(connection, LOOP, sender_key)?);
            Ok(SenderHistory {
                since: window.since,
                in_session: answers(connection, sender_key, Some(session), root, window)?,
                of_sender: answers(connection, sender_key, None, root, window)?,
                in_hour: let_through(
                    connection,
                    sender_key,
                    Window::before(now, SenderLimits::HOUR),
                )?,
                solicited: is_solicited(connection, sender_key, session, now)?,
            })
        })
    }
}

/// Events but `root` by which a sender caused wakes and replies, let through or
/// not.
pub(super) fn answers(
    connection: &Connection,
    sender_key: &str,
    session: Option<&str>,
    root: EnvelopeSeq,
    window: Window,
) -> Result<u32, StoreError> {
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    match session {
        Some(session) => connection.prepare_cached(IN_SESSION).and_then(|mut statement| {
            statement.query_row(params![sender_key, session, since, until, root], |row| row.get(0))
        }),
        None => connection.prepare_cached(OF_SENDER).and_then(|mut statement| {
            statement.query_row(params![sender_key, since, until, root], |row| row.get(0))
        }),
    }
    .doing("count what a sender caused")
}

/// Wakes, replies and mails of a sender that were let through.
pub(super) fn let_through(
    connection: &Connection,
    sender_key: &str,
    window: Window,
) -> Result<u32, StoreError> {
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    connection
        .prepare_cached(LET_THROUGH)
        .and_then(|mut statement| {
            statement.query_row(params![sender_key, since, until], |row| row.get(0))
        })
        .doing("count what a sender caused")
}

fn is_solicited(
    connection: &Connection,
    sender_key: &str,
    session: &str,
    now: TimestampMs,
) -> Result<bool, StoreError> {
    let window = Window::before(now, loops::SOLICITED);
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    connection
        .prepare_cached(SENT_TO)
        .and_then(|mut statement| {
            statement.query_row(params![sender_key, session, since, until], |row| row.get(0))
        })
        .doing("look whether we wrote first")
}

fn last_told(
    connection: &Connection,
    kind: &str,
    sender_key: &str,
) -> Result<Option<TimestampMs>, StoreError> {
    connection
        .prepare_cached(LAST_TOLD)
        .and_then(|mut statement| {
            statement.query_row([kind, sender_key], |row| row.get::<_, i64>(0)).optional()
        })
        .map(|at| at.map(TimestampMs::from_i64))
        .doing("look when the agent was told")
}

const IN_SESSION: &str = "SELECT count(DISTINCT root) FROM answers INDEXED BY answers_session
    WHERE sender_key = ?1 AND session_id = ?2 AND at > ?3 AND at <= ?4 AND kind <> 'mail'
        AND root <> ?5";
const OF_SENDER: &str = "SELECT count(DISTINCT root) FROM answers INDEXED BY answers_sender
    WHERE sender_key = ?1 AND at > ?2 AND at <= ?3 AND kind <> 'mail' AND root <> ?4";
const LET_THROUGH: &str = "SELECT count(*) FROM answers INDEXED BY answers_sender
    WHERE sender_key = ?1 AND at > ?2 AND at <= ?3 AND let_through = 1";
const SENT_TO: &str = "SELECT EXISTS (SELECT 1 FROM sent
    WHERE node_key = ?1 AND at > ?3 AND at <= ?4
        AND (session_id = ?2 OR session_id = '' OR ?2 = ''))";
const LAST_TOLD: &str = "SELECT at FROM alerts WHERE kind = ?1 AND sender_key = ?2";
const DROPS: &str = "SELECT count(*) FROM (SELECT DISTINCT envelope_seq FROM journal
    WHERE kind = 'decision' AND action = 'drop' AND sender_key = ?1 AND at > ?2 AND at <= ?3
    LIMIT ?4)";
const DROP_REASONS: &str = "SELECT reason FROM journal
    WHERE kind = 'decision' AND action = 'drop' AND sender_key = ?1 AND at > ?2 AND at <= ?3
    ORDER BY at DESC LIMIT ?4";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 7] =
    [IN_SESSION, OF_SENDER, LET_THROUGH, SENT_TO, LAST_TOLD, DROPS, DROP_REASONS];

pub(super) fn count_answers(
    session: &Session,
    row: &DecisionRow,
    root: EnvelopeSeq,
    all: &[Answering],
) -> Result<(), StoreError> {
    let counted = loops::counted_session(&row.session_id);
    for one in all {
        let connection = &session.connection;
        forget(connection, FORGET_ANSWERS, row.at)?;
        connection
            .prepare_cached(
                "INSERT INTO answers (sender_key, session_id, kind, at, let_through, root)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| {
                let at = row.at.as_i64();
                statement.execute(params![
                    row.sender_key,
                    counted,
                    one.kind,
                    at,
                    one.let_through,
                    root
                ])
            })
            .doing("count what a sender caused")?;
    }
    Ok(())
}

/// Remembers the recipient of a mail that a recipe began: what comes back from
/// there is asked for. A reply begins nothing.
pub(super) fn note_sent(
    session: &Session,
    row: &OutboxRow,
    at: TimestampMs,
) -> Result<(), StoreError> {
    if row.kind != "mail" {
        return Ok(());
    }
    let Ok(body) = serde_json::from_str::<Value>(&row.body) else { return Ok(()) };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let to_node = text("to_node");
    if !sender::is_node_id(to_node) {
        return Ok(());
    }
    let counted = loops::counted_session(text("session"));
    forget(&session.connection, FORGET_SENT, at)?;
    session
        .connection
        .prepare_cached("INSERT INTO sent (node_key, session_id, at) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| {
            statement.execute(params![sender::sender_key(to_node), counted, at.as_i64()])
        })
        .doing("remember whom we wrote to")
        .map(drop)
}

const FORGET_ANSWERS: &str = "DELETE FROM answers WHERE rowid IN
    (SELECT rowid FROM answers ORDER BY rowid LIMIT ?1) AND at < ?2";
const FORGET_SENT: &str = "DELETE FROM sent WHERE rowid IN
    (SELECT rowid FROM sent ORDER BY rowid LIMIT ?1) AND at < ?2";

/// The oldest rows, if nothing can count them any more.
fn forget(connection: &Connection, sql: &str, now: TimestampMs) -> Result<(), StoreError> {
    let past = now.minus(2 * SenderLimits::HOUR).as_i64();
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params![FORGOTTEN_AT_ONCE, past]))
        .doing("forget what senders caused long ago")
        .map(drop)
}

/// The agent was told of a sender.
pub(super) fn told(
    session: &Session,
    kind: &str,
    sender_key: &str,
    at: TimestampMs,
) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached("INSERT OR REPLACE INTO alerts (kind, sender_key, at) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute(params![kind, sender_key, at.as_i64()]))
        .doing("remember what the agent was told")
        .map(drop)
}

/// Tells the agent of a sender that is dropped for the `threshold`th time, once
/// in a window. Returns what it was told.
pub(super) fn knock(
    session: &mut Session,
    row: &DecisionRow,
    threshold: u32,
) -> Result<Option<String>, StoreError> {
    let connection = &session.connection;
    let Some(window) = knocks::window(row.at, last_told(connection, KNOCK, &row.sender_key)?)
    else {
        return Ok(None);
    };
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    let drops: u32 = connection
        .prepare_cached(DROPS)
        .and_then(|mut statement| {
            statement.query_row(params![row.sender_key, since, until, threshold], |row| row.get(0))
        })
        .doing("count a sender's drops")?;
    if drops < threshold {
        return Ok(None);
    }
    let reasons: Vec<String> = connection
        .prepare_cached(DROP_REASONS)
        .and_then(|mut statement| {
            statement
                .query_map(params![row.sender_key, since, until, SHOWN_REASONS], |row| row.get(0))?
                .collect()
        })
        .doing("read why a sender was dropped")?;
    let reason = knocks::reason(&row.sender_key, drops, &reasons);
    let note = Note {
        at: row.at,
        envelope_seq: Some(row.envelope_seq),
        recipe: &row.recipe,
        action: "knock_alert",
        action_name: "knock_alert",
        reason: &reason,
        outbox_id: None,
        detail: None,
    };
    let journal_id = journal_columns::append_note(session, PERFORMED, &note)?;
    let origin = Origin {
        journal_id: Some(journal_id),
        envelope_seq: Some(row.envelope_seq),
        recipe: row.recipe.clone(),
        answerable: Vec::new(),
        at: row.at,
        dry_run: false,
    };
    let alert = Alert::knock(row, reason.clone());
    outbox_rows::insert(session, &origin, &effects::alert(&alert, row.at))?;
    told(session, KNOCK, &row.sender_key, row.at)?;
    Ok(Some(reason))
}
