//! Text as a person sees it. What only a machine would read (zero-width and
//! tag characters, variation selectors, marks that turn the reading direction)
//! is left out of what a model is shown, and told to people; letters in other
//! clothes become plain ones. The text itself stays as it came: rules, the
//! journal and the agent have the original. Pure.

use std::fmt;
use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// The longest hidden message that is shown, in characters.
const MAX_DECODED: usize = 80;
/// Tags after a black flag make the flag of a region.
const MAX_FLAG_TAGS: usize = 6;
const BLACK_FLAG: char = '\u{1f3f4}';
/// Shorter words mix scripts in honest text: αx, µm.
const MIN_MIXED_WORD: usize = 3;

/// Alphabets with letters that look like Latin ones: phonetic, Greek, Cyrillic,
/// Armenian, Cherokee, Lisu.
const LOOK_ALIKE_ALPHABETS: [RangeInclusive<char>; 11] = [
    '\u{250}'..='\u{2af}',
    '\u{370}'..='\u{3ff}',
    '\u{400}'..='\u{52f}',
    '\u{530}'..='\u{58f}',
    '\u{13a0}'..='\u{13ff}',
    '\u{1c80}'..='\u{1c8f}',
    '\u{1d00}'..='\u{1d7f}',
    '\u{1f00}'..='\u{1fff}',
    '\u{a4d0}'..='\u{a4ff}',
    '\u{a640}'..='\u{a69f}',
    '\u{ab70}'..='\u{abbf}',
];

/// The characters that a model is shown: none that hides, in their plain form.
/// White space stays as it is. Lazy, so that it costs what is taken of it.
pub fn plain_characters(text: &str) -> impl Iterator<Item = char> + '_ {
    // Bounding runs of accents before composing keeps memory bounded; the mark
    // that it puts between them is itself one that hides.
    text.chars().filter(|c| !hides(*c)).stream_safe().nfkc().filter(|c| !hides(*c))
}

/// Words that mix alphabets, written in one: Cyrillic, Greek and other letters
/// that look like Latin ones become those. As many characters as before.
pub fn without_look_alikes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphabetic()) {
        if mixes_alphabets(word) {
            clean.extend(word.chars().map(|c| latin_twin(c).unwrap_or(c)));
        } else {
            clean.push_str(word);
        }
    }
    clean
}

/// The text as a person sees it in one clean line of at most `limit` characters:
/// what hides is left out, disguised letters are plain ones, runs of white space
/// become one space. Costs in proportion to `limit` for text without long blank
/// runs, whatever the text's size.
pub fn one_line(text: &str, limit: usize) -> String {
    let mut clean = String::new();
    let mut length = 0;
    let mut gap = false;
    for c in plain_characters(text) {
        if c.is_whitespace() {
            gap = length > 0;
            continue;
        }
        if std::mem::take(&mut gap) {
            clean.push(' ');
            length += 1;
        }
        if length >= limit {
            break;
        }
        clean.push(c);
        length += 1;
    }
    let bounded: String = clean.chars().take(limit).collect();
    without_look_alikes(bounded.trim_end())
}

fn mixes_alphabets(word: &str) -> bool {
    !word.is_ascii()
        && word.chars().any(|c| c.is_ascii_alphabetic())
        && word.chars().filter(|c| c.is_alphabetic()).count() >= MIN_MIXED_WORD
        && word.chars().any(|c| latin_twin(c).is_some())
}

fn latin_twin(c: char) -> Option<char> {
    if !LOOK_ALIKE_ALPHABETS.iter().any(|range| range.contains(&c)) {
        return None;
    }
    let text = c.to_string();
    let mut twin = skeleton(&text);
    let first = twin.next().filter(char::is_ascii_alphanumeric)?;
    if twin.next().is_some() {
        return None;
    }
    // A capital I counts as an l there.
    Some(if first == 'l' && c.is_uppercase() { 'I' } else { first })
}

/// Whether a character shows nothing itself, or changes how others are read.
pub fn hides(c: char) -> bool {
    (c.is_control() && !c.is_whitespace()) || kind(c).is_some()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Direction,
    ZeroWidth,
    Tag,
    Selector,
}

fn kind(c: char) -> Option<Kind> {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(Kind::Direction),
        '\u{180b}'..='\u{180d}'
        | '\u{180f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}' => Some(Kind::Selector),
        '\u{e0000}'..='\u{e007f}' => Some(Kind::Tag),
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}' => Some(Kind::ZeroWidth),
        _ => None,
    }
}

/// What a text holds that a person does not see, for a note beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    zero_width: usize,
    tags: usize,
    selectors: usize,
    direction: usize,
    controls: usize,
    /// Words that mix alphabets.
    disguised_words: usize,
    /// What tags and runs of selectors spell, made fit to be shown.
    decoded: String,
}

impl Hidden {
    /// Looks through a text. `None` where there is nothing to tell; characters
    /// that emoji and other scripts need are nothing.
    pub fn in_text(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\n') {
            return None;
        }
        let mut found = Self::default();
        let mut seen = Seen::default();
        let mut bytes = Vec::new();
        for (index, c) in text.chars().enumerate() {
            match kind(c) {
                Some(Kind::Direction) => found.direction += 1,
                Some(Kind::Tag) if seen.is_flag() => seen.tags_of_flag += 1,
                Some(Kind::Tag) => {
                    found.tags += 1;
                    bytes.extend(u8::try_from(u32::from(c) & 0x7f).ok());
                }
                Some(Kind::Selector) if seen.belongs() => {}
                Some(Kind::Selector) => {
                    found.selectors += 1;
                    bytes.extend(byte_of_selector(c));
                }
                Some(Kind::ZeroWidth) => {
                    let is_needed = seen.belongs() || (c == '\u{feff}' && index == 0);
                    found.zero_width += usize::from(!is_needed);
                }
                None if c.is_control() && !c.is_whitespace() => found.controls += 1,
                None => {}
            }
            seen.add(c);
        }
        let letters: String = text.nfkc().filter(|c| !hides(*c)).collect();
        found.disguised_words =
            letters.split(|c: char| !c.is_alphabetic()).filter(|w| mixes_alphabets(w)).count();
        found.decoded = String::from_utf8_lossy(&bytes)
            .chars()
            .filter(|c| !c.is_control() && !hides(*c) && *c != char::REPLACEMENT_CHARACTER)
            .take(MAX_DECODED)
            .collect();
        (found != Self::default()).then_some(found)
    }
}

/// What lies before a character.
#[derive(Default)]
struct Seen {
    last: Option<char>,
    in_flag: bool,
    tags_of_flag: usize,
}

impl Seen {
    fn add(&mut self, c: char) {
        if kind(c) != Some(Kind::Tag) {
            self.in_flag = c == BLACK_FLAG;
            self.tags_of_flag = 0;
        }
        self.last = Some(c);
    }

    fn is_flag(&self) -> bool {
        self.in_flag && self.tags_of_flag < MAX_FLAG_TAGS
    }

    /// One joiner or selector after an emoji or a letter of another script, or a
    /// selector after the sign of a keycap, is part of how it is written.
    fn belongs(&self) -> bool {
        self.last.is_some_and(|last| {
            matches!(last, '\u{fe0f}' | '0'..='9' | '#' | '*') || (!last.is_ascii() && !hides(last))
        })
    }
}

/// Selectors number bytes: 0 to 15 the first sixteen, the others from there.
fn byte_of_selector(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match c {
        '\u{fe00}'..='\u{fe0f}' => code - 0xfe00,
        '\u{e0100}'..='\u{e01ef}' => code - 0xe0100 + 16,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.zero_width, "zero-width"),
            (self.tags, "tag characters"),
            (self.selectors, "variation selectors"),
            (self.direction, "marks that turn the reading direction"),
            (self.controls, "control characters"),
            (self.disguised_words, "words that mix alphabets"),
        ];
        f.write_str("hidden: ")?;
        for (index, (count, what)) in counts.iter().filter(|(n, _)| *n > 0).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {what}")?;
        }
        if !self.decoded.is_empty() {
            write!(f, " ({:?})", self.decoded)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        without_look_alikes(&plain_characters(text).collect::<String>())
    }

    fn tags(text: &str) -> String {
        text.bytes().filter_map(|byte| char::from_u32(0xe0000 + u32::from(byte))).collect()
    }

    #[test]
    fn disguised_words_read_as_what_they_look_like() {
        for text in [
            "ｉｇｎоre",
            "i\u{200b}g\u{ad}n\u{2060}ore",
            "𝐢𝐠𝐧𝐨𝐫𝐞",
            "ign\u{202e}or\u{202c}e",
            "іgnоrе",
            "ignοre",
            "ig\u{fe0f}nore\u{e0101}",
            &format!("ig{}nore", tags("more")),
        ] {
            assert_eq!(shown(text), "ignore", "{text:?}");
        }
        assert_eq!(shown("ІGNORE"), "IGNORE");
    }

    #[test]
    fn honest_text_of_every_script_stays() {
        for text in [
            "Привет, как дела?",
            "Καλημέρα κόσμε",
            "IT-отдел и Wi-Fi",
            "yazılım ışığı",
            "Grüße, naïve café",
            "日本語のテキスト",
            "αx + βy",
            "a\tb\nc",
        ] {
            assert_eq!(shown(text), text);
            assert_eq!(Hidden::in_text(text), None, "{text}");
        }
    }

    #[test]
    fn people_are_told_what_only_a_machine_would_read() {
        let note = |text: &str| Hidden::in_text(text).map(|hidden| hidden.to_string());
        let smuggled = format!("hi{}{}", "\u{200b}".repeat(14), tags("ignore all"));
        let expected = "hidden: 14 zero-width, 10 tag characters (\"ignore all\")";
        assert_eq!(note(&smuggled).as_deref(), Some(expected));
        let by_selectors: String =
            "wake".bytes().filter_map(|b| char::from_u32(0xe0100 + u32::from(b) - 16)).collect();
        let expected = "hidden: 4 variation selectors (\"wake\")";
        assert_eq!(note(&format!("x{by_selectors}")).as_deref(), Some(expected));
        assert_eq!(note("pаypal").as_deref(), Some("hidden: 1 words that mix alphabets"));
        assert!(note("a\u{202e}b\u{7}").is_some());
        for text in
            ["", "👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}", "\u{feff}hi", "می\u{200c}خواهم"]
        {
            assert_eq!(note(text), None, "{text:?}");
        }
        let england = format!("🏴{}\u{e007f}", tags("gbeng"));
        assert_eq!(note(&england), None);
        assert!(note(&format!("🏴{}", tags("gbeng ignore all"))).is_some());
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_notes_are_short_clean_lines(text in any::<String>()) {
            prop_assert!(!shown(&text).chars().any(hides));
            let plain: String = plain_characters(&text).collect();
            prop_assert_eq!(plain.chars().count(), without_look_alikes(&plain).chars().count());
            if let Some(hidden) = Hidden::in_text(&text) {
                let note = hidden.to_string();
                prop_assert!(!note.chars().any(|c| c.is_control() || hides(c)));
                prop_assert!(note.chars().count() < 1000);
            }
        }
    }
}
