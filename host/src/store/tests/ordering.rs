//! What the operator's word does to rows, and what depends on them.

use std::time::Duration;

use super::fixtures::*;
use crate::operation::Operation;
use crate::store::{
    Finish, Ordered, OutboxOrder, OutboxRow, OutboxState, Outcome, SkillAnswer, Store,
};

use OutboxOrder::{Drop, Retry};
use OutboxState::{Done, Dropped, Failed, Held, Pending, Recorded, Uncertain};

const LATER: crate::clock::TimestampMs = crate::clock::TimestampMs(NOW.0 + 1000);

fn order(test: &TestStore, id: i64, order: OutboxOrder) -> Ordered {
    wait(test.store.order(id, order, LATER)).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn end(store: &Store, id: i64, outcome: Outcome) {
    store.finish_blocking(vec![Finish::new(id, NOW, outcome)]).unwrap();
}

fn failed() -> Outcome {
    Outcome::Failed { detail: "no such skill".into() }
}

fn held() -> Outcome {
    Outcome::Held { reason: crate::store::NO_NODE.into() }
}

/// Three steps of one plan; the first is a skill whose answer is waited for.
fn plan(wake_on_failure: bool) -> TestStore {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    let skill = |name: &str, continue_as: Option<&str>| Operation::Skill {
        skill: name.into(),
        input_json: "{}".into(),
        continue_as: continue_as.map(str::to_owned),
    };
    let operations = vec![
        skill("first", Some("tell")),
        Operation::Reply { body: "yes".into() },
        skill("last", None),
    ];
    let mut run = run_on(seq, &node('a'), "act", operations);
    run.delivery.wake_on_failure = wake_on_failure;
    test.commit(run);
    test
}

fn rows(test: &TestStore) -> Vec<OutboxRow> {
    test.store.reader().outbox_of(1).unwrap()
}

fn states(test: &TestStore) -> Vec<OutboxState> {
    rows(test).iter().map(|row| row.state).collect()
}

fn answers(test: &TestStore) -> Vec<SkillAnswer> {
    let due = test.store.reader().due_continuations(LATER, 10).unwrap();
    due.into_iter().map(|one| one.answer).collect()
}

#[test]
fn every_state_takes_the_orders_that_mean_something() {
    let ends = [
        (failed(), [Some(Pending), Some(Dropped)]),
        (held(), [Some(Pending), Some(Dropped)]),
        (Outcome::Uncertain { detail: "timeout".into() }, [Some(Pending), Some(Dropped)]),
        (Outcome::Done { detail: String::new() }, [None, None]),
        (Outcome::Recorded { detail: String::new() }, [None, None]),
        (Outcome::Retry { detail: "busy".into(), not_before: LATER }, [None, Some(Dropped)]),
    ];
    for (outcome, expected) in ends {
        for (wish, expected) in [Retry, Drop].into_iter().zip(expected) {
            let test = plan(false);
            end(&test.store, 1, outcome.clone());
            let (before, journal) = (states(&test)[0], test.count("journal"));
            match expected {
                Some(state) => {
                    assert_eq!(order(&test, 1, wish), Ordered::Done(state));
                    assert_eq!(states(&test)[0], state);
                    assert!(test.count("journal") > journal, "{wish:?} {before:?} is journaled");
                }
                None => {
                    assert_eq!(order(&test, 1, wish), Ordered::Refused(before));
                    assert_eq!((states(&test)[0], test.count("journal")), (before, journal));
                }
            }
            test.assert_whole();
        }
    }
    let test = plan(false);
    test.store.mark_attempting_blocking(vec![1], NOW).unwrap();
    assert_eq!(order(&test, 1, Drop), Ordered::Refused(OutboxState::Attempting));
    assert_eq!(order(&test, 99, Drop), Ordered::NoSuchRow);
}

#[test]
fn what_is_tried_again_is_due_at_once_and_keeps_its_key_and_its_attempts() {
    let test = plan(false);
    end(&test.store, 1, Outcome::Uncertain { detail: "timeout".into() });
    let before = rows(&test).remove(0);
    order(&test, 1, Retry);
    let due = test.store.reader().next_pending(LATER, 10).unwrap();
    assert_eq!((due.len(), due[0].id, due[0].attempts), (1, 1, 1));
    assert_eq!((due[0].created_at, due[0].detail.as_str()), (before.created_at, "timeout"));
    let steps = states(&test);
    assert_eq!(steps, [Pending, Failed, Failed], "what depended on it is tried by its own number");
    order(&test, 2, Retry);
    assert_eq!(states(&test), [Pending, Pending, Failed]);
}

#[test]
fn a_step_that_is_given_up_takes_the_later_ones_along_and_who_waits_is_told() {
    for outcome in [None, Some(held())] {
        let test = plan(false);
        if let Some(outcome) = outcome {
            end(&test.store, 1, outcome);
        }
        assert!(answers(&test).is_empty());
        order(&test, 1, Drop);
        assert_eq!(states(&test), [Dropped, Failed, Failed]);
        let told = answers(&test);
        assert!(told[0].status == "error" && told[0].output.contains("operator"), "{told:?}");
        assert!(test.store.reader().next_pending(LATER, 10).unwrap().is_empty());
        test.assert_whole();
    }
}

/// The wake that tells of a failure is the last row of the plan, and no step.
#[test]
fn giving_up_what_failed_leaves_the_wake_that_tells_of_it() {
    let test = plan(true);
    end(&test.store, 1, failed());
    assert_eq!(states(&test), [Failed, Failed, Failed, Pending]);
    order(&test, 1, Drop);
    assert_eq!(states(&test), [Dropped, Failed, Failed, Pending]);
}

/// An answer that was used is not made another one by a second attempt.
#[test]
fn a_second_attempt_does_not_answer_again() {
    let test = plan(false);
    end(&test.store, 1, failed());
    order(&test, 1, Retry);
    let answer = SkillAnswer { status: "ok".into(), output: "{}".into() };
    let end = Finish { answer: Some(answer), ..Finish::new(1, LATER, done()) };
    test.store.finish_blocking(vec![end]).unwrap();
    assert_eq!(states(&test)[0], Done);
    let told = answers(&test);
    assert_eq!((told.len(), told[0].status.as_str()), (1, "error"));
}

fn done() -> Outcome {
    Outcome::Done { detail: String::new() }
}

#[test]
fn a_briefing_takes_its_wake_along_and_nothing_of_the_buffer_waits_on() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "compile", vec![compile("b", 1, &[])]));
    end(&test.store, 1, failed());
    order(&test, 1, Drop);
    assert_eq!(states(&test), [Dropped, Dropped]);
    assert_eq!(test.count("buffers"), 0);
    assert_eq!(test.count("outbox"), 2);

    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "compile", vec![compile("b", 1, &[])]));
    end(&test.store, 1, done());
    order(&test, 2, Drop);
    assert_eq!((states(&test), test.count("buffers")), (vec![Done, Dropped], 0));
}

#[test]
fn a_node_releases_what_waited_for_it_and_nothing_else() {
    let test = plan(false);
    end(&test.store, 1, held());
    end(&test.store, 2, Outcome::Held { reason: "extension is not performed here".into() });
    end(&test.store, 3, Outcome::Uncertain { detail: "timeout".into() });
    assert_eq!(wait(test.store.release_held(LATER)).unwrap(), 1);
    assert_eq!(states(&test), [Pending, Held, Uncertain]);
    let journal = test.count("journal");
    assert_eq!(wait(test.store.release_held(LATER)).unwrap(), 0);
    assert_eq!(test.count("journal"), journal);
    test.assert_whole();
}

#[test]
fn a_flush_for_the_operator_takes_what_waits_now_and_says_who_asked() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "compile", vec![compile("b", 0, &[])]));
    let flushed = |now| {
        let faults = crate::fault_points::none();
        wait(test.store.flush_buffer("b".into(), now, false, &faults)).unwrap()
    };
    let flush = flushed(LATER).unwrap();
    assert_eq!((flush.parts, flush.head.cause.as_str()), (1, "operator"));
    let journal = test.count("journal");
    assert_eq!(journal, 2, "the decision, and that somebody asked");
    assert_eq!(flushed(LATER.plus(Duration::from_secs(1))), None);
    assert_eq!(test.count("journal"), journal);
    for id in [1, 2] {
        end(&test.store, id, Outcome::Recorded { detail: String::new() });
    }
    let rows = test.store.reader().outbox_list(&crate::store::OutboxFilter {
        state: Some(Recorded),
        recipe: None,
        limit: 10,
    });
    assert_eq!(rows.unwrap().len(), 2);
    assert_eq!(test.count("buffers"), 0);
}

/// What one of several briefings held is given up; the agent is told of the rest.
#[test]
fn the_wake_goes_with_the_last_of_its_briefings() {
    let test = TestStore::new();
    let seq = test.accept(mail("m1", &node('a'), "hello"));
    test.commit(run_on(seq, &node('a'), "compile", vec![compile("b", 0, &[])]));
    test.copy_item(1000);
    let faults = crate::fault_points::none();
    let flush = wait(test.store.flush_buffer("b".into(), LATER, false, &faults)).unwrap().unwrap();
    assert_eq!(flush.parts, 2);
    assert_eq!(order(&test, 1, Drop), Ordered::Done(Dropped));
    let states = |test: &TestStore| {
        let all = crate::store::OutboxFilter { limit: 10, state: None, recipe: None };
        let mut rows = test.store.reader().outbox_list(&all).unwrap();
        rows.sort_by_key(|row| row.id);
        rows.into_iter().map(|row| row.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&test), [Dropped, Pending, Pending]);
    assert_eq!(order(&test, 2, Drop), Ordered::Done(Dropped));
    assert_eq!(states(&test), [Dropped, Dropped, Dropped]);
    test.assert_whole();
}
