//! Reading a scenario folder: `scenario.toml` (what it shows, configuration,
//! answers of model and node), `recipes/`, `grants/`, `prompts/`, `events.jsonl`
//! and `expected.toml`.

use std::path::Path;

use serde_json::{Value, json};

/// One scenario.
pub struct Scenario {
    pub name: String,
    pub title: String,
    /// Lines that stand at the top of thrall.toml.
    pub config: String,
    /// Shipped recipes that are there.
    pub shipped: Vec<String>,
    /// Recipes without a grant.
    pub ungranted: Vec<String>,
    pub recipes: Vec<(String, String)>,
    pub grants: Vec<(String, String)>,
    pub prompts: Vec<(String, String)>,
    pub model: Vec<toml::Table>,
    pub has_node: bool,
    pub node: Vec<toml::Table>,
    /// Answers of the node's routes, by name.
    pub cockpit: toml::Table,
    pub steps: Vec<Step>,
    pub expected: toml::Table,
}

/// One thing that happens.
pub enum Step {
    Event {
        source: String,
        event: Value,
    },
    Batch {
        source: String,
        events: Vec<Value>,
    },
    Ask {
        event: Value,
    },
    Wait(u64),
    Tick,
    Write {
        path: String,
        text: String,
    },
    Remove {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Reload,
    Restart,
    /// A node is there from the next start on.
    Connect,
    Run {
        args: Vec<String>,
        code: i32,
        says: String,
    },
}

impl Scenario {
    /// # Panics
    /// When something cannot be read, with the place.
    pub fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let head = table(folder, "scenario.toml");
        const KEYS: [&str; 8] =
            ["title", "config", "shipped", "fixtures", "ungranted", "model", "node", "cockpit"];
        for key in head.keys() {
            assert!(KEYS.contains(&key.as_str()), "{name}: scenario.toml has an unknown key {key}");
        }
        let text = |key: &str| {
            head.get(key).map_or_else(String::new, |value| value.as_str().unwrap().to_owned())
        };
        let texts = |key: &str| -> Vec<String> {
            let list = head.get(key).and_then(toml::Value::as_array);
            list.into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let tables = |key: &str| -> Vec<toml::Table> {
            let list = head.get(key).and_then(toml::Value::as_array);
            list.into_iter().flatten().map(|one| one.as_table().unwrap().clone()).collect()
        };
        let mut recipes = files(folder, "recipes", true);
        let mut prompts = files(folder, "prompts", false);
        let mut grants = files(folder, "grants", true);
        for (place, fixture) in
            head.get("fixtures").and_then(toml::Value::as_table).into_iter().flatten()
        {
            let from = super::root().join("../fixtures").join(fixture.as_str().unwrap());
            let text = std::fs::read_to_string(from).unwrap();
            let stem = |file: &str| file.trim_end_matches(".toml").to_owned();
            match place.split_once('/').unwrap() {
                ("recipes", file) => recipes.push((stem(file), text)),
                ("grants", file) => grants.push((stem(file), text)),
                ("prompts", file) => prompts.push((file.to_owned(), text)),
                _ => panic!("{name}: fixtures go to recipes/, grants/ or prompts/, not to {place}"),
            }
        }
        assert!(!text("title").is_empty(), "{name}: a scenario says what it shows");
        Self {
            title: text("title"),
            config: text("config"),
            shipped: texts("shipped"),
            ungranted: texts("ungranted"),
            recipes,
            grants,
            prompts,
            model: tables("model"),
            has_node: head.contains_key("node"),
            node: tables("node"),
            cockpit: head
                .get("cockpit")
                .map_or_else(toml::Table::new, |table| table.as_table().unwrap().clone()),
            steps: steps(folder, &name),
            expected: table(folder, "expected.toml"),
            name,
        }
    }
}

fn table(folder: &Path, file: &str) -> toml::Table {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of a folder by name, with or without their ending.
fn files(folder: &Path, inside: &str, only_stem: bool) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder.join(inside)) else { return Vec::new() };
    let mut found: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = if only_stem { path.file_stem() } else { path.file_name() };
            (name.unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn steps(folder: &Path, name: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
    let mut steps = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let value: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{name}: events.jsonl:{}: {error}", number + 1));
        steps.extend(step(&value, name, number + 1));
    }
    steps
}

fn step(value: &Value, name: &str, line: usize) -> Vec<Step> {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let source = value["source"].as_str().unwrap_or("ingest").to_owned();
    let members = value.as_object().unwrap();
    let times = value["times"].as_u64().unwrap_or(1);
    if let Some(mail) = members.get("mail") {
        let many = |n: u64| event_of_mail(mail, line, n);
        return if value["at_once"].as_bool() == Some(true) {
            vec![Step::Batch { source, events: (0..times).map(many).collect() }]
        } else {
            (0..times).map(|n| Step::Event { source: source.clone(), event: many(n) }).collect()
        };
    }
    if let Some(event) = members.get("event") {
        return (0..times)
            .map(|_| Step::Event { source: source.clone(), event: event.clone() })
            .collect();
    }
    let one = if let Some(event) = members.get("ask") {
        Step::Ask { event: event.clone() }
    } else if let Some(seconds) = members.get("wait") {
        Step::Wait(seconds.as_u64().unwrap())
    } else if members.contains_key("tick") {
        return (0..times).map(|_| Step::Tick).collect();
    } else if members.contains_key("write") {
        Step::Write { path: text("write"), text: text("text") }
    } else if members.contains_key("remove") {
        Step::Remove { path: text("remove") }
    } else if members.contains_key("rename") {
        Step::Rename { from: text("rename"), to: text("to") }
    } else if members.contains_key("reload") {
        Step::Reload
    } else if members.contains_key("restart") {
        Step::Restart
    } else if members.contains_key("connect") {
        Step::Connect
    } else if let Some(args) = members.get("run") {
        let args = args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
        let code = i32::try_from(value["code"].as_i64().unwrap_or(0)).unwrap();
        Step::Run { args: args.collect(), code, says: text("says") }
    } else {
        panic!("{name}: events.jsonl:{line}: nothing that can happen: {value}");
    };
    vec![one]
}

/// `{"from": "a", "body": "...", "type": "text", "session": "s", "id": "..."}`.
/// A sender of one letter is that letter 64 times.
fn event_of_mail(mail: &Value, line: usize, n: u64) -> Value {
    let from = mail["from"].as_str().unwrap_or("a");
    let from = if from.len() == 1 { from.repeat(64) } else { from.to_owned() };
    let body = mail["body"].as_str().unwrap_or("hello");
    let mut fields = json!({
        "from_node": from,
        "to_node": "0".repeat(64),
        "msg_type": mail["type"].as_str().unwrap_or("text"),
        "body_text": body.replace("{n}", &n.to_string()),
    });
    if let Some(session) = mail["session"].as_str() {
        fields["session_id"] = json!(session);
    }
    if let Some(Value::Object(more)) = mail.get("fields") {
        for (key, value) in more {
            fields[key] = value.clone();
        }
    }
    let id = mail["id"].as_str().map_or_else(|| format!("m{line}-{n}"), str::to_owned);
    json!({"id": id, "trigger": "on_mail", "fields": fields})
}
