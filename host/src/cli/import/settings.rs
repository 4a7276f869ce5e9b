//! The old `plugin.toml`: each of its keys gets a row of the report, and those
//! that have a new name are collected for `thrall.toml`. What became of which
//! key is in `config/old_keys.rs`; writing them is `import/thrall_toml.rs`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::present::Present;
use super::report::{Item, Word};
use crate::config;
use crate::config::old_keys::{self, Became, NewKey, OLD_KEYS, OldKey};
use crate::envelope::sender::is_node_id;
use crate::ids::nearest;
use crate::model_files::ModelFiles;
use crate::roles::accounts::Accounts;
use crate::strict_toml::{self, Problem, Sink};

/// Rows for keys that nobody knows; the others are counted.
const MAX_UNKNOWN: usize = 20;
/// A shorter secret would be found in every file.
const MIN_SECRET_BYTES: usize = 6;

/// A value that `thrall.toml` is to have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// The old key.
    pub(super) what: String,
    pub(super) new: NewKey,
    /// As TOML.
    pub(super) value: String,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct OldSettings {
    pub(super) items: Vec<Item>,
    pub(super) wanted: Vec<Wanted>,
    /// Never shown, and in no file that is written.
    pub(super) secrets: Vec<String>,
}

/// Reads the file. `present` is the home's own configuration, `models` what
/// models it has.
pub(super) fn read(file: &str, text: &str, present: &Present, models: &ModelFiles) -> OldSettings {
    let sink = Sink::new(file, text);
    let Some(root) = strict_toml::parse(&sink) else {
        let item = Item::broken(file, sink.into_parts().0);
        let secrets = secrets_by_line(text);
        return OldSettings { items: vec![item], secrets, ..OldSettings::default() };
    };
    let values = strict_toml::to_json(&sink, &root);
    let mut reader =
        Reader { file, text, present, models, found: OldSettings::default(), unknown: 0 };
    reader.walk(&root, &values, "");
    if reader.unknown > MAX_UNKNOWN {
        let why = format!("{} more keys that no thrall read", reader.unknown - MAX_UNKNOWN);
        reader.found.items.push(Item::left_out(file, why));
    }
    let (errors, _) = sink.into_parts();
    if !errors.is_empty() {
        let detail = "holds values that no key of thrall takes, see below";
        reader.found.items.push(Item { problems: errors, ..Item::needs_you(file, detail) });
    }
    reader.found
}

/// The secrets of a file that is no TOML: what stands behind their names.
fn secrets_by_line(text: &str) -> Vec<String> {
    let names: Vec<&str> = OLD_KEYS
        .iter()
        .filter(|row| matches!(row.became, Became::Secret(_)))
        .filter_map(|row| row.path.rsplit('.').next())
        .collect();
    let secret = |line: &str| {
        let rest = names.iter().find_map(|name| line.trim_start().strip_prefix(name))?;
        let value = rest.trim_start().strip_prefix('=')?.split('#').next()?;
        let value = value.trim().trim_matches(['"', '\'']);
        (value.len() >= MIN_SECRET_BYTES).then(|| value.to_owned())
    };
    text.lines().filter_map(secret).collect()
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    present: &'a Present,
    models: &'a ModelFiles,
    found: OldSettings,
    unknown: usize,
}

impl Reader<'_> {
    fn walk(&mut self, table: &DeTable<'_>, values: &Value, prefix: &str) {
        // In the order of the file, whatever the parser keeps.
        let entries: BTreeMap<usize, (&str, &Spanned<DeValue<'_>>)> = table
            .iter()
            .map(|(key, value)| (key.span().start, (key.get_ref().as_ref(), value)))
            .collect();
        for (key, written) in entries.into_values() {
            let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            let value = values.get(key).unwrap_or(&Value::Null);
            let at = written.span().start;
            match (old_keys::find(&path), written.get_ref()) {
                (Some(row), _) => self.row(row, value, at),
                (None, DeValue::Table(inner)) if old_keys::is_table(&path) => {
                    self.walk(inner, value, &path);
                }
                _ => self.unknown(path),
            }
        }
    }

    fn unknown(&mut self, path: String) {
        if path.starts_with("config.thrall.trust_tiers.") {
            let why = "there is no such tier here: move its nodes to team, known or blocked";
            self.found.items.push(Item::needs_you(path, why));
            return;
        }
        self.unknown += 1;
        if self.unknown > MAX_UNKNOWN {
            return;
        }
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let word = last(&path);
        let near = nearest(&word, OLD_KEYS.iter().filter_map(|row| row.path.rsplit('.').next()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        let why = format!("no thrall that we know of read it{hint}");
        self.found.items.push(Item::left_out(path, why));
    }

    fn row(&mut self, row: &OldKey, value: &Value, at: usize) {
        let is_default = row.defaults.iter().any(|text| same(&json(text), value));
        let item = match row.became {
            Became::Key(new) => {
                self.key(row, new, value, at, is_default);
                return;
            }
            Became::Instead(_) if row.path.ends_with("model_path") && !is_default => {
                model_file(row.path, value, self.models)
            }
            Became::Later(why) | Became::Instead(why) if is_default => {
                Item::left_out(row.path, format!("it has the earlier default; {why}"))
            }
            Became::Later(why) => Item::needs_you(
                row.path,
                format!("this version has nothing for it and does not obey it: {why}"),
            ),
            Became::Instead(why) => Item::needs_you(row.path, why),
            Became::Gone(why) => Item::left_out(row.path, why),
            Became::Secret(place) => {
                if let Value::String(secret) = value
                    && secret.len() >= MIN_SECRET_BYTES
                {
                    self.found.secrets.push(secret.clone());
                }
                Item::left_out(row.path, format!("a secret, neither copied nor shown: {place}"))
            }
        };
        self.found.items.push(item);
    }

    /// A key that has a new name.
    fn key(&mut self, row: &OldKey, new: NewKey, value: &Value, at: usize, is_default: bool) {
        let mut value = value.clone();
        if new.table == "trust_tiers" {
            self.only_node_ids(row.path, &mut value);
        }
        let shown = format!("{} = {}", new.name(), toml_of(&value));
        let now = self.present.value(&new);
        if same(&now.value, &value) {
            let whose = if now.is_written { "thrall.toml" } else { "the default here as well" };
            let detail = format!("{shown}, {whose}");
            return self.push(Item::new(row.path, Word::AlreadyThere, detail));
        }
        if is_default {
            let detail = format!(
                "{} stays {}: {} was the earlier default, nobody's choice",
                new.name(),
                toml_of(&now.value),
                toml_of(&value)
            );
            return self.push(Item::left_out(row.path, detail));
        }
        let problems = self.refusals(&new, &value, at);
        if !problems.is_empty() {
            let detail = format!("{} does not take this value, see below", new.name());
            return self.push(Item { problems, ..Item::needs_you(row.path, detail) });
        }
        // Of the flat keys and those in [local] the earlier thrall took the latter.
        if let Some(earlier) = self.found.wanted.iter().position(|wanted| wanted.new == new) {
            let is_flat = !row.path.contains(".local.");
            let other = self.found.wanted.get(earlier).map(|wanted| wanted.what.clone());
            let (kept, left) = if is_flat {
                (other.unwrap_or_default(), row.path.to_owned())
            } else {
                self.found.wanted.remove(earlier);
                (row.path.to_owned(), other.unwrap_or_default())
            };
            self.push(Item::left_out(left, format!("{kept} is the one that counted")));
            if is_flat {
                return;
            }
        }
        self.found.wanted.push(Wanted { what: row.path.to_owned(), new, value: toml_of(&value) });
    }

    fn push(&mut self, item: Item) {
        self.found.items.push(item);
    }

    /// Takes out what is no node id: an example's words, a prefix that many fit.
    fn only_node_ids(&mut self, path: &str, value: &mut Value) {
        let Value::Array(entries) = value else { return };
        let mut others = Vec::new();
        entries.retain(|entry| {
            let is_good = entry.as_str().is_none_or(is_node_id);
            if !is_good {
                others.push(entry.to_string());
            }
            is_good
        });
        if !others.is_empty() {
            others.truncate(10);
            let why = format!(
                "no node ids, which have 64 hex characters or at least the first 16: {}",
                others.join(", ")
            );
            self.push(Item::needs_you(path, why));
        }
    }

    /// Why the new key does not take a value, as the loader itself says it.
    fn refusals(&self, new: &NewKey, value: &Value, at: usize) -> Vec<Problem> {
        let header =
            if new.table.is_empty() { String::new() } else { format!("[{}]\n", new.table) };
        let alone = format!("{header}{} = {}\n", new.key, toml_of(value));
        let problems = match config::parse(self.file, &alone, &Accounts::parse("", "")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        problems
            .into_iter()
            .map(|problem| Problem {
                expected: problem.expected,
                nearest: problem.nearest,
                ..Problem::at(self.file, self.text, at, problem.what)
            })
            .collect()
    }
}

/// A model's file: the catalogue may know it, and it may be here.
fn model_file(path: &str, value: &Value, models: &ModelFiles) -> Item {
    let file = value.as_str().unwrap_or_default();
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let Some(entry) = models.catalogue().entries().iter().find(|entry| entry.file == name) else {
        let why = "no model of the catalogue has such a file: describe it in models/catalogue.toml, or take one of `thrall model list`";
        return Item::needs_you(path, why);
    };
    if let Some(found) = models.find(entry) {
        let detail = format!("the model {} is {}", entry.name, found.display());
        return Item::new(path, Word::AlreadyThere, detail);
    }
    // It is to be pasted into a shell.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let file = if file.chars().all(is_plain) { file } else { "FILE" };
    let why = format!("take the file over: thrall model pull {} --from-file {file}", entry.name);
    Item::needs_you(path, why)
}

/// A value of the table of old keys.
pub(super) fn json(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<toml::Table>().ok();
    let value = parsed.and_then(|table| table.get("value").cloned());
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or(Value::Null)
}

pub(super) fn toml_of(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| "?".to_owned(), |value| value.to_string())
}

/// 5 and 5.0 are one number.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}
