use std::sync::Arc;
use std::time::Duration;

use super::{Artifacts, Performer, Readers};
use crate::capabilities::standing_breakers::Breakers;
use crate::operation::Operation;
use crate::store::tests::fixtures::*;
use crate::store::{OutboxState, Outcome, Store};

struct TestOutbox {
    performer: Performer,
    store: Arc<Store>,
    dir: tempfile::TempDir,
}

impl TestOutbox {
    fn new(operations: Vec<Operation>) -> Self {
        let test = TestStore::new();
        let seq = test.accept(mail("m1", &node('a'), "hello"));
        test.commit(run_on(seq, &node('a'), "compile", operations));
        let TestStore { store, dir } = test;
        let store = Arc::new(store);
        let artifacts = Artifacts::open(&dir.path().join("artifacts"), Readers::Nobody).unwrap();
        let breakers = Breakers::open(&dir.path().join("breakers"), NOW).unwrap();
        let performer = Performer::new(
            Arc::clone(&store),
            artifacts,
            Arc::new(breakers),
            None,
            crate::fault_points::none(),
        );
        Self { performer, store, dir }
    }

    fn states(&self) -> Vec<OutboxState> {
        self.store.reader().outbox_of(1).unwrap().iter().map(|row| row.state).collect()
    }

    fn briefings(&self) -> Vec<String> {
        std::fs::read_dir(self.dir.path().join("artifacts"))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn a_briefing_is_written_and_its_wake_recorded_once() {
    let test = TestOutbox::new(vec![compile("mail-digest", 1, &[])]);
    assert_eq!(test.performer.perform_due(NOW).unwrap().len(), 2);
    assert_eq!(test.states(), [OutboxState::Done, OutboxState::Recorded]);
    let files = test.briefings();
    assert_eq!(files, ["20260228-093141-mail-digest-1.md"]);
    let page = std::fs::read_to_string(test.dir.path().join("artifacts").join(&files[0])).unwrap();
    assert!(page.contains("```text\nhello\n```"), "{page}");
    assert!(test.performer.perform_due(NOW).unwrap().is_empty());
    let status = test.store.reader().status(NOW).unwrap();
    assert!(status.buffers.is_empty());
    assert_eq!(status.journal_rows, 3);
}

#[test]
fn what_needs_a_node_is_held() {
    let test = TestOutbox::new(vec![
        Operation::Reply { body: "yes".into() },
        Operation::Skill { skill: "s".into(), input_json: "{}".into(), continue_as: None },
    ]);
    let ends = test.performer.perform_due(NOW).unwrap();
    assert_eq!(ends[0].outcome, Outcome::Held { reason: "no node is connected".into() });
    assert_eq!(test.states(), [OutboxState::Held; 2]);
}

#[test]
fn a_briefing_that_cannot_be_written_is_tried_again_and_keeps_its_items() {
    let test = TestOutbox::new(vec![compile("b", 1, &[])]);
    let file = "20260228-093141-b-1.md";
    // A folder in the place of the file: the rename fails.
    std::fs::create_dir(test.dir.path().join("artifacts").join(file)).unwrap();
    let ends = test.performer.perform_due(NOW).unwrap();
    assert!(matches!(&ends[..], [one] if matches!(one.outcome, Outcome::Retry { .. })), "{ends:?}");
    assert!(test.performer.perform_due(NOW).unwrap().is_empty(), "the wake waits");
    assert_eq!(test.store.reader().status(NOW).unwrap().buffers[0].flushing, 1);

    std::fs::remove_dir(test.dir.path().join("artifacts").join(file)).unwrap();
    let later = NOW.plus(Duration::from_secs(1));
    assert_eq!(test.performer.perform_due(later).unwrap().len(), 2);
    assert!(test.store.reader().status(NOW).unwrap().buffers.is_empty());
}

#[test]
fn no_buffer_name_leads_out_of_the_folder() {
    let test = TestOutbox::new(vec![compile("../../../tmp/evil", 1, &[])]);
    test.performer.perform_due(NOW).unwrap();
    assert_eq!(test.briefings(), ["20260228-093141-_________tmp_evil-1.md"]);
}

fn trip(target: &str) -> Operation {
    Operation::TripBreaker { target: target.into(), reason: "loop".into(), expires_in_s: None }
}

#[test]
fn a_trip_becomes_a_file_once_however_often_it_is_performed() {
    let test = TestOutbox::new(vec![trip("skill:knarr-mail"), trip("skill:knarr-mail")]);
    let rows = test.store.reader().next_pending(NOW, 10).unwrap();
    // As after a crash between file and database: the first is performed, and
    // its end was never written.
    let later = NOW.plus(Duration::from_secs(60));
    assert!(matches!(test.performer.trip_breaker(&rows[0], later), Outcome::Done { .. }));
    assert!(matches!(test.performer.trip_breaker(&rows[0], later), Outcome::Done { .. }));
    let file = test.dir.path().join("breakers/skill,knarr-mail.json");
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(
        first.contains("\"trip_count\": 1") && first.contains("2026-02-28T09:31:41"),
        "{first}"
    );
    let ends = test.performer.perform_due(later).unwrap();
    assert_eq!(test.states(), [OutboxState::Done; 2]);
    assert_eq!(
        ends[1].outcome,
        Outcome::Done { detail: "breakers/skill,knarr-mail.json, trip 2".into() }
    );
    assert_eq!(std::fs::read_dir(test.dir.path().join("breakers")).unwrap().count(), 1);
}

#[test]
fn a_trip_of_what_is_no_target_fails_and_writes_nothing() {
    let test = TestOutbox::new(vec![trip("../artifacts/x"), trip("skill:..")]);
    test.performer.perform_due(NOW).unwrap();
    assert_eq!(test.states(), [OutboxState::Failed; 2]);
    assert_eq!(std::fs::read_dir(test.dir.path().join("breakers")).unwrap().count(), 0);
    assert!(test.briefings().is_empty());
}

/// A rename does not lead a running service elsewhere: it goes on in the
/// folders that it opened when it started, until it is started again.
#[test]
fn a_folder_that_is_renamed_meanwhile_keeps_getting_the_files() {
    let test = TestOutbox::new(vec![compile("b", 1, &[]), trip("global")]);
    let at = |name: &str| test.dir.path().join(name);
    std::fs::create_dir(at("elsewhere")).unwrap();
    for folder in ["artifacts", "breakers"] {
        std::fs::rename(at(folder), at(&format!("{folder}.old"))).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at(folder)).unwrap();
    }
    test.performer.perform_due(NOW).unwrap();
    assert_eq!(std::fs::read_dir(at("elsewhere")).unwrap().count(), 0);
    assert!(at("breakers.old/global.json").is_file());
    assert!(at("artifacts.old/20260228-093141-b-1.md").is_file());
    assert!(
        Artifacts::open(&at("artifacts"), Readers::Nobody).is_err(),
        "and the new name is refused at a start"
    );
}
