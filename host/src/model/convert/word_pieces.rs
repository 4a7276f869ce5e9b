//! BERT's vocabulary, as its `vocab.txt` lists it and as llama.cpp wants it: pieces
//! inside a word bare, words with the mark of a space in front, markers as they are.

use std::collections::HashMap;

/// llama.cpp's mark of a space, which begins each word.
const SPACE: char = '\u{2581}';
/// BERT's mark of a piece inside a word.
const INSIDE: &str = "##";
/// More than any vocabulary has.
const MAX_WORDS: usize = 1 << 20;

// Numbers of llama.cpp's `llama_token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// Where the markers stand in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Markers {
    pub(super) padding: u32,
    pub(super) unknown: u32,
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) mask: u32,
}

/// Words in llama.cpp's form, in the order of their numbers.
#[derive(Debug)]
pub struct Vocabulary {
    pub(super) words: Vec<String>,
    pub(super) kinds: Vec<i32>,
    pub(super) markers: Markers,
}

impl Vocabulary {
    /// One word a line. An error is the end of a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > MAX_WORDS {
            return Err(format!("it has more than {MAX_WORDS} lines"));
        }
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut words = Vec::with_capacity(lines.len());
        let mut kinds = Vec::with_capacity(lines.len());
        for (number, line) in (0_u32..).zip(lines) {
            let word = piece(line);
            // llama.cpp ends the process over an empty or repeated word.
            if line.is_empty() || word.is_empty() || line.chars().any(char::is_whitespace) {
                return Err(format!("line {} is no word: {line:?}", number + 1));
            }
            if let Some(first) = numbers.insert(word.clone(), number) {
                return Err(format!("line {} repeats line {}: {line:?}", number + 1, first + 1));
            }
            kinds.push(kind(line));
            words.push(word);
        }
        let marker =
            |word: &str| numbers.get(word).copied().ok_or_else(|| format!("it has no line {word}"));
        let markers = Markers {
            padding: marker("[PAD]")?,
            unknown: marker("[UNK]")?,
            begin: marker("[CLS]")?,
            end: marker("[SEP]")?,
            mask: marker("[MASK]")?,
        };
        Ok(Self { words, kinds, markers })
    }
}

fn piece(line: &str) -> String {
    if is_marker(line) {
        line.to_owned()
    } else if let Some(inside) = line.strip_prefix(INSIDE) {
        inside.to_owned()
    } else {
        format!("{SPACE}{line}")
    }
}

fn is_marker(line: &str) -> bool {
    line.len() > 2 && line.starts_with('[') && line.ends_with(']')
}

fn kind(line: &str) -> i32 {
    match line {
        "[UNK]" => UNKNOWN,
        "[PAD]" | "[CLS]" | "[SEP]" | "[MASK]" => CONTROL,
        _ if is_marker(line) => UNUSED,
        _ => NORMAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str =
        "[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[\n]\n##ing\nsing\n##\u{e4}\n";

    #[test]
    fn pieces_words_and_markers_get_their_form_and_kind() {
        let vocabulary = Vocabulary::parse(SMALL).unwrap();
        assert_eq!(
            vocabulary.words,
            [
                "[PAD]",
                "[unused0]",
                "[UNK]",
                "[CLS]",
                "[SEP]",
                "[MASK]",
                "\u{2581}[",
                "\u{2581}]",
                "ing",
                "\u{2581}sing",
                "\u{e4}"
            ]
        );
        assert_eq!(vocabulary.kinds, [3, 5, 2, 3, 3, 3, 1, 1, 1, 1, 1]);
        let markers = Markers { padding: 0, unknown: 2, begin: 3, end: 4, mask: 5 };
        assert_eq!(vocabulary.markers, markers);
    }

    #[test]
    fn what_llama_cpp_would_break_on_is_refused_with_its_line() {
        for (text, reason) in [
            (format!("{SMALL}sing\n"), "line 12 repeats line 10"),
            (format!("{SMALL}\n"), "line 12 is no word"),
            (format!("{SMALL}##\n"), "line 12 is no word"),
            (format!("{SMALL}a b\n"), "line 12 is no word"),
            (SMALL.replace("[SEP]\n", ""), "no line [SEP]"),
            (String::new(), "no line [PAD]"),
        ] {
            let error = Vocabulary::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
