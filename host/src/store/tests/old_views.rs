//! The queries that the user's older papers print, as they are printed.

use super::fixtures::*;
use crate::model::PromptForm;
use crate::operation::Operation;
use crate::store::{PromptPush, PromptStep};

fn filled() -> TestStore {
    let test = TestStore::new();
    test.decide("m1", 'a', |_| {});
    test.decide("m2", 'b', |run| {
        run.row.action = "wake".into();
        run.row.action_name = "summon".into();
        run.row.session_id = "s1".into();
        run.trace.action.operations = vec![crate::operation::PlannedOperation {
            operation: Operation::SetContext {
                session: "s1".into(),
                key: "k".into(),
                value: Some("v".into()),
                expires_in_s: Some(60),
            },
            denied_by: None,
            would_execute: None,
        }];
    });
    test.decide("m3", 'c', |run| {
        run.row.recipe = String::new();
        run.row.action = "drop".into();
        run.row.action_name = "breaker_blocked".into();
    });
    for text in ["{tier} two", "{tier} one"] {
        let push = PromptPush {
            name: "triage".into(),
            form: PromptForm::Text,
            content: text.into(),
            how: PromptStep::Load,
            by: "operator".into(),
            at: NOW,
        };
        test.store.load_prompt_blocking(push).unwrap();
    }
    test
}

fn table(test: &TestStore, sql: &str) -> Vec<Vec<String>> {
    let shell = test.shell();
    let mut statement = shell.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let texts = |row: &rusqlite::Row<'_>| {
        (0..columns)
            .map(|column| {
                row.get::<_, rusqlite::types::Value>(column).map(|value| match value {
                    rusqlite::types::Value::Null => "NULL".to_owned(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Real(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    rusqlite::types::Value::Blob(_) => "BLOB".to_owned(),
                })
            })
            .collect()
    };
    statement.query_map([], texts).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_rollout_checklist() {
    let test = filled();
    let counts =
        table(&test, "SELECT count(*), action FROM thrall_classifications GROUP BY action");
    assert_eq!(counts, [["1", "breaker_blocked"], ["1", "drop"], ["1", "wake"]]);
    let drops = table(
        &test,
        "SELECT count(*) FROM thrall_classifications WHERE action='drop' AND created_at > 1772271100",
    );
    assert_eq!(drops, [["1"]]);
}

#[test]
fn the_release_notes() {
    let test = filled();
    let rows = table(
        &test,
        "SELECT from_node, tier, action, reasoning, wall_ms
         FROM thrall_classifications
         ORDER BY created_at DESC LIMIT 20;",
    );
    assert_eq!(rows.len(), 3);
    assert!(rows.contains(&vec![
        node('a'),
        "unknown".into(),
        "drop".into(),
        "greeting".into(),
        "30".into()
    ]));
    let rows = table(
        &test,
        "SELECT substr(from_node,1,16), tier, action, reasoning, wall_ms
         FROM thrall_classifications ORDER BY created_at DESC LIMIT 10",
    );
    assert!(rows.iter().any(|row| row[0] == "b".repeat(16)));
}

#[test]
fn the_operator_guide() {
    let test = filled();
    let rows = table(
        &test,
        "SELECT pipeline, eval_type, action_name, wall_ms FROM thrall_journal ORDER BY timestamp DESC LIMIT 10",
    );
    assert!(rows.contains(&vec![RECIPE.into(), "hotwire".into(), "summon".into(), "30".into()]));
}

#[test]
fn the_source_under_review() {
    let test = filled();
    let content = "SELECT content FROM thrall_prompts WHERE name = 'triage' AND active = 1";
    assert_eq!(table(&test, content), [["{tier} one"]]);
    let listed =
        table(&test, "SELECT name, hash, pushed_by, pushed_at, active FROM thrall_prompts");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0][1].len(), listed[0][3].as_str()), (16, "1772271101"));
    let knock = "SELECT count(*) FROM thrall_classifications
        WHERE substr(from_node, 1, 16) = 'aaaaaaaaaaaaaaaa' AND action = 'drop' AND created_at > 0";
    assert_eq!(table(&test, knock), [["1"]]);
    let columns = "SELECT rowid, message_id, from_node, tier, action, reasoning, prompt_hash,
        wall_ms, session_id, created_at, ttl_expires FROM thrall_classifications";
    assert_eq!(table(&test, columns).len(), 3);
}

#[test]
fn every_old_column_of_the_journal_and_the_context() {
    let test = filled();
    let rows = table(
        &test,
        "SELECT id, timestamp, pipeline, session_id, envelope_json, filter_json, eval_type,
             eval_result, action_name, action_trace, context_written, wall_ms, mode, reviewed,
             correction, from_node FROM thrall_journal WHERE id = 2",
    );
    let row = &rows[0];
    assert_eq!((row[1].as_str(), row[3].as_str()), ("1772271101", "s1"));
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&row[4])["body_text"], "hello");
    assert_eq!(json(&row[5])["decision"], "pass");
    assert_eq!(json(&row[7])["action"], "wake");
    assert_eq!(json(&row[9])["executed"], true);
    assert_eq!((row[12].as_str(), row[15].as_str()), ("supervised", &*"b".repeat(16)));
    let context =
        table(&test, "SELECT session_id, key, value, created_at, expires_at FROM thrall_context");
    assert_eq!(context, [["s1", "k", "v", "1772271101", "1772271161"]]);
}
