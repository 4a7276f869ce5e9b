use super::super::migrations::{KNOWN, MIGRATIONS};
use super::fixtures::*;
use crate::store::{Ordered, OutboxFilter, OutboxOrder, OutboxState, Reader, Store, StoreError};

#[test]
fn a_second_service_is_refused_and_told_by_whom() {
    let test = TestStore::new();
    let error = Store::open(&test.dir.path().join("state"), NOW).err().unwrap();
    assert!(matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(error.to_string().contains(&std::process::id().to_string()));
    test.reopen();
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let test = TestStore::new();
    let state = test.dir.path().join("state");
    test.shell().pragma_update(None, "user_version", 99).unwrap();
    let TestStore { store, dir } = test;
    drop(store);
    for error in [Store::open(&state, NOW).err().unwrap(), Reader::open(&state).err().unwrap()] {
        assert!(matches!(error, StoreError::Newer { found: 99, known: KNOWN, .. }), "{error}");
    }
    drop(dir);
}

#[test]
fn events_of_the_first_schema_are_kept_and_descend_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    old.execute_batch(include_str!("../../../migrations/V1__initial.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO envelopes VALUES (7, 'm1', 'on_mail', 'mailbox', NULL, 0, 1, x'00', '[]',
             'pending', 0, 1);
         INSERT INTO payloads VALUES (7, '{\"body_text\":\"hello\"}');
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let store = Store::open(dir.path(), NOW).unwrap();
    let event = store.reader().envelope(7).unwrap().unwrap().envelope;
    assert_eq!((event.text("body_text"), event.lineage.len()), ("hello", 0));
    assert_eq!(event.root, None);
    assert_eq!(store.reader().descendants(7).unwrap(), 0);
}

/// The outbox was written anew once: its rows, their numbers and what refers to
/// them are the same.
#[test]
fn an_outbox_of_before_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    for (step, sql) in (1..).zip(&MIGRATIONS[..5]) {
        old.execute_batch(&format!("BEGIN; {sql} PRAGMA user_version = {step}; COMMIT;")).unwrap();
    }
    old.execute_batch(
        "INSERT INTO outbox (id, recipe, ordinal, class, kind, lane, body, state, detail,
             attempts, created_at, updated_at, after_failure)
         VALUES (7, 'r', 0, 'unkeyed', 'skill', 'skill/x', '{}', 'uncertain', 'timeout', 2, 1, 2,
             '{\"wake\":true}');
         INSERT INTO continuations (outbox_id, id, envelope_seq, root, recipe, revision,
             continue_as, skill, created_at, expires_at)
         VALUES (7, 'c', 1, 1, 'r', x'00', 'tell', 'x', 1, 2);",
    )
    .unwrap();
    drop(old);
    let store = Store::open(dir.path(), NOW).unwrap();
    let all = OutboxFilter { limit: 10, ..OutboxFilter::default() };
    let rows = store.reader().outbox_list(&all).unwrap();
    assert_eq!((rows[0].id, rows[0].attempts, rows[0].state), (7, 2, OutboxState::Uncertain));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ordered = runtime.block_on(store.order(7, OutboxOrder::Drop, NOW)).unwrap();
    assert_eq!(ordered, Ordered::Done(OutboxState::Dropped));
    let shell = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    let broken: i64 = shell
        .query_row("SELECT count(*) FROM pragma_foreign_key_check('continuations')", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0);
}

/// Context once belonged to whoever named its session. What only one sender can
/// have meant is theirs now; the rest is nobody's.
#[test]
fn context_of_before_goes_to_the_one_sender_of_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    for (step, sql) in (1..).zip(&MIGRATIONS[..8]) {
        old.execute_batch(&format!("BEGIN; {sql} PRAGMA user_version = {step}; COMMIT;")).unwrap();
    }
    let rows = [("one", "a"), ("one", "a"), ("two", "a"), ("two", "b")];
    for (session, sender) in rows {
        old.execute(
            "INSERT INTO journal (kind, at, recipe, session_id, sender_key, action, action_name,
                 reason, counted, hash)
             VALUES ('decision', 1, 'r', ?1, ?2, 'log', 'log', '', 1, zeroblob(32))",
            [session, sender],
        )
        .unwrap();
    }
    for session in ["one", "two", "nobody"] {
        old.execute(
            "INSERT INTO context (session_id, namespace, key, value, created_at, expires_at)
             VALUES (?1, 'r', 'approved', 'yes', 1, NULL)",
            [session],
        )
        .unwrap();
    }
    old.execute("UPDATE context SET expires_at = 99 WHERE session_id = 'one'", []).unwrap();
    drop(old);
    let store = Store::open(dir.path(), NOW).unwrap();
    let shell = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    let mut statement = shell
        .prepare("SELECT session_id, sender_key, key, value, created_at, expires_at FROM context")
        .unwrap();
    let kept: Vec<(String, String, String, String, i64, Option<i64>)> = statement
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let text = str::to_owned;
    assert_eq!(kept, [(text("one"), text("a"), text("approved"), text("yes"), 1, Some(99))]);
    let seen = |sender: &str, session: &str| {
        let then = crate::clock::TimestampMs(50);
        store.reader().context("r", Some(sender), session, then).unwrap().len()
    };
    assert_eq!((seen("a", "one"), seen("b", "one"), seen("a", "two")), (1, 0, 0));
    let of_old_scripts: i64 =
        shell.query_row("SELECT count(*) FROM thrall_context", [], |row| row.get(0)).unwrap();
    assert_eq!(of_old_scripts, 1);
}

#[test]
fn a_foreign_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let other = rusqlite::Connection::open(dir.path().join("thrall.db")).unwrap();
    other.execute_batch("CREATE TABLE thrall_journal (id INTEGER)").unwrap();
    drop(other);
    assert!(matches!(Store::open(dir.path(), NOW), Err(StoreError::Foreign { .. })));
}

#[test]
fn durability_settings_are_in_force() {
    let test = TestStore::new();
    let mode: String = test.shell().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let connection = super::super::connection::open_writer(&test.database()).unwrap();
    let synchronous: i64 =
        connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2);
}

#[test]
fn a_reader_cannot_write() {
    let test = TestStore::new();
    let result = test.store.reader().with(|connection| {
        Ok(connection.execute("INSERT INTO counters (name, value) VALUES ('x', 1)", []).is_err())
    });
    assert!(result.unwrap());
}

#[test]
fn a_reader_works_beside_a_service_and_needs_a_database() {
    let test = TestStore::new();
    test.decide("a", 'a', |_| {});
    let reader = Reader::open(&test.dir.path().join("state")).unwrap();
    assert_eq!(reader.status(NOW).unwrap().journal_rows, 1);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(empty.path()), Err(StoreError::Open { .. })));
}
