//! SIGKILL in the middle of work, again and again: afterwards every event is
//! journaled exactly once, every item stands in exactly one place, and the
//! chain is whole.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::fixtures::*;
use crate::capabilities::standing_breakers::Breakers;
use crate::outbox::{Artifacts, Performer, Readers};
use crate::store::{Accepted, Reader, Store};

const EVENTS: usize = 600;
const CHUNK: usize = 20;
const HOME: &str = "THRALL_TEST_CRASH_HOME";

/// Not a check of its own: the process that [`killed_at_any_moment`] kills.
#[test]
fn crash_child() {
    if let Some(home) = std::env::var_os(HOME) {
        work(Path::new(&home));
    }
}

/// Brings all events, decides what is pending, performs what is due; says a
/// line after each small step.
fn work(home: &Path) {
    let store = Arc::new(Store::open(&home.join("state"), NOW).unwrap());
    let artifacts = Artifacts::open(&home.join("artifacts"), Readers::Nobody).unwrap();
    let breakers = Breakers::open(&home.join("breakers"), NOW).unwrap();
    let performer = Performer::new(
        Arc::clone(&store),
        artifacts,
        Arc::new(breakers),
        None,
        crate::fault_points::none(),
    );
    let mut out = std::io::stdout();
    let mut say = || {
        out.write_all(b"step\n").unwrap();
        out.flush().unwrap();
    };
    decide_pending(&store, &mut say);
    for chunk in 0..EVENTS / CHUNK {
        let events = (0..CHUNK).map(|n| event(chunk * CHUNK + n)).collect();
        let accepted = store.accept_blocking(events).unwrap();
        say();
        if accepted.iter().any(|one| matches!(one, Accepted::New { .. })) {
            decide_pending(&store, &mut say);
        }
        while !performer.perform_due(NOW).unwrap().is_empty() {
            say();
        }
    }
}

fn event(n: usize) -> crate::store::Incoming {
    let mut event = mail(&format!("e{n}"), &node('a'), &format!("body {n}."));
    event.matched.push(("second".into(), revision()));
    event
}

fn decide_pending(store: &Store, say: &mut impl FnMut()) {
    for pending in store.reader().pending(0, u32::MAX).unwrap() {
        let last = pending.missing.len() - 1;
        for (nth, (recipe, _)) in pending.missing.into_iter().enumerate() {
            let operations = vec![compile(&recipe, 7, &[])];
            let mut run = run_on(pending.stored.seq, &node('a'), "compile", operations);
            run.row.recipe = recipe;
            run.closes_envelope = nth == last;
            pending.stored.envelope.text("body_text").clone_into(&mut run.delivery.body_text);
            store.commit_blocking(run).unwrap();
            say();
        }
    }
}

#[test]
fn killed_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed_midway = 0;
    for steps in [1, 3, 40, 41, 97, 180, 7, 260, 333, 55] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::crash::crash_child", "--exact", "--nocapture"])
            .env(HOME, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.map_while(Result::ok).filter(|line| line.ends_with("step"));
        killed_midway += usize::from(said.take(steps).count() == steps);
        child.kill().unwrap();
        child.wait().unwrap();
        if dir.path().join("state/thrall.db").exists() {
            let reader = Reader::open(&dir.path().join("state")).unwrap();
            reader.verify(&mut |_, _| {}).unwrap();
        }
    }
    assert!(killed_midway >= 5, "the child was too fast to be killed: {killed_midway}");
    work(dir.path());
    work(dir.path());
    check(dir.path());
}

fn check(home: &Path) {
    let store = Store::open(&home.join("state"), NOW).unwrap();
    let shell = rusqlite::Connection::open(home.join("state/thrall.db")).unwrap();
    let number = |sql: &str| -> usize {
        let count: i64 = shell.query_row(sql, [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    };
    assert_eq!(number("SELECT count(*) FROM envelopes"), EVENTS);
    assert_eq!(number("SELECT count(*) FROM envelopes WHERE state = 'pending'"), 0);
    assert_eq!(number("SELECT count(*) FROM journal WHERE kind = 'decision'"), 2 * EVENTS);
    let in_buffers = number("SELECT count(*) FROM buffers");
    let mut in_briefings: HashMap<String, usize> = HashMap::new();
    let mut items = 0;
    for file in std::fs::read_dir(home.join("artifacts")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if line.starts_with("body ") {
                *in_briefings.entry(line.to_owned()).or_default() += 1;
                items += 1;
            }
        }
    }
    assert_eq!(items + in_buffers, 2 * EVENTS, "each item in one place, for each recipe");
    assert!(in_briefings.values().all(|count| *count <= 2), "an item was briefed twice");
    assert_eq!(number("SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting')"), 0);
    assert_eq!(
        number("SELECT count(*) FROM journal WHERE kind = 'performed'"),
        number("SELECT count(*) FROM outbox")
    );
    let report = store.reader().verify(&mut |_, _| {}).unwrap();
    assert_eq!(report.expired_payloads, 0);
}
