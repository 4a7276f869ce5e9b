//! The home's `thrall.toml` with the old settings in it: only where nobody has
//! set anything there yet, or by force; else the lines to paste. Pure.

use super::present::Present;
use super::report::{Item, Word};
use super::settings::Wanted;
use crate::config;
use crate::config::set_key::set_key;
use crate::roles::accounts::Accounts;

/// What comes of it.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) items: Vec<Item>,
    /// The new file, if it changes.
    pub(super) text: Option<String>,
    /// Lines that the operator has to put there.
    pub(super) paste: Vec<String>,
}

pub(super) fn merge(
    present: &Present,
    wanted: &[Wanted],
    force: bool,
    accounts: &Accounts,
) -> Merged {
    if wanted.is_empty() {
        return Merged::default();
    }
    if !present.is_untouched() && !force {
        return by_hand(wanted, "thrall.toml has keys of its own and was not changed", Vec::new());
    }
    let mut text = present.text.clone();
    let mut items = Vec::new();
    let mut left = Vec::new();
    for one in wanted {
        match set_key(&text, one.new.table, one.new.key, &one.value) {
            Some(edited) => {
                text = edited;
                items.push(carried(one));
            }
            None => left.push(one.clone()),
        }
    }
    if let Err(problems) = config::parse("thrall.toml", &text, accounts) {
        let why = "thrall.toml would not load with these, see below";
        return by_hand(wanted, why, problems);
    }
    let rest = by_hand(&left, "no place for it was found in thrall.toml", Vec::new());
    items.extend(rest.items);
    Merged { items, text: (text != present.text).then_some(text), paste: rest.paste }
}

fn carried(one: &Wanted) -> Item {
    let detail = format!("thrall.toml: {} = {}", one.new.name(), one.value);
    Item::new(one.what.clone(), Word::Carried, detail)
}

fn by_hand(wanted: &[Wanted], why: &str, problems: Vec<crate::strict_toml::Problem>) -> Merged {
    let mut items: Vec<Item> = wanted
        .iter()
        .map(|one| {
            let detail = format!("{why}: {} = {}", one.new.name(), one.value);
            Item::needs_you(one.what.clone(), detail)
        })
        .collect();
    if let Some(first) = items.first_mut() {
        first.problems = problems;
    }
    Merged { items, text: None, paste: lines(wanted) }
}

/// The lines, table by table, the top level first.
fn lines(wanted: &[Wanted]) -> Vec<String> {
    let mut tables: Vec<&str> = wanted.iter().map(|one| one.new.table).collect();
    tables.sort_unstable();
    tables.dedup();
    let mut lines = Vec::new();
    for table in tables {
        if !table.is_empty() {
            lines.push(format!("[{table}]"));
        }
        let of_table = wanted.iter().filter(|one| one.new.table == table);
        lines.extend(of_table.map(|one| format!("{} = {}", one.new.key, one.value)));
    }
    lines
}
