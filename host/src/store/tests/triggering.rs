//! Events that recipes trigger: with their row or not at all, bounded below
//! their root, found again after a restart.

use super::fixtures::*;
use crate::envelope::{Field, RootEvent, descent};
use crate::ids::EnvelopeSeq;
use crate::journal::{Assumption, Child, Commit, CommitOutcome};
use crate::operation::{Operation, PlannedOperation};
use crate::recipes::Mode;
use crate::store::{StoreError, StoryKey};

const NEXT: &str = "next";

fn trigger() -> Operation {
    Operation::Trigger { trigger: NEXT.to_owned(), fields: vec![Field::new("kind", "bug")] }
}

/// A run on a stored event that triggers `count` others.
fn run(test: &TestStore, seq: EnvelopeSeq, count: usize, matched: &[&str]) -> Commit {
    let parent = test.store.reader().envelope(seq).unwrap().unwrap().envelope;
    let mut run = run_on(seq, &node('a'), "trigger", vec![trigger(); count]);
    let child = |n: usize| {
        let id = format!("{seq}-{n}");
        descent::child(&parent, seq, RECIPE, id, NEXT, &[Field::new("kind", "bug")], NOW)
    };
    let matched: Vec<_> = matched.iter().map(|&name| (name.to_owned(), revision())).collect();
    run.children =
        (0..count).map(|n| Child { envelope: child(n), matched: matched.clone() }).collect();
    run
}

fn committed(test: &TestStore, run: Commit) -> Vec<EnvelopeSeq> {
    match test.store.commit_blocking(run).unwrap() {
        CommitOutcome::Committed { children, .. } => children,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_triggered_event_waits_after_a_restart_with_its_lineage() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    let [one] = committed(&test, run(&test, root, 1, &[RECIPE]))[..] else { panic!() };
    let [two] = committed(&test, run(&test, one, 1, &["other"]))[..] else { panic!() };
    let test = test.reopen();
    let pending = test.store.reader().pending(0, 10).unwrap();
    let [event] = pending.as_slice() else { panic!("{pending:?}") };
    assert_eq!(
        (event.stored.seq, event.missing.clone()),
        (two, vec![("other".to_owned(), revision())])
    );
    let envelope = &event.stored.envelope;
    assert_eq!(envelope.lineage, [RECIPE, RECIPE]);
    assert_eq!(envelope.root, Some(RootEvent { seq: root, source: "mailbox".to_owned() }));
    assert_eq!((envelope.depth, envelope.parent.clone()), (2, Some(format!("{root}-0"))));
    assert_eq!((envelope.trigger.as_str(), envelope.source.as_str()), ("on_action", "thrall"));
    assert_eq!(envelope.text("from_node"), node('a'));
    assert_eq!((test.store.reader().descendants(root).unwrap(), test.count("outbox")), (2, 0));
    test.assert_whole();
}

#[test]
fn one_that_nobody_wants_to_see_is_done_at_once() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    let [child] = committed(&test, run(&test, root, 1, &[]))[..] else { panic!() };
    assert!(!test.store.reader().envelope(child).unwrap().unwrap().is_pending);
    assert!(test.store.reader().pending(0, 10).unwrap().is_empty());
}

#[test]
fn the_story_of_an_event_names_what_it_triggered() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    let [one, _] = committed(&test, run(&test, root, 2, &[RECIPE]))[..] else { panic!() };
    committed(&test, run(&test, one, 1, &[]));
    let story = |key| test.store.reader().event_stories(&key).unwrap().remove(0);
    let of_root = story(StoryKey::EnvelopeId("m1".to_owned())).triggered;
    let ids: Vec<&str> = of_root.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, [format!("{root}-0"), format!("{root}-1")]);
    assert_eq!((of_root[0].event_name.as_deref(), of_root[0].journal_id), (Some(NEXT), 1));
    assert_eq!((of_root[0].is_pending, of_root[1].is_pending), (false, true));
    let of_child = story(StoryKey::EnvelopeId(format!("{root}-0"))).triggered;
    assert_eq!((of_child.len(), of_child[0].id.clone()), (1, format!("{one}-0")));
}

#[test]
fn a_second_commit_of_the_row_makes_no_second_event() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    committed(&test, run(&test, root, 1, &[RECIPE]));
    let again = test.store.commit_blocking(run(&test, root, 1, &[RECIPE])).unwrap();
    assert_eq!(again, CommitOutcome::AlreadyDecided(1));
    assert_eq!(test.count("envelopes"), 2);
}

#[test]
fn the_writer_counts_below_the_root_before_it_writes() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    let with = |seq, below| {
        let mut run = run(&test, seq, 1, &[RECIPE]);
        run.assumptions = vec![Assumption::DescendantsBelow { root, below }];
        test.store.commit_blocking(run).unwrap()
    };
    let CommitOutcome::Committed { children, .. } = with(root, 1) else { panic!() };
    assert_eq!(with(children[0], 1), CommitOutcome::Stale, "a grandchild counts for the root");
    assert_eq!((test.count("envelopes"), test.count("journal")), (2, 1));
    assert!(matches!(with(children[0], 2), CommitOutcome::Committed { .. }));
}

#[test]
fn without_acting_nothing_is_triggered_and_a_wrong_number_is_refused() {
    let test = TestStore::new();
    let root = test.accept(mail("m1", &node('a'), "hello"));
    let mut lost = run(&test, root, 2, &[RECIPE]);
    lost.children.pop();
    let error = test.store.commit_blocking(lost).unwrap_err();
    assert!(matches!(error, StoreError::Malformed { .. }), "{error:?}");
    let mut invented = run(&test, root, 1, &[RECIPE]);
    invented.trace.action.operations[0].denied_by = Some("depth".to_owned());
    assert!(test.store.commit_blocking(invented).is_err());
    assert_eq!((test.count("envelopes"), test.count("journal")), (1, 0));

    let mut manual = run(&test, root, 1, &[RECIPE]);
    manual.row.mode = Mode::Manual;
    manual.children.clear();
    let denied = PlannedOperation {
        operation: trigger(),
        denied_by: Some("depth".to_owned()),
        would_execute: None,
    };
    manual.trace.action.operations.push(denied);
    assert!(committed(&test, manual).is_empty());
    assert_eq!((test.count("envelopes"), test.count("journal")), (1, 1));
}
