//! The cost of an event must not grow with the journal: nothing on its path
//! walks through a table, and nothing is sorted that an index could deliver.

use super::super::{
    children, decision_inputs, flush, flush_rows, forgetting, journal_query, outbox_ends,
    outbox_rows, sender_limits,
};
use super::fixtures::*;

fn plan(test: &TestStore, sql: &str) -> Vec<String> {
    let shell = test.shell();
    let mut statement = shell.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get(3).unwrap());
    }
    plan
}

fn assert_bounded(test: &TestStore, sql: &str) {
    let plan = plan(test, sql);
    assert!(!plan.is_empty());
    for step in &plan {
        let is_table_scan = step.starts_with("SCAN ")
            && [
                "journal",
                "answers",
                "sent",
                "envelopes",
                "dedupe",
                "payloads",
                "traces",
                "outbox",
                "buffers",
            ]
            .iter()
            .any(|table| step.split(' ').any(|word| word == *table));
        assert!(!is_table_scan, "{step}\n{sql}\n{plan:#?}");
    }
}

#[test]
fn what_a_decision_asks_goes_through_indexes() {
    let test = TestStore::new();
    for sql in decision_inputs::STATEMENTS
        .into_iter()
        .chain(children::STATEMENTS)
        .chain(sender_limits::STATEMENTS)
    {
        assert_bounded(&test, sql);
    }
}

#[test]
fn journal_questions_go_through_one_index_in_order() {
    let test = TestStore::new();
    for sql in journal_query::STATEMENTS {
        assert_bounded(&test, sql);
        let plan = plan(&test, sql);
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}

#[test]
fn writing_a_run_searches_and_never_scans() {
    let test = TestStore::new();
    for sql in [
        "SELECT seq FROM dedupe WHERE id = ?1 AND scope = ?2 AND content = ?3 AND at >= ?4",
        "SELECT EXISTS (SELECT 1 FROM dedupe WHERE id = ?1 AND scope = ?2 AND at >= ?3)",
        "SELECT id FROM journal WHERE envelope_seq = ?1 AND recipe = ?2 AND kind = 'decision'",
        "SELECT min(id) FROM journal WHERE envelope_seq = ?1 AND kind = 'decision'",
        "UPDATE buffers SET lines = lines + 1 WHERE buffer = ?1 AND template = ?2 AND file = ?3
             AND recipe = ?4 AND flush_id IS NULL AND template IS NOT NULL",
    ] {
        assert_bounded(&test, sql);
    }
}

/// Whatever a buffer holds, and however many flushes there were.
#[test]
fn a_flush_looks_at_what_it_takes_and_sums_up_without_reading_mails() {
    let test = TestStore::new();
    for sql in flush_rows::STATEMENTS.into_iter().chain(outbox_ends::STATEMENTS) {
        assert_bounded(&test, sql);
    }
    for sql in flush::STATEMENTS.into_iter().chain(outbox_ends::STATEMENTS) {
        let plan = plan(&test, sql);
        let looks_at_all = |step: &String| step.contains("flushes") && step.starts_with("SCAN ");
        assert!(
            !plan.iter().any(|step| looks_at_all(step) && !step.contains("flushes_at_work")),
            "{sql}\n{plan:#?}"
        );
    }
    for sql in flush_rows::SUMMARIES {
        let plan = plan(&test, sql);
        assert!(
            plan.iter().any(|step| step.contains("USING COVERING INDEX buffers_flush")),
            "{plan:#?}"
        );
    }
    let urgent = plan(&test, flush_rows::STAMP_URGENT);
    assert!(urgent.iter().any(|step| step.contains("buffers_urgent")), "{urgent:#?}");
}

/// It is looked for every half minute, however much is remembered for ever.
#[test]
fn what_has_expired_is_found_without_looking_at_the_rest() {
    let test = TestStore::new();
    for (find, forget) in forgetting::TABLES {
        for sql in [find, forget] {
            let plan = plan(&test, sql);
            assert!(plan.iter().all(|step| !step.starts_with("SCAN ")), "{sql}\n{plan:#?}");
        }
    }
}

#[test]
fn looking_for_work_costs_no_more_with_a_long_past() {
    let test = TestStore::new();
    assert_bounded(&test, &format!("SELECT o.id FROM outbox o {}", outbox_rows::NEXT_PENDING));
    assert_bounded(
        &test,
        "SELECT seq FROM envelopes WHERE state = 'pending' AND seq > ?1 ORDER BY seq LIMIT ?2",
    );
}

#[test]
fn old_scripts_get_their_newest_rows_without_sorting_the_journal() {
    let test = TestStore::new();
    for sql in [
        "SELECT pipeline, eval_type FROM thrall_journal ORDER BY timestamp DESC LIMIT 10",
        "SELECT from_node FROM thrall_classifications ORDER BY created_at DESC LIMIT 20",
    ] {
        let plan = plan(&test, sql);
        assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}
