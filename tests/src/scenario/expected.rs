//! What came of a scenario, held against `expected.toml`. A table matches when
//! each of its keys does; a text that begins with `~` matches when what follows
//! is part of the value. Lists have to be complete and in order.

use serde_json::{Value, json};
use thrall::app::App;

use super::Scenario;
use crate::test_home::TestHome;

/// Everything that can be looked at, as JSON.
pub struct Outcome {
    values: Vec<(&'static str, Vec<Value>)>,
}

/// What `expected.toml` may hold: its key, and the query behind it.
const QUERIES: [(&str, &str); 10] = [
    (
        "journal",
        "SELECT json_object('recipe', recipe, 'trigger', trigger, 'tier', tier, 'mode', mode,
             'eval_type', eval_type, 'action', action, 'action_name', action_name, 'reason', reason,
             'from', substr(from_node, 1, 1), 'session', session_id, 'model', model,
             'prompt_hash', prompt_hash, 'confidence', confidence)
         FROM journal WHERE kind = 'decision' ORDER BY id",
    ),
    (
        "performed",
        "SELECT json_object('recipe', recipe, 'kind', action, 'state', action_name, 'detail', reason)
         FROM journal WHERE kind = 'performed' ORDER BY id",
    ),
    (
        "outbox",
        "SELECT json_object('recipe', recipe, 'kind', kind, 'state', state, 'detail', detail,
             'body', body, 'task', task, 'capability', capability, 'priority', priority,
             'lane', lane)
         FROM outbox ORDER BY id",
    ),
    (
        "buffers",
        "SELECT json_object('buffer', buffer, 'waiting', sum(flush_id IS NULL))
         FROM buffers GROUP BY buffer HAVING sum(flush_id IS NULL) > 0 ORDER BY buffer",
    ),
    (
        "context",
        "SELECT json_object('session', session_id, 'recipe', namespace, 'key', key, 'value', value)
         FROM context ORDER BY session_id, namespace, key",
    ),
    (
        "reviews",
        "SELECT json_object('recipe', recipe, 'state', state, 'role', role, 'correction', correction)
         FROM reviews ORDER BY journal_id",
    ),
    (
        "flags",
        "SELECT json_object('recipe', namespace, 'key', key, 'value', value)
         FROM flags ORDER BY namespace, key",
    ),
    (
        "flushes",
        "SELECT json_object('buffer', buffer, 'cause', cause, 'items', item_count,
             'emptied', json(iif(emptied_at IS NULL, 'false', 'true')))
         FROM flushes ORDER BY id",
    ),
    (
        "host_calls",
        "SELECT json_object('recipe', j.recipe, 'stage', h.stage, 'function', h.function,
             'request', h.request, 'answer', h.answer)
         FROM host_calls h JOIN journal j ON j.id = h.journal_id ORDER BY j.id, h.ordinal",
    ),
    (
        "events",
        "SELECT json_object('id', id, 'trigger', trigger, 'source', source, 'state', state,
             'depth', depth, 'id_conflict', id_conflict)
         FROM envelopes ORDER BY seq",
    ),
];

impl Outcome {
    /// # Panics
    /// When the home cannot be read.
    pub fn read(app: &App, home: &TestHome, answers: Vec<String>) -> Self {
        let database = home.database();
        let mut values: Vec<(&'static str, Vec<Value>)> = QUERIES
            .iter()
            .map(|(key, sql)| {
                let mut statement = database.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
                (*key, rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect())
            })
            .collect();
        let traces = {
            let sql =
                "SELECT t.body FROM traces t JOIN journal j ON j.id = t.journal_id ORDER BY 1";
            let mut statement =
                database.prepare(&sql.replace("ORDER BY 1", "ORDER BY j.id")).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(|row| json!({"text": row.unwrap()})).collect()
        };
        values.push(("traces", traces));
        values.push(("answers", answers.into_iter().map(|text| json!({"text": text})).collect()));
        values.push(("artifacts", artifacts(home)));
        let log = std::fs::read_to_string(home.path("state/thrall.log")).unwrap_or_default();
        values.push(("log", log.lines().map(|line| json!({"text": line})).collect()));
        let registry = app.registry.load_full();
        let recipes = registry.entries().map(|entry| {
            json!({
                "name": entry.name,
                "state": entry.state.word(),
                "mode": entry.revision.as_ref().map(|one| one.effective_mode.as_str()),
                "problems": format!("{:?} {:?} {:?}", entry.state, entry.rejected, entry.waiting),
                "warnings": entry.revision.as_ref().map(|one| one.recipe.warnings.join("\n")),
            })
        });
        values.push(("recipes", recipes.collect()));
        let ready = app.ready_lines().into_iter().map(|line| json!({"text": line}));
        values.push(("ready", ready.collect()));
        values.push(("health", vec![json!({"text": app.health().problems.join("\n")})]));
        Self { values }
    }
}

fn artifacts(home: &TestHome) -> Vec<Value> {
    let mut found: Vec<(String, String)> = std::fs::read_dir(home.path("artifacts"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(name, text)| json!({"name": name, "text": text})).collect()
}

/// Lines that say what is not as expected; none if all is.
pub(super) fn differences(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    assert!(!scenario.expected.is_empty(), "{} expects nothing", scenario.name);
    for (key, wanted) in &scenario.expected {
        let (list, is_partial) = match key.strip_prefix("some_") {
            Some(list) => (list, true),
            None => (key.as_str(), false),
        };
        if let Some(list) = key.strip_suffix("_count") {
            let there = rows(outcome, list, &scenario.name).len();
            let wanted = wanted.as_integer().unwrap();
            if i64::try_from(there).unwrap() != wanted {
                lines.push(format!("{}: {there} {list} rows, {wanted} expected", scenario.name));
            }
            continue;
        }
        let there = rows(outcome, list, &scenario.name);
        let wanted: Vec<&toml::Table> =
            wanted.as_array().unwrap().iter().map(|one| one.as_table().unwrap()).collect();
        if is_partial {
            let mut rest = there.iter();
            for one in wanted {
                if !rest.any(|row| matches(one, row)) {
                    lines.push(missing(scenario, list, one, there));
                }
            }
            continue;
        }
        for (index, one) in wanted.iter().enumerate() {
            match there.get(index) {
                Some(row) if matches(one, row) => {}
                _ => lines.push(missing(scenario, &format!("{list}[{index}]"), one, there)),
            }
        }
        if there.len() != wanted.len() {
            lines.push(format!(
                "{}: {} {list} rows, {} expected:{}",
                scenario.name,
                there.len(),
                wanted.len(),
                shown(there)
            ));
        }
    }
    if !lines.is_empty() {
        lines.push(format!("recipes:{}", shown(rows(outcome, "recipes", &scenario.name))));
    }
    lines
}

fn missing(scenario: &Scenario, place: &str, wanted: &toml::Table, there: &[Value]) -> String {
    format!(
        "{} ({}): {place} should be\n{wanted}\nthere is{}",
        scenario.name,
        scenario.title,
        shown(there)
    )
}

/// A row a line.
fn shown(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("\n  {row}")).collect()
}

fn rows<'o>(outcome: &'o Outcome, list: &str, name: &str) -> &'o [Value] {
    let found = outcome.values.iter().find(|(key, _)| *key == list);
    &found.unwrap_or_else(|| panic!("{name}: nothing is called {list:?}")).1
}

fn matches(wanted: &toml::Table, row: &Value) -> bool {
    wanted.iter().all(|(key, value)| match (value, &row[key.as_str()]) {
        (toml::Value::Array(all), there) => all.iter().all(|one| is_like(one, there)),
        (one, there) => is_like(one, there),
    })
}

fn is_like(wanted: &toml::Value, there: &Value) -> bool {
    match (wanted, there) {
        (toml::Value::String(wanted), Value::String(there)) => {
            match (wanted.strip_prefix('~'), wanted.strip_prefix("!~")) {
                (_, Some(part)) => !there.contains(part),
                (Some(part), _) => there.contains(part),
                (None, None) => there == wanted,
            }
        }
        (toml::Value::String(wanted), Value::Null) => wanted.is_empty() || wanted.starts_with("!~"),
        (toml::Value::Integer(wanted), there) => there.as_i64() == Some(*wanted),
        (toml::Value::Boolean(wanted), there) => there.as_bool() == Some(*wanted),
        (toml::Value::Float(wanted), there) => {
            there.as_f64().is_some_and(|there| (there - wanted).abs() < 0.001)
        }
        _ => false,
    }
}
