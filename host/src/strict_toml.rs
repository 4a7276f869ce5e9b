//! TOML that people write, read so that every mistake is named with its place:
//! file, line, column, what was expected, the nearest valid word. Recipes,
//! grants and the configuration share it. It knows types and places; what a
//! key means is its caller's concern. Pure: the text is passed in.
//!
//! Reading never stops at the first mistake: a getter reports what is wrong
//! to the [`Sink`] and answers `None`, and the caller goes on.

pub mod problem;
pub mod table;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use problem::{Problem, Sink};
pub use table::{Placed, Table};

/// The longest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// How deep tables and arrays may nest. Far more than any key needs, and few
/// enough that nothing which walks a file recurses far.
pub const MAX_DEPTH: usize = 16;

/// Problems, one to a line.
pub fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Checks what comes before the syntax: length and encoding.
///
/// # Errors
/// The one problem that keeps the file from being read at all.
pub fn text_of<'t>(file: &str, bytes: &'t [u8]) -> Result<&'t str, Problem> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(too_long(file, bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, _) = bytes.split_at(error.valid_up_to());
        let text = String::from_utf8_lossy(valid);
        let what =
            format!("not valid UTF-8 at byte {}: save the file as UTF-8", error.valid_up_to());
        Problem::at(file, &text, text.len(), what)
    })
}

fn too_long(file: &str, bytes: usize) -> Problem {
    Problem::in_file(file, format!("the file has {bytes} bytes, the limit is {MAX_FILE_BYTES}"))
}

/// Parses a whole file. Syntax errors go to the sink, all of them, and the
/// answer is `None`: what such a file says is a guess.
pub fn parse<'t>(sink: &Sink<'t>) -> Option<DeTable<'t>> {
    let text = sink.text();
    if text.len() > MAX_FILE_BYTES {
        sink.add(too_long(sink.file(), text.len()));
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        // The parser puts hints on further lines; a problem is one line.
        let message: Vec<&str> = error.message().lines().map(str::trim).collect();
        let message = message.join("; ");
        let spot = error.span().and_then(|span| text.get(span)).unwrap_or_default();
        if message == "duplicate key" && !spot.is_empty() {
            let what = format!("not valid TOML: duplicate key {spot}, this table has it already");
            sink.error_expected(at, what, "one of the two, or its [table] above it");
        } else {
            sink.error(at, format!("not valid TOML: {message}"));
        }
    }
    errors.is_empty().then(|| root.into_inner())
}

/// The whole file as JSON, for stage configurations and digests. What JSON
/// cannot hold is reported; the answer then only serves to go on looking.
pub fn to_json(sink: &Sink<'_>, root: &DeTable<'_>) -> Value {
    Value::Object(table_to_json(sink, root, 1))
}

fn table_to_json(sink: &Sink<'_>, table: &DeTable<'_>, depth: usize) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().clone().into_owned(), value_to_json(sink, value, depth)))
        .collect()
}

fn value_to_json(sink: &Sink<'_>, value: &Spanned<DeValue<'_>>, depth: usize) -> Value {
    let at = value.span().start;
    let nests = matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_));
    if nests && depth >= MAX_DEPTH {
        sink.error(at, format!("nests deeper than {MAX_DEPTH} levels"));
        return Value::Null;
    }
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => match table::integer(number) {
            Some(number) => Value::from(number),
            None => {
                sink.error(at, format!("{number} is beyond the range of whole numbers"));
                Value::Null
            }
        },
        DeValue::Float(number) => {
            let parsed = number.as_str().parse::<f64>().ok();
            match parsed.and_then(serde_json::Number::from_f64) {
                Some(number) => Value::Number(number),
                None => {
                    sink.error(at, format!("{number} is no finite number"));
                    Value::Null
                }
            }
        }
        DeValue::Datetime(moment) => {
            sink.error(at, format!("a date is written as a string: \"{moment}\""));
            Value::Null
        }
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| value_to_json(sink, item, depth + 1)).collect())
        }
        DeValue::Table(table) => Value::Object(table_to_json(sink, table, depth + 1)),
    }
}
