//! `thrall recipe words`: what may stand in a recipe file, read from what the
//! checker goes by. The tables in `guest-sdk/AUTHORING.md` are these.

use serde::Serialize;

use super::Outcome;
use super::args::WordTable;
use super::printer::Printer;
use crate::recipes::reference::{
    self, ActionWords, OperationWords, TriggerWords, common_action_keys, undeclared_actions,
};

/// What `recipe words --json` prints.
#[derive(Serialize)]
struct Words {
    triggers: Vec<TriggerWords>,
    /// Fields that no event lacks.
    fields_of_all: [&'static str; 4],
    actions: Vec<ActionWords>,
    keys_of_all_actions: Vec<&'static str>,
    undeclared_actions: Vec<&'static str>,
    operations: Vec<OperationWords>,
}

pub(super) fn run(
    wanted: Option<WordTable>,
    as_markdown: bool,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    if printer.is_json() {
        printer.json(&Words {
            triggers: reference::triggers(),
            fields_of_all: reference::STAMPED,
            actions: reference::actions(),
            keys_of_all_actions: common_action_keys(),
            undeclared_actions: undeclared_actions(),
            operations: reference::operations(),
        })?;
        return Ok(Outcome::Done);
    }
    let all = [WordTable::Triggers, WordTable::Actions, WordTable::Operations];
    for table in all.into_iter().filter(|table| wanted.is_none_or(|one| one == *table)) {
        let (head, rows) = match table {
            WordTable::Triggers => triggers(),
            WordTable::Actions => actions(),
            WordTable::Operations => operations(),
        };
        if as_markdown {
            markdown(&head, &rows, printer)?;
        } else {
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|row| row.map(|cell| cell.replace('`', "")).to_vec())
                .collect();
            printer.table(&head, &rows)?;
        }
    }
    Ok(Outcome::Done)
}

type Rows = ([&'static str; 4], Vec<[String; 4]>);

fn triggers() -> Rows {
    let row = |one: TriggerWords| {
        [code(&[one.kind]), code(&one.keys), code(&one.fields), one.about.to_owned()]
    };
    let rows = reference::triggers().into_iter().map(row).collect();
    (["type", "its own keys", "fields of its events", "what it is"], rows)
}

fn actions() -> Rows {
    let row = |one: ActionWords| {
        [code(&[one.kind]), code(&one.also), code(&one.required), code(&one.optional)]
    };
    let rows = reference::actions().into_iter().map(row).collect();
    (["type", "also called", "keys it needs", "keys it may have"], rows)
}

fn operations() -> Rows {
    let row = |one: OperationWords| {
        let [line, keys] = match &one.grant_keys {
            Some(keys) => [format!("`{} = {{ ... }}`", one.operation), code(keys)],
            None if one.made_by.is_some() => ["none needed".to_owned(), String::new()],
            None => ["none: always refused".to_owned(), String::new()],
        };
        let made_by =
            one.made_by.map_or_else(|| "a component alone".to_owned(), |word| code(&[word]));
        [code(&[one.operation]), made_by, line, keys]
    };
    let rows = reference::operations().into_iter().map(row).collect();
    (["operation", "type of action", "line under [operations]", "its keys"], rows)
}

fn code(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn markdown(head: &[&str; 4], rows: &[[String; 4]], printer: &Printer) -> anyhow::Result<()> {
    printer.line(&format!("| {} |", head.join(" | ")))?;
    printer.line("|---|---|---|---|")?;
    for row in rows {
        printer.line(&format!("| {} |", row.join(" | ")))?;
    }
    Ok(())
}
