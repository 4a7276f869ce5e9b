//! From the text of `recipes/NAME.toml` to a validated [`Recipe`], or to every
//! problem of the file. The sections are in files of their own; what holds
//! between them is in `validate.rs`. Pure.

use std::collections::BTreeMap;

use super::reading::{Known, Reading, canonical_action};
use super::{
    ActionSpec, Mode, Recipe, action_section, canonical, evaluate_section, filter_section,
    gather_section, trigger_section, validate,
};
use crate::breakers::target::RESERVED;
use crate::ids::is_valid_name;
use crate::strict_toml::table::Hint;
use crate::strict_toml::{self, Problem, Sink, Table};

const KEYS: [&str; 10] = [
    "mode", "priority", "stop", "trigger", "filter", "gather", "evaluate", "hotwires", "actions",
    "config",
];

/// Keys of earlier or later versions.
const HINTS: [Hint<'static>; 5] = [
    ("knowledge", "it is not in this version of thrall"),
    ("compile", "the buffer's settings stand under [actions.compile]"),
    ("action", "actions are declared as [actions.NAME]"),
    ("rules", "rules stand under [[evaluate.rules]] or [[hotwires.rules]]"),
    ("name", "a recipe is named by its file"),
];

const MAX_PRIORITY: i64 = 1000;

/// The name under which problems of a recipe file are reported.
pub fn file_name(name: &str) -> String {
    format!("recipes/{name}.toml")
}

/// Reads a recipe file as it lies on disk.
///
/// # Errors
/// Every problem of the file, in its order; see [`parse`].
pub fn parse_bytes(name: &str, bytes: &[u8], known: &Known) -> Result<Recipe, Vec<Problem>> {
    let text = strict_toml::text_of(&file_name(name), bytes).map_err(|problem| vec![problem])?;
    parse(name, text, known)
}

/// Reads a recipe. `name` is the file's name without its ending.
///
/// # Errors
/// Every problem of the file, in its order: syntax, unknown keys, types,
/// ranges, names, expressions, placeholders, actions that are not declared.
/// At most 100 are kept.
pub fn parse(name: &str, text: &str, known: &Known) -> Result<Recipe, Vec<Problem>> {
    let file = file_name(name);
    let sink = Sink::new(&file, text);
    let recipe = read(&sink, name, known);
    let (errors, warnings) = sink.into_parts();
    match recipe {
        Some(recipe) if errors.is_empty() => {
            Ok(Recipe { warnings: warnings.iter().map(ToString::to_string).collect(), ..recipe })
        }
        _ => Err(errors),
    }
}

/// `None` only after an error was reported.
fn read(sink: &Sink<'_>, name: &str, known: &Known) -> Option<Recipe> {
    if !is_valid_name(name) {
        let what = format!("{name:?} cannot name a recipe");
        let problem = Problem::in_file(sink.file(), what);
        let expected =
            "a file name of at most 64 of a-z, 0-9, - and _, a letter or digit first, and .toml";
        sink.add(Problem { expected: Some(expected.to_owned()), ..problem });
    }
    if RESERVED.contains(&name) {
        let what = format!(
            "{name:?} cannot name a recipe: its own breakers would be taken for common ones"
        );
        sink.add(Problem::in_file(sink.file(), what));
    }
    let root = strict_toml::parse(sink)?;
    let document = strict_toml::to_json(sink, &root);
    let top = Table::top(sink, &root);
    let reading = Reading::new(sink, known, &document);
    top.only(&KEYS, &HINTS);
    let mode = mode(&top);
    let priority = top.integer("priority", -MAX_PRIORITY..=MAX_PRIORITY).unwrap_or(0);
    let stop = top.flag("stop").unwrap_or(false);
    // Any table; its own component reads it.
    drop(top.table("config"));
    let trigger = trigger_section::read(&reading, &top);
    let filter = filter_section::read(&reading, &top, name);
    let gather = gather_section::read(&reading, &top);
    let evaluation = evaluate_section::read(&reading, &top);
    let actions = action_section::read(&reading, &top);
    let fallback = validate::fallback(evaluation.fallback, &actions, reading.is_question());
    let mentions = reading.take_mentions();
    if reading.is_question() {
        validate::check_answers(sink, &mentions, &actions);
    }
    validate::check_mentions(sink, mentions, &declared_names(&top, &actions));
    let canonical_text = canonical::recipe_text(&document);
    Some(Recipe {
        name: name.to_owned(),
        mode,
        priority,
        stop,
        trigger: trigger?,
        filter,
        gather,
        evaluators: evaluation.evaluators,
        fallback,
        actions,
        canonical: canonical::recipe_digest(&canonical_text),
        canonical_text,
        reach: canonical::reach(&document),
        warnings: Vec::new(),
    })
}

/// What the author wants. Without a word the recipe only says what it would
/// do: whoever wants more has to write it.
fn mode(top: &Table<'_>) -> Mode {
    match top.word("mode", &Mode::WORDS) {
        Some(word) => Mode::from_word(word).unwrap_or(Mode::Manual),
        None => Mode::Manual,
    }
}

/// Declared actions, those with a mistake of their own included: that they are
/// there is not in doubt.
fn declared_names(top: &Table<'_>, actions: &BTreeMap<String, ActionSpec>) -> Vec<String> {
    let mut names: Vec<String> = actions.keys().cloned().collect();
    if let Some(table) = top.table("actions") {
        names.extend(table.keys().map(|key| canonical_action(key.value).to_owned()));
    }
    names.sort();
    names.dedup();
    names
}
