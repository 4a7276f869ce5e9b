//! Sets a key in the text of a TOML file and leaves everything else, comments
//! included, as it is: the key's own line where it is, its commented line where
//! there is one, else a new line in its table. Pure.
//!
//! Several ways are tried; the first one counts after which the file says what
//! it said before and the new value, and nothing else.

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// The text with `key = value` in a table (empty for the top level; dots
/// between nested ones). `None` if no way is found that changes this key alone.
pub fn set_key(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let mut wanted: Table = text.parse().ok()?;
    let parsed: Table = format!("value = {value}").parse().ok()?;
    insert(&mut wanted, table, key, parsed.get("value")?.clone())?;
    let ways = [replaced, uncommented, under_header, appended];
    ways.into_iter()
        .filter_map(|way| way(text, table, key, value))
        .find(|edited| edited.parse::<Table>().is_ok_and(|said| said == wanted))
}

fn insert(root: &mut Table, table: &str, key: &str, value: Value) -> Option<()> {
    let mut inside = root;
    for part in parts(table) {
        let entry = inside.entry(part).or_insert_with(|| Value::Table(Table::new()));
        inside = entry.as_table_mut()?;
    }
    inside.insert(key.to_owned(), value);
    Some(())
}

fn parts(table: &str) -> impl Iterator<Item = &str> {
    table.split('.').filter(|part| !part.is_empty())
}

/// In place of the value that is there.
fn replaced(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let mut inside = &root;
    for part in parts(table) {
        inside = match inside.get(part)?.get_ref() {
            DeValue::Table(table) => table,
            _ => return None,
        };
    }
    let span = inside.get(key)?.span();
    Some(format!("{}{value}{}", text.get(..span.start)?, text.get(span.end..)?))
}

/// In place of the commented line, as the example file has one for every key.
fn uncommented(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = if table.is_empty() { None } else { Some(header_of(&lines, table)?) };
    let first = header.map_or(0, |at| at + 1);
    let region = lines.get(first..)?;
    let length = region.iter().position(|line| is_header(line)).unwrap_or(region.len());
    let is_key = |line: &String| {
        line.strip_prefix('#')
            .and_then(|line| line.strip_prefix(key))
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let at = first + region.iter().take(length).position(is_key)?;
    *lines.get_mut(at)? = format!("{key} = {value}");
    if let Some(header) = header {
        *lines.get_mut(header)? = format!("[{table}]");
    }
    Some(joined(&lines))
}

/// A new line behind the table's header; the first line for the top level.
fn under_header(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = if table.is_empty() {
        0
    } else {
        let header = format!("[{table}]");
        lines.iter().position(|line| line.trim() == header)? + 1
    };
    lines.insert(at, format!("{key} = {value}"));
    Some(joined(&lines))
}

/// A table of its own at the end.
fn appended(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let line_break = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    (!table.is_empty()).then(|| format!("{text}{line_break}\n[{table}]\n{key} = {value}\n"))
}

/// The table's header, or its commented one.
fn header_of(lines: &[String], table: &str) -> Option<usize> {
    let header = format!("[{table}]");
    let find = |wanted: &str| lines.iter().position(|line| line.trim_end() == wanted);
    find(&header).or_else(|| find(&format!("#{header}")))
}

fn is_header(line: &str) -> bool {
    line.trim_start_matches('#').starts_with('[')
}

fn joined(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../thrall.example.toml");

    /// Lines that are in one text and not in the other.
    fn changed(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
        let lacks = |one: &str, other: &str| {
            let other: Vec<&str> = other.lines().collect();
            one.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
        };
        (lacks(before, after), lacks(after, before))
    }

    #[test]
    fn a_commented_key_of_the_example_is_uncommented_where_it_stands() {
        let edited = set_key(EXAMPLE, "model", "threads", "3").unwrap();
        let (gone, new) = changed(EXAMPLE, &edited);
        assert_eq!(gone, ["#[model]", "#threads = \"auto\""]);
        assert_eq!(new, ["[model]", "threads = 3"]);
        let top = set_key(&edited, "", "enabled", "false").unwrap();
        assert_eq!(changed(&edited, &top).1, ["enabled = false"]);
        let third = set_key(&top, "model", "n_ctx", "4096").unwrap();
        assert_eq!(
            changed(&top, &third),
            (vec!["#n_ctx = 2048".to_owned()], vec!["n_ctx = 4096".to_owned()])
        );
    }

    #[test]
    fn a_key_that_is_set_keeps_its_place_and_its_comment() {
        let text = "a = 1 # why\n[trust_tiers]\nteam = [\n  \"x\", # one\n]\nknown = []\n";
        assert_eq!(set_key(text, "", "a", "2").unwrap(), text.replace("a = 1", "a = 2"));
        let edited = set_key(text, "trust_tiers", "team", "[\"y\"]").unwrap();
        assert_eq!(edited, "a = 1 # why\n[trust_tiers]\nteam = [\"y\"]\nknown = []\n");
        let inline = set_key("m = { x = 1 }\n", "m", "x", "2").unwrap();
        assert_eq!(inline, "m = { x = 2 }\n");
    }

    #[test]
    fn a_key_without_a_line_gets_one() {
        assert_eq!(set_key("[m]\ny = 1\n", "m", "x", "2").unwrap(), "[m]\nx = 2\ny = 1\n");
        assert_eq!(set_key("[m]\ny = 1\n", "", "x", "2").unwrap(), "x = 2\n[m]\ny = 1\n");
        assert_eq!(set_key("a = 1", "m.n", "x", "2").unwrap(), "a = 1\n\n[m.n]\nx = 2\n");
        assert_eq!(set_key("", "m", "x", "2").unwrap(), "\n[m]\nx = 2\n");
    }

    #[test]
    fn what_would_change_another_key_is_not_done() {
        // Behind a header that is commented out stands somebody's own key.
        let text = "#[m]\n#x = 1\nown = 1\n";
        let edited: Table = set_key(text, "m", "x", "2").unwrap().parse().unwrap();
        assert_eq!(edited["own"].as_integer(), Some(1));
        assert_eq!(edited["m"]["x"].as_integer(), Some(2));
        // An inline table takes no header.
        assert_eq!(set_key("m = { y = 1 }\n", "m", "x", "2"), None);
        assert_eq!(set_key("m = 1\n", "m", "x", "2"), None);
        assert_eq!(set_key("not toml", "m", "x", "2"), None);
        assert_eq!(set_key("", "m", "x", "2\ny = 3"), None);
    }
}
