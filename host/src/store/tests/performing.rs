use std::collections::BTreeMap;
use std::time::Duration;

use super::fixtures::*;
use crate::buffers::{Flush, FlushRules};
use crate::operation::Operation;
use crate::store::{
    BRIEFING, Finish, JournalEntry, OutboxRow, OutboxState, Outcome, StoreError, WAKE,
};

fn pending(test: &TestStore) -> Vec<OutboxRow> {
    test.store.reader().next_pending(NOW, 100).unwrap()
}

fn end(test: &TestStore, id: i64, outcome: Outcome) -> Result<(), StoreError> {
    test.store.finish_blocking(vec![Finish::new(id, NOW, outcome)])
}

fn done() -> Outcome {
    Outcome::Done { detail: "done".into() }
}

fn collect(test: &TestStore, id: &str, body: &str, operation: Operation) {
    let seq = test.accept(mail(id, &node('a'), body));
    let mut run = run_on(seq, &node('a'), "compile", vec![operation]);
    run.delivery.body_text = body.into();
    test.commit(run);
}

fn flush_due(test: &TestStore, after: u64) -> Vec<Flush> {
    let own = BTreeMap::from([("quick".to_owned(), Duration::from_secs(10))]);
    let rules = FlushRules { interval: Duration::from_secs(3600), intervals: own, dry_run: false };
    test.flush_due(NOW.plus(Duration::from_secs(after)), rules)
}

#[test]
fn a_wake_is_stored_with_task_capability_and_priority() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "wake", vec![wake()]));
    let rows = pending(&test);
    let row = &rows[0];
    assert_eq!((row.kind.as_str(), row.task.as_deref()), (WAKE, Some("Answer the question.")));
    assert_eq!((row.capability.as_deref(), row.priority), (Some("reply"), Some(7)));
    let body: serde_json::Value = serde_json::from_str(&row.body).unwrap();
    assert_eq!(body["type"], "thrall_digest");
    assert_eq!(body["buffer"], "direct");
    let briefing = &body["briefing"];
    assert_eq!(briefing["mode"], "respond");
    assert_eq!(briefing["message"]["body"], "hello");
    assert_eq!(briefing["sender"]["node_id"], node('a'));
    assert_eq!(briefing["classification"]["wall_ms"], 30);
    assert_eq!(briefing["data"][0]["untrusted"], true);
}

#[test]
fn a_threshold_flushes_into_a_briefing_and_then_a_wake() {
    let test = TestStore::new();
    for n in 0..3 {
        collect(&test, &n.to_string(), "news", compile("mail-digest", 3, &[]));
    }
    let rows = pending(&test);
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, [BRIEFING, WAKE]);
    let body: serde_json::Value = serde_json::from_str(&rows[1].body).unwrap();
    assert_eq!((&body["trigger"], &body["entry_count"]), (&"threshold:3".into(), &3.into()));
    assert_eq!(body["briefing"]["mode"], "process");
    assert!(body["briefing"]["message"].is_string());
    let (head, items) =
        test.store.reader().briefing(rows[0].flush_id.unwrap(), 0).unwrap().unwrap();
    assert_eq!((head.cause.as_str(), items.len()), ("threshold:3", 3));
    let names: Vec<String> = test
        .store
        .reader()
        .tail(0, 10)
        .unwrap()
        .into_iter()
        .map(|record| match record.entry {
            JournalEntry::Decision { row, .. } => row.action_name,
            JournalEntry::Performed(row) | JournalEntry::Review(row) => row.operation,
        })
        .collect();
    assert_eq!(names, ["compile", "compile", "compile+summon"]);
    test.assert_whole();
    collect(&test, "next", "news", compile("mail-digest", 3, &[]));
    assert_eq!(pending(&test).len(), 2, "the next item begins a new round");
}

#[test]
fn a_keyword_flushes_at_once_and_only_as_a_word() {
    let test = TestStore::new();
    collect(&test, "1", "nothing urgently needed", compile("b", 0, &["urgent"]));
    assert!(pending(&test).is_empty());
    collect(&test, "2", "This is URGENT: outage", compile("b", 0, &["urgent"]));
    let rows = pending(&test);
    let body: serde_json::Value = serde_json::from_str(&rows[1].body).unwrap();
    assert_eq!(body["trigger"], "keyword:urgent");
    assert_eq!(body["briefing"]["priority_items"][0]["preview"], "This is URGENT: outage");
    assert_eq!(body["briefing"]["stats"]["item_count"], 2);
}

#[test]
fn a_buffer_is_emptied_only_when_briefing_and_wake_are_through() {
    for order in [[0, 1], [1, 0]] {
        let test = TestStore::new();
        collect(&test, "1", "news", compile("b", 1, &[]));
        let rows = pending(&test);
        end(&test, rows[order[0]].id, done()).unwrap();
        assert_eq!(test.count("buffers"), 1);
        end(&test, rows[order[1]].id, Outcome::Recorded { detail: String::new() }).unwrap();
        assert_eq!(test.count("buffers"), 0);
        assert_eq!(test.assert_whole(), 3, "a decision and two performed rows");
    }
    let test = TestStore::new();
    collect(&test, "1", "news", compile("b", 1, &[]));
    let rows = pending(&test);
    end(&test, rows[0].id, done()).unwrap();
    end(&test, rows[1].id, Outcome::Held { reason: "no node".into() }).unwrap();
    assert_eq!(test.count("buffers"), 1, "a held wake was not accepted");
}

#[test]
fn the_timer_flushes_each_buffer_at_its_interval() {
    let test = TestStore::new();
    collect(&test, "1", "news", compile("slow", 0, &[]));
    collect(&test, "2", "news", compile("quick", 0, &[]));
    assert!(flush_due(&test, 9).is_empty());
    let test = test.reopen();
    assert!(flush_due(&test, 9).is_empty(), "a restart makes nothing due");
    let quick = flush_due(&test, 10);
    assert_eq!(
        (quick.len(), quick[0].head.buffer.as_str(), quick[0].head.cause.as_str()),
        (1, "quick", "timer:10s")
    );
    assert_eq!(flush_due(&test, 3600)[0].head.buffer, "slow");
    assert!(flush_due(&test, 9000).is_empty());
}

fn body_of(row: &OutboxRow) -> serde_json::Value {
    serde_json::from_str(&row.body).unwrap()
}

#[test]
fn a_huge_buffer_becomes_several_briefings_and_one_wake_that_names_them() {
    let test = TestStore::new();
    collect(&test, "1", "news", compile("b", 0, &[]));
    test.copy_item(2500);
    assert_eq!(flush_due(&test, 3600)[0].parts, 3);
    let rows = pending(&test);
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, [BRIEFING, BRIEFING, BRIEFING, WAKE]);
    let wake = body_of(&rows[3]);
    assert_eq!((&wake["entry_count"], &wake["trigger"]), (&2501.into(), &"timer:3600s".into()));
    let named: Vec<String> = serde_json::from_value(wake["briefing"]["artifacts"].clone()).unwrap();
    let written: Vec<String> = rows[..3]
        .iter()
        .map(|row| format!("artifacts/{}", body_of(row)["artifact"].as_str().unwrap()))
        .collect();
    assert_eq!(named, written);
    assert_eq!(wake["briefing"]["artifact"], written[0].as_str());
    assert!(wake["briefing"]["message"].as_str().unwrap().contains(&written[0]), "{wake}");
    // Against the bound for all it counts once.
    assert_eq!(test.count("done WHERE kind = 'wake' AND recipe = ''"), 1);

    for row in &rows[..3] {
        end(&test, row.id, done()).unwrap();
    }
    assert_eq!(test.count("buffers"), 2501, "the agent has not been told yet");
    end(&test, rows[3].id, Outcome::Recorded { detail: String::new() }).unwrap();
    assert!(flush_due(&test, 3601).is_empty());
    assert_eq!(test.count("buffers"), 0);
    assert_eq!(test.count("flushes WHERE emptied_at IS NOT NULL AND item_count = 2501"), 1);
    test.assert_whole();
}

#[test]
fn what_made_a_buffer_flush_and_what_has_priority_goes_before_what_is_older() {
    let test = TestStore::new();
    collect(&test, "1", "old news", compile("b", 0, &[]));
    test.copy_item(1500);
    collect(&test, "2", "OUTAGE in Oslo", compile("b", 0, &[]));
    collect(&test, "3", "please hurry", compile("b", 0, &["hurry"]));
    let taken =
        |body: &str| test.count(&format!("buffers WHERE flush_id IS NOT NULL AND body = '{body}'"));
    assert_eq!(
        (taken("please hurry"), taken("OUTAGE in Oslo"), taken("old news")),
        (1, 1, 998),
        "all that is urgent, and the oldest of the rest"
    );
    let newest_taken =
        "SELECT max(id) FROM buffers WHERE flush_id IS NOT NULL AND body LIKE 'old%'";
    let oldest_left = "SELECT min(id) FROM buffers WHERE flush_id IS NULL";
    let id = |sql: &str| test.shell().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(id(newest_taken) < id(oldest_left));
    let wake = body_of(&pending(&test)[1]);
    assert_eq!((&wake["trigger"], &wake["entry_count"]), (&"keyword:hurry".into(), &1000.into()));
    assert_eq!(wake["briefing"]["priority_items"][0]["preview"], "OUTAGE in Oslo");
    // The rest waits for the clock.
    assert_eq!(test.count("buffers WHERE flush_id IS NULL"), 503);
    assert_eq!(pending(&test).len(), 2);
}

#[test]
fn a_retry_holds_its_lane_and_no_other() {
    let test = TestStore::new();
    collect(&test, "1", "news", compile("b", 1, &[]));
    collect(&test, "2", "news", compile("c", 1, &[]));
    let first = pending(&test)[0].id;
    let not_before = NOW.plus(Duration::from_secs(5));
    end(&test, first, Outcome::Retry { detail: "disk".into(), not_before }).unwrap();
    let lanes: Vec<String> = pending(&test).into_iter().map(|row| row.lane).collect();
    assert_eq!(lanes, ["buffer/c", "buffer/c"]);
    let later = test.store.reader().next_pending(not_before, 100).unwrap();
    assert_eq!((later.len(), later[0].attempts), (4, 1));
    assert_eq!(test.count("journal"), 2, "a retry is no end");
}

#[test]
fn the_wake_of_a_failed_briefing_does_not_go_out() {
    let test = TestStore::new();
    collect(&test, "1", "news", compile("b", 1, &[]));
    end(&test, pending(&test)[0].id, Outcome::Failed { detail: "x".into() }).unwrap();
    assert!(pending(&test).is_empty());
}

#[test]
fn what_ended_cannot_end_again() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "wake", vec![wake()]));
    end(&test, 1, done()).unwrap();
    let rows = test.count("journal");
    let error = end(&test, 1, done()).unwrap_err();
    assert!(matches!(&error, StoreError::WrongState { state, .. } if state == "done"), "{error}");
    assert!(test.store.mark_attempting_blocking(vec![1], NOW).is_err());
    assert_eq!(test.count("journal"), rows);
}

#[test]
fn after_a_crash_keyed_rows_repeat_and_unkeyed_ones_are_uncertain() {
    let test = TestStore::new();
    collect(&test, "1", "news", compile("b", 1, &[]));
    let ids: Vec<i64> = pending(&test).iter().map(|row| row.id).collect();
    test.store.mark_attempting_blocking(ids, NOW).unwrap();
    assert!(pending(&test).is_empty());
    let test = test.reopen();
    let rows = test.store.reader().outbox_of(1).unwrap();
    let states: Vec<OutboxState> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [OutboxState::Pending, OutboxState::Uncertain]);
    assert_eq!(test.assert_whole(), 2, "the uncertain end is journaled");
}

#[test]
fn replies_wait_in_the_lane_of_their_recipient() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    let operations = vec![
        Operation::Reply { body: "yes".into() },
        Operation::TripBreaker { target: "node".into(), reason: "loop".into(), expires_in_s: None },
    ];
    test.commit(run_on(seq, &node('a'), "reply", operations));
    let rows = pending(&test);
    assert_eq!(rows[0].lane, format!("node/{}/", node('a')));
    let body: serde_json::Value = serde_json::from_str(&rows[0].body).unwrap();
    assert_eq!((&body["to_node"], &body["body"]["content"]), (&node('a').into(), &"yes".into()));
    assert_eq!(rows[1].lane, "breaker/node");
}
