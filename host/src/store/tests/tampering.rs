use super::fixtures::*;
use crate::stage::{HostAnswer, HostCallRecord, HostRequest};
use crate::store::{Reader, VerifyError};

fn filled() -> TestStore {
    let test = TestStore::new();
    for n in 0..6 {
        test.decide(&n.to_string(), 'a', |_| {});
    }
    test
}

fn damaged(sql: &str) -> VerifyError {
    let test = filled();
    let shell = test.shell();
    shell
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             DROP TRIGGER journal_is_never_changed; DROP TRIGGER journal_is_never_shortened;",
        )
        .unwrap();
    shell.execute_batch(sql).unwrap();
    verify(test.store.reader()).err().unwrap_or_else(|| panic!("not noticed: {sql}"))
}

fn verify(reader: &Reader) -> Result<u64, VerifyError> {
    reader.verify(&mut |_, _| {}).map(|report| report.rows)
}

#[test]
fn the_journal_cannot_be_changed_by_plain_sql() {
    let test = filled();
    for sql in ["UPDATE journal SET action = 'x' WHERE id = 2", "DELETE FROM journal WHERE id = 2"]
    {
        let error = test.shell().execute_batch(sql).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(verify(test.store.reader()).unwrap(), 6);
}

#[test]
fn the_first_row_that_is_wrong_is_named() {
    for (sql, expected) in [
        ("UPDATE journal SET reason = 'x' WHERE id = 3", "Changed(3)"),
        ("UPDATE journal SET confidence = NULL WHERE id = 4", "Changed(4)"),
        ("UPDATE journal SET hash = zeroblob(32) WHERE id = 1", "Changed(1)"),
        ("UPDATE journal SET hash = x'00' WHERE id = 5", "Changed(5)"),
        ("DELETE FROM journal WHERE id = 3", "Missing(3)"),
        ("DELETE FROM journal WHERE id = 1", "Missing(1)"),
        ("DELETE FROM journal WHERE id = 6", "Shortened { last: 5, written: 6 }"),
        (
            "UPDATE journal SET id = 100 WHERE id = 2; UPDATE journal SET id = 2 WHERE id = 3;
             UPDATE journal SET id = 3 WHERE id = 100",
            "Changed(2)",
        ),
        (
            "UPDATE journal SET id = id + 100 WHERE id > 3;
             UPDATE journal SET id = id - 99 WHERE id > 100;
             INSERT INTO journal (id, kind, at, recipe, action, action_name, reason, counted, hash)
             SELECT 4, 'performed', at, recipe, action, action_name, reason, counted, hash
             FROM journal WHERE id = 3",
            "Changed(4)",
        ),
        (
            "UPDATE traces SET body = replace(body, 'greeting', 'spam') WHERE journal_id = 2",
            "TraceChanged(2)",
        ),
        (
            "INSERT INTO host_calls (journal_id, ordinal, stage, interface, function, request,
                 answer, wall_us)
             VALUES (5, 0, 'evaluate', 'model', 'embed', '{}', '{}', 1)",
            "TraceChanged(5)",
        ),
        ("UPDATE payloads SET body = '{}'", "PayloadChanged(1)"),
    ] {
        assert_eq!(format!("{:?}", damaged(sql)), expected, "{sql}");
    }
}

/// Also how far a question reached that was answered.
#[test]
fn a_narrow_question_cannot_be_made_a_wide_one() {
    let test = TestStore::new();
    test.decide("0", 'a', |run| {
        let request = |key: &str| HostRequest::ContextFlag { key: key.to_owned() };
        run.trace.host_calls = vec![HostCallRecord {
            stage: "evaluate".into(),
            request: request("wide"),
            answered_as: Some(request("narrow")),
            answer: Ok(HostAnswer::Count(5)),
            wall_us: 1,
        }];
    });
    assert_eq!(verify(test.store.reader()).unwrap(), 1);
    test.shell().execute_batch("UPDATE host_calls SET answered_as = NULL").unwrap();
    assert_eq!(format!("{:?}", verify(test.store.reader()).unwrap_err()), "TraceChanged(1)");
}

#[test]
fn what_expired_is_counted_not_blamed() {
    let test = filled();
    test.shell()
        .execute_batch("DELETE FROM payloads; DELETE FROM traces WHERE journal_id < 3")
        .unwrap();
    let mut seen = (0, 0);
    let report = test.store.reader().verify(&mut |done, total| seen = (done, total)).unwrap();
    assert_eq!((report.rows, report.expired_payloads, report.expired_traces), (6, 6, 2));
    assert_eq!(seen, (6, 6));
    assert!(report.head.is_some());
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let test = filled().reopen();
    test.decide("after", 'b', |run| run.row.confidence = Some(f32::NAN));
    assert_eq!(test.assert_whole(), 7);
}
