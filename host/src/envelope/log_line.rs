//! A line of a log as an event: which fields it has, how long it may be, how
//! its bytes become text. Who reads the file is in `capabilities/log_tail.rs`;
//! what a line has in common with its like is in `envelope/log_template.rs`.
//!
//! One line is one event, whoever watches the file. The groups of a pattern are
//! no part of it, because each recipe has a pattern of its own: they are added
//! for the recipe that looks (`recipes/matching.rs`). So any recipe can be
//! rehearsed on any line, also with a pattern that was changed since.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Field, log_template};

pub const TRIGGER: &str = "on_log";
/// The source of lines that the host itself read. No other may have the name.
pub const SOURCE: &str = "log";

pub const LINE: &str = "line";
pub const SOURCE_FILE: &str = "source_file";
pub const TEMPLATE: &str = "template";
/// `true` where the line was longer than what is kept; absent otherwise.
pub const TRUNCATED: &str = "truncated";

/// What a line has besides the groups of a recipe's pattern.
pub const FIELDS: [&str; 4] = [LINE, SOURCE_FILE, TEMPLATE, TRUNCATED];

/// The longest line that is kept, in bytes.
pub const MAX_LINE_BYTES: usize = 8 * 1024;

/// Bytes of a line that have to be kept to know where to cut it.
const KEPT_BYTES: usize = MAX_LINE_BYTES + 4;

/// The fields of a line. `is_cut` says that the text is not all of it.
pub fn fields(source_file: &str, text: &str, is_cut: bool) -> Vec<Field> {
    named(source_file, text, is_cut)
        .into_iter()
        .map(|(name, value)| Field { name, value })
        .collect()
}

/// Makes what others bring like what the host reads: cut in the same way, with
/// a template that is the host's own and not a claim.
pub fn complete(fields: &mut BTreeMap<String, String>) {
    let Some(line) = fields.remove(LINE) else { return };
    let kept = cut(&line);
    let was_cut = fields.remove(TRUNCATED).is_some_and(|value| value == "true");
    let is_cut = was_cut || kept.len() < line.len();
    let source_file = fields.remove(SOURCE_FILE).unwrap_or_default();
    fields.extend(named(&source_file, kept, is_cut));
}

fn named(source_file: &str, line: &str, is_cut: bool) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::from([
        (LINE.to_owned(), line.to_owned()),
        (SOURCE_FILE.to_owned(), source_file.to_owned()),
        (TEMPLATE.to_owned(), log_template::of_line(line)),
    ]);
    if is_cut {
        fields.insert(TRUNCATED.to_owned(), "true".to_owned());
    }
    fields
}

/// Adds bytes to what is kept of a line that is still being read, and answers
/// whether all of them found room. Zero bytes are left out: a file that is cut
/// while its writer goes on at the old place begins with a hole, and the line
/// behind it is a good one.
pub fn keep(kept: &mut Vec<u8>, more: &[u8]) -> bool {
    for byte in more.iter().filter(|byte| **byte != 0) {
        if kept.len() >= KEPT_BYTES {
            return false;
        }
        kept.push(*byte);
    }
    true
}

/// The text of a line without its line end, to which a carriage return belongs,
/// and whether it had to be cut.
pub fn text_of(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes));
    let end = cut(&text).len();
    match text {
        text if end == text.len() => (text, false),
        text => (Cow::Owned(cut(&text).to_owned()), true),
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_LINE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
        fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    #[test]
    fn a_line_is_its_text_its_file_and_its_template() {
        let fields = fields("/var/log/a", "ERROR pool 7 is full", false);
        assert_eq!(value(&fields, LINE), Some("ERROR pool 7 is full"));
        assert_eq!(value(&fields, SOURCE_FILE), Some("/var/log/a"));
        assert_eq!(value(&fields, TEMPLATE), Some("ERROR pool <n> is full"));
        assert_eq!(value(&fields, TRUNCATED), None);
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(value(&super::fields("/a", "short", true), TRUNCATED), Some("true"));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        let mut kept = Vec::new();
        assert!(keep(&mut kept, b"x"));
        assert!(!keep(&mut kept, "ä".repeat(MAX_LINE_BYTES).as_bytes()));
        assert!(kept.len() <= KEPT_BYTES);
        let (line, is_cut) = text_of(&kept);
        assert_eq!((line.len(), line.chars().next_back()), (MAX_LINE_BYTES - 1, Some('ä')));
        assert!(is_cut);
        let exact = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(text_of(exact.as_bytes()), (Cow::Borrowed(exact.as_str()), false));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_holes_are_left_out() {
        assert_eq!(text_of(b"a\xffb").0, "a\u{fffd}b");
        assert_eq!(text_of(b"\r\r").0, "\r");
        assert_eq!(text_of(b"").0, "");
        let mut kept = Vec::new();
        assert!(keep(&mut kept, &[0; 100_000]) && keep(&mut kept, b"up\0 again\0"));
        assert_eq!(kept, b"up again");
    }

    #[test]
    fn a_template_that_somebody_brings_is_not_believed() {
        let mut brought = BTreeMap::from([
            (LINE.to_owned(), "took 5 ms".to_owned()),
            (TEMPLATE.to_owned(), "all is well".to_owned()),
            ("host_name".to_owned(), "a".to_owned()),
        ]);
        complete(&mut brought);
        assert_eq!(brought[TEMPLATE], "took <n> ms");
        assert_eq!(brought["host_name"], "a");
        let mut without = BTreeMap::from([("other".to_owned(), String::new())]);
        complete(&mut without);
        assert_eq!(without.len(), 1);
    }
}
