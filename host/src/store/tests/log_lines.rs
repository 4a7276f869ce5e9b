//! Collected lines of a log, and the place that is kept in it.

use std::time::Duration;

use super::fixtures::*;
use crate::buffers::FlushRules;
use crate::clock::TimestampMs;
use crate::ids::Digest;
use crate::journal::LikeLines;
use crate::log_tail::{Identity, Place};
use crate::operation::Operation;

/// Collects one line of a log in a buffer.
fn collect(test: &TestStore, number: u64, line: &str, template: &str, file: &str) {
    collect_with(test, number, line, template, file, compile("log-watch", 3, &[]));
}

fn collect_with(
    test: &TestStore,
    number: u64,
    line: &str,
    template: &str,
    file: &str,
    operation: Operation,
) {
    let id = format!("line-{number}");
    let seq = test.accept(mail(&id, "", line));
    let mut commit = run_on(seq, "", "compile", vec![operation]);
    commit.row.at = TimestampMs(NOW.0 + number * 1000);
    commit.delivery.body_text = line.to_owned();
    commit.delivery.like = (!template.is_empty())
        .then(|| LikeLines { file: file.to_owned(), template: template.to_owned() });
    test.commit(commit);
}

fn flushed(test: &TestStore) -> Vec<crate::buffers::BufferItem> {
    let later = NOW.plus(Duration::from_secs(7200));
    let rules = FlushRules { interval: Duration::from_secs(3600), ..FlushRules::default() };
    let flushes = test.flush_due(later, rules);
    assert_eq!(flushes.len(), 1);
    test.store.reader().briefing(flushes[0].head.id, 0).unwrap().unwrap().1
}

#[test]
fn lines_that_are_alike_are_one_item_with_their_number_and_the_last() {
    let test = TestStore::new();
    for number in 0..200 {
        collect(&test, number, &format!("pool {number}"), "pool <n>", "/a");
        if number == 100 {
            collect(&test, 5000, "disk", "disk", "/a");
        }
    }
    let items = flushed(&test);
    assert_eq!(items.len(), 2, "and it took no threshold of three");
    let lines = items[0].lines.as_ref().unwrap();
    assert_eq!(
        (lines.count, lines.template.as_str(), lines.file.as_str()),
        (200, "pool <n>", "/a")
    );
    assert_eq!((items[0].body.as_str(), lines.last.as_str()), ("pool 0", "pool 199"));
    assert_eq!(lines.last_at, TimestampMs(NOW.0 + 199_000));
    assert_eq!(items[1].lines.as_ref().unwrap().count, 1);
    // What comes after a flush is another item.
    collect(&test, 6000, "pool 6000", "pool <n>", "/a");
    assert_eq!(test.count("buffers WHERE flush_id IS NULL"), 1);
    test.assert_whole();
}

#[test]
fn other_files_other_templates_and_mail_stand_for_themselves() {
    let test = TestStore::new();
    collect(&test, 1, "x", "x", "/a");
    collect(&test, 2, "x", "x", "/b");
    assert_eq!(test.count("buffers"), 2);
    collect(&test, 3, "x", "", "");
    assert_eq!(test.count("buffers WHERE flush_id IS NOT NULL"), 3, "three reach the threshold");
    collect(&test, 4, "x", "", "");
    assert_eq!(test.count("buffers WHERE flush_id IS NULL AND template IS NULL"), 1);
}

/// The line is counted with those that are like it, and they go with it.
#[test]
fn a_word_in_a_line_takes_the_lines_that_are_like_it_before_what_is_older() {
    let test = TestStore::new();
    for number in 0..1001 {
        let kind = format!("kind {number}");
        collect_with(&test, number, &kind, &kind, "/a", compile("log-watch", 0, &[]));
    }
    let word = || compile("log-watch", 0, &["down"]);
    collect_with(&test, 2001, "pool 1 is up", "pool <n>", "/a", word());
    assert_eq!(test.count("flushes"), 0);
    collect_with(&test, 2002, "pool 2 is down", "pool <n>", "/a", word());
    assert_eq!(test.count("buffers WHERE flush_id IS NOT NULL AND template = 'pool <n>'"), 1);
    assert_eq!(test.count("buffers WHERE flush_id IS NULL"), 2);
}

#[tokio::test]
async fn a_place_in_a_log_is_kept_and_replaced() {
    let test = TestStore::new();
    let reader = test.store.reader();
    assert_eq!(reader.log_place("/a").unwrap(), None);
    let place = Place {
        incarnation: 7,
        identity: Some(Identity { device: u64::MAX, inode: 3 }),
        offset: 1 << 40,
        fingerprint: Digest::of(b"x"),
    };
    test.store.keep_log_place("/a".to_owned(), place.clone(), NOW).await.unwrap();
    assert_eq!(reader.log_place("/a").unwrap(), Some(place.clone()));
    let gone = Place { identity: None, offset: 0, ..place };
    test.store.keep_log_place("/a".to_owned(), gone.clone(), NOW).await.unwrap();
    assert_eq!(reader.log_place("/a").unwrap(), Some(gone));
    assert_eq!(reader.log_place("/b").unwrap(), None);
}
