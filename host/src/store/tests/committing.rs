use std::time::Duration;

use super::fixtures::*;
use crate::clock::{TimestampMs, Window};
use crate::ids::Digest;
use crate::journal::{Assumption, CacheEntry, CachedVerdict, CommitOutcome};
use crate::operation::Operation;
use crate::recipes::Mode;
use crate::stage::{HostAnswer, HostCallRecord, HostError, HostRequest};
use crate::store::{JournalEntry, StoreError, StoryKey};
use crate::verdict::Verdict;

#[test]
fn a_run_comes_back_as_it_was_committed() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    let mut run = run_on(seq, &node('a'), "wake", vec![wake()]);
    run.trace.host_calls = vec![
        HostCallRecord {
            stage: "evaluate".into(),
            request: HostRequest::ContextFlag { key: "oom:count".into() },
            answered_as: Some(HostRequest::ContextFlag { key: "own/oom:count".into() }),
            answer: Ok(HostAnswer::Text(Some("3".into()))),
            wall_us: 12,
        },
        HostCallRecord {
            stage: "evaluate".into(),
            request: HostRequest::BreakerState { target: "global".into() },
            answered_as: None,
            answer: Err(HostError::Denied("imports = [\"breaker-read\"]".into())),
            wall_us: 1,
        },
    ];
    let (row, trace) = (run.row.clone(), run.trace.clone());
    let id = test.commit(run);
    let story = test.store.reader().journal_show(id).unwrap().unwrap();
    let JournalEntry::Decision { envelope_id, row: stored } = story.record.entry else {
        panic!("not a decision")
    };
    assert_eq!((envelope_id.as_str(), *stored), ("m1", row));
    assert_eq!(story.trace.unwrap(), trace);
    assert_eq!(story.envelope.unwrap().envelope, mail("m1", &node('a'), "hello").envelope);
    let stories = test.store.reader().event_stories(&StoryKey::EnvelopeId("m1".into())).unwrap();
    assert_eq!((stories.len(), stories[0].runs.len(), stories[0].outbox.len()), (1, 1, 1));
    test.assert_whole();
}

#[test]
fn a_second_run_of_a_recipe_is_refused() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    let id = test.commit(run_on(seq, &node('a'), "wake", vec![wake()]));
    let again = test.store.commit_blocking(run_on(seq, &node('a'), "wake", vec![wake()]));
    assert_eq!(again.unwrap(), CommitOutcome::AlreadyDecided(id));
    assert_eq!((test.count("journal"), test.count("outbox")), (1, 1));
}

#[test]
fn a_stale_run_writes_nothing() {
    let test = TestStore::new();
    let from = node('a');
    test.decide("m1", 'a', |run| run.cooldown = Some(("key".into(), NOW)));
    let seq = test.accept(mail("m2", &from, "hello"));
    let with = |assumption| {
        let mut run = run_on(seq, &from, "compile", vec![compile("b", 0, &[]), wake()]);
        run.assumptions = vec![assumption];
        test.store.commit_blocking(run).unwrap()
    };
    let rate = |below, since: TimestampMs| Assumption::RateBelow {
        recipe: RECIPE.into(),
        sender_key: "a".repeat(16),
        window: Window { since, until: NOW },
        below,
    };
    let cooldown =
        |last| Assumption::CooldownUnchanged { recipe: RECIPE.into(), key: "key".into(), last };
    let before = NOW.minus(Duration::from_secs(60));
    assert_eq!(with(rate(1, before)), CommitOutcome::Stale);
    assert_eq!(with(cooldown(None)), CommitOutcome::Stale);
    assert_eq!(with(cooldown(Some(TimestampMs(1)))), CommitOutcome::Stale);
    for table in ["buffers", "outbox"] {
        assert_eq!(test.count(table), 0, "{table}");
    }
    assert_eq!(test.count("journal"), 1);
    // A run at the edge of the window has left it.
    assert!(matches!(with(rate(1, NOW)), CommitOutcome::Committed { .. }));
}

#[test]
fn what_may_not_act_is_journaled_and_has_no_effect() {
    let test = TestStore::new();
    let operations = || {
        vec![
            compile("b", 1, &[]),
            wake(),
            Operation::SetFlag { key: "k".into(), value: Some("v".into()), expires_in_s: None },
        ]
    };
    let run = |id: &str, change: fn(&mut crate::journal::Commit)| {
        let seq = test.accept(mail(id, &node('a'), "hello"));
        let mut run = run_on(seq, &node('a'), "compile", operations());
        change(&mut run);
        let id = test.commit(run);
        let story = test.store.reader().journal_show(id).unwrap().unwrap();
        assert_eq!(story.trace.unwrap().action.operations.len(), 3);
    };
    run("manual", |run| run.row.mode = Mode::Manual);
    run("not executed", |run| run.trace.action.executed = false);
    run("denied", |run| {
        for planned in &mut run.trace.action.operations {
            planned.denied_by = Some("[operations]".into());
        }
    });
    for table in ["buffers", "outbox", "flags", "flushes"] {
        assert_eq!(test.count(table), 0, "{table}");
    }
}

#[test]
fn recipes_remember_in_their_own_namespace_until_it_expires() {
    let test = TestStore::new();
    let set = |id: &str, key: &str, value: Option<&str>, expires_in_s| {
        let seq = test.accept(mail(id, &node('a'), "hello"));
        let value = value.map(str::to_owned);
        let operations = vec![
            Operation::SetContext {
                session: "s".into(),
                key: key.into(),
                value: value.clone(),
                expires_in_s,
            },
            Operation::SetFlag { key: key.into(), value, expires_in_s },
        ];
        test.commit(run_on(seq, &node('a'), "log", operations));
    };
    let reader = test.store.reader();
    let key = crate::envelope::sender::sender_key(&node('a'));
    let whose = Some(key.as_str());
    set("1", "k", Some("v"), Some(60));
    set("2", "j", Some("w"), None);
    let later = NOW.plus(Duration::from_secs(60));
    assert_eq!(reader.context(RECIPE, whose, "s", NOW).unwrap().len(), 2);
    assert_eq!(reader.context(RECIPE, whose, "s", later).unwrap()[0].name, "j");
    assert_eq!(reader.context_value(RECIPE, whose, "s", "k", NOW).unwrap().as_deref(), Some("v"));
    assert_eq!(reader.flag(RECIPE, "k", NOW).unwrap().as_deref(), Some("v"));
    assert_eq!(reader.flag(RECIPE, "k", later).unwrap(), None);
    assert_eq!(reader.flag("other", "k", NOW).unwrap(), None);
    assert!(reader.context("other", whose, "s", NOW).unwrap().is_empty());
    assert!(reader.context(RECIPE, Some("another"), "s", NOW).unwrap().is_empty());
    assert_eq!(reader.context(RECIPE, None, "s", NOW).unwrap().len(), 2);
    set("3", "j", None, None);
    assert_eq!(reader.flag(RECIPE, "j", NOW).unwrap(), None);
    assert_eq!(reader.context_value(RECIPE, whose, "s", "j", NOW).unwrap(), None);
}

#[test]
fn cooldown_cache_and_rate_are_seen_by_the_next() {
    let test = TestStore::new();
    let reader = test.store.reader();
    let key = Digest::of(b"rendered");
    let value = CachedVerdict {
        verdict: Verdict::certain("drop", "spam"),
        model: Some("gemma3-1b".into()),
        prompt_hash: None,
    };
    test.decide("m1", 'a', |run| {
        run.cooldown = Some(("c".into(), NOW));
        let expires_at = NOW.plus(Duration::from_secs(300));
        run.cache = Some(CacheEntry { key, value: value.clone(), expires_at });
    });
    assert_eq!(reader.cooldown_last(RECIPE, "c").unwrap(), Some(NOW));
    assert_eq!(reader.cooldown_last("other", "c").unwrap(), None);
    assert_eq!(reader.cached(&key, NOW).unwrap(), Some(value));
    assert_eq!(reader.cached(&key, NOW.plus(Duration::from_secs(300))).unwrap(), None);

    test.decide("skipped", 'a', |run| run.row.counted = false);
    for id in ["m2", "m3", "m4"] {
        test.decide(id, 'a', |_| {});
    }
    let window = Window::before(NOW, Duration::from_secs(60));
    let count = |recipe, letter: &str, cap| {
        reader.rate_count(recipe, &letter.repeat(16), window, cap).unwrap()
    };
    assert_eq!(count(RECIPE, "a", 100), 4);
    assert_eq!(count(RECIPE, "a", 2), 2);
    assert_eq!(count(RECIPE, "b", 100), 0);
    assert_eq!(count("other", "a", 100), 0);
}

#[test]
fn a_failing_command_leaves_its_neighbours_alone() {
    let test = TestStore::new();
    let seqs: Vec<_> =
        (0..20).map(|n| test.accept(mail(&n.to_string(), &node('a'), "hello"))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcomes = runtime.block_on(async {
        // All wait in the channel before the writer takes the first batch.
        let runs = seqs.iter().enumerate().map(|(n, seq)| {
            let seq = if n % 5 == 0 { 9999 } else { *seq };
            test.store.commit(run_on(seq, &node('a'), "drop", vec![wake()]))
        });
        join_all(runs).await
    });
    let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (16, 4));
    assert!(bad.iter().all(|end| matches!(end, Err(StoreError::NoSuchEnvelope(9999)))));
    assert_eq!((test.assert_whole(), test.count("outbox")), (16, 16));
}

async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn a_full_database_loses_nothing_and_performs_nothing() {
    let test = TestStore::new();
    let filler = "x".repeat(60_000);
    let seq = test.accept(mail("first", &node('a'), "hello"));
    let pages: i64 = test.shell().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    test.store
        .writer
        .run_blocking(1, move |session| {
            let limit = pages + 20;
            session
                .connection
                .pragma_update_and_check(None, "max_page_count", limit, |_| Ok(()))
                .map_err(|source| StoreError::Database { doing: "limit", source })
        })
        .unwrap();
    let refused = (0..100)
        .map(|n| test.store.accept_blocking(vec![mail(&format!("m{n}"), &node('a'), &filler)]))
        .find_map(Result::err)
        .expect("the database must become full");
    assert!(refused.is_full(), "{refused}");

    let (events, rows) = (test.count("envelopes"), test.count("journal"));
    let mut run = run_on(seq, &node('a'), "wake", vec![compile("b", 1, &[]), wake()]);
    run.trace.evaluate.notes = vec![filler.repeat(4)];
    let error = test.store.commit_blocking(run).unwrap_err();
    assert!(error.is_full(), "{error}");
    for table in ["outbox", "buffers", "flushes", "traces"] {
        assert_eq!(test.count(table), 0, "{table}");
    }
    assert_eq!((test.count("envelopes"), test.count("journal")), (events, rows));

    let test = test.reopen();
    test.commit(run_on(seq, &node('a'), "wake", vec![wake()]));
    assert_eq!((test.assert_whole(), test.count("outbox")), (1, 1));
}
