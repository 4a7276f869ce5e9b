use std::time::Duration;

use super::fixtures::*;
use crate::ids::EnvelopeSeq;
use crate::store::Accepted;

fn new(seq: EnvelopeSeq) -> Accepted {
    Accepted::New { seq, conflict: false }
}

#[test]
fn a_duplicate_is_answered_with_its_first_decision() {
    let test = TestStore::new();
    let event = || mail("m1", &node('a'), "hello");
    assert_eq!(test.store.accept_blocking(vec![event()]).unwrap(), [new(1)]);
    let again = test.store.accept_blocking(vec![event()]).unwrap();
    assert_eq!(again, [Accepted::Duplicate { seq: 1, first_journal_id: None }]);
    let id = test.commit(run_on(1, &node('a'), "drop", vec![]));
    let again = test.store.accept_blocking(vec![event()]).unwrap();
    assert_eq!(again, [Accepted::Duplicate { seq: 1, first_journal_id: Some(id) }]);
    assert_eq!(test.count("envelopes"), 1);
}

#[test]
fn one_batch_holds_its_own_duplicates() {
    let test = TestStore::new();
    let event = || mail("m1", &node('a'), "hello");
    let accepted = test.store.accept_blocking(vec![event(), event()]).unwrap();
    assert_eq!(accepted, [new(1), Accepted::Duplicate { seq: 1, first_journal_id: None }]);
}

#[test]
fn another_body_under_the_same_id_is_a_conflict_once() {
    let test = TestStore::new();
    let first = mail("m1", &node('a'), "hello");
    let other = mail("m1", &node('a'), "something else");
    let accepted = test.store.accept_blocking(vec![first.clone(), other.clone()]).unwrap();
    assert_eq!(accepted, [new(1), Accepted::New { seq: 2, conflict: true }]);
    let again = test.store.accept_blocking(vec![first, other]).unwrap();
    assert!(again.iter().all(|one| matches!(one, Accepted::Duplicate { .. })), "{again:?}");
    assert!(test.store.reader().envelope(2).unwrap().unwrap().id_conflict);
}

#[test]
fn ids_of_other_senders_and_sources_are_other_ids() {
    let test = TestStore::new();
    let mut foreign = mail("m1", &node('a'), "hello");
    foreign.envelope.source = "bridge".into();
    let events = vec![mail("m1", &node('a'), "hello"), mail("m1", &node('b'), "hello"), foreign];
    assert_eq!(test.store.accept_blocking(events).unwrap(), [new(1), new(2), new(3)]);
}

#[test]
fn without_an_id_every_arrival_is_an_event() {
    let test = TestStore::new();
    let mut event = mail("019c", &node('a'), "hello");
    event.dedupe_id = None;
    let accepted = test.store.accept_blocking(vec![event.clone(), event]).unwrap();
    assert_eq!(accepted, [new(1), new(2)]);
}

#[test]
fn ids_are_remembered_for_ninety_days() {
    let test = TestStore::new();
    test.accept(mail("m1", &node('a'), "hello"));
    let day = Duration::from_secs(24 * 3600);
    let mut later = mail("m1", &node('a'), "hello");
    later.envelope.received_at = NOW.plus(90 * day);
    let known = test.store.accept_blocking(vec![later.clone()]).unwrap();
    assert!(matches!(known[..], [Accepted::Duplicate { .. }]));
    later.envelope.received_at = NOW.plus(91 * day);
    assert_eq!(test.store.accept_blocking(vec![later]).unwrap(), [new(2)]);
}

#[test]
fn what_matches_nothing_is_done_and_what_matches_waits() {
    let test = TestStore::new();
    let mut unmatched = mail("m1", &node('a'), "hello");
    unmatched.matched.clear();
    let mut two = mail("m2", &node('a'), "hello");
    two.matched.push(("other".into(), revision()));
    test.store.accept_blocking(vec![unmatched, two.clone()]).unwrap();
    let pending = test.store.reader().pending(0, 10).unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].stored.envelope, two.envelope);
    assert_eq!(pending[0].missing, two.matched);

    let mut first = run_on(2, &node('a'), "drop", vec![]);
    first.closes_envelope = false;
    test.commit(first);
    let pending = test.store.reader().pending(0, 10).unwrap();
    assert_eq!(pending[0].missing, [("other".to_owned(), revision())]);
    assert_eq!(pending[0].decided, [(RECIPE.to_owned(), "drop".to_owned())]);
    let mut second = run_on(2, &node('a'), "drop", vec![]);
    second.row.recipe = "other".into();
    test.commit(second);
    assert!(test.store.reader().pending(0, 10).unwrap().is_empty());
}

#[test]
fn the_guard_alone_ends_an_event() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", "nonsense", "hello"));
    let mut guard = run_on(seq, "nonsense", "skip_invalid", vec![]);
    guard.row.recipe = String::new();
    test.commit(guard);
    assert!(test.store.reader().pending(0, 10).unwrap().is_empty());
}

#[test]
fn hostile_text_is_stored_as_it_came() {
    let test = TestStore::new();
    let body = "nul\0 \u{1b}[31m '; DROP TABLE journal; -- \u{202e}";
    let seq = test.accept(mail("m'1", &node('a'), body));
    let stored = test.store.reader().envelope(seq).unwrap().unwrap();
    assert_eq!(stored.envelope.text("body_text"), body);
}
