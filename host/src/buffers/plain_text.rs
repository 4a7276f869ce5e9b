//! Makes hostile text safe to show: no terminal escapes, no control
//! characters, nothing that reorders or hides what is on the line, and never
//! longer than asked for.

use std::iter::Peekable;
use std::str::Chars;

/// Several lines: line breaks and tabs stay. Cut after `max_chars`, saying so.
pub fn block(text: &str, max_chars: usize) -> String {
    bounded(text, max_chars, |c| (c == '\n' || c == '\t').then_some(c))
}

/// One line: line breaks and tabs become spaces.
pub fn line(text: &str, max_chars: usize) -> String {
    bounded(text, max_chars, |c| c.is_whitespace().then_some(' '))
}

fn bounded(text: &str, max_chars: usize, keep_control: impl Fn(char) -> Option<char>) -> String {
    let mut clean = String::with_capacity(text.len().min(max_chars));
    let mut kept = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let shown = match c {
            '\u{1b}' => {
                skip_escape(&mut chars);
                None
            }
            // The one-character forms of ESC [ and ESC ].
            '\u{9b}' => {
                skip_until_final(&mut chars);
                None
            }
            '\u{9d}' => {
                skip_string(&mut chars);
                None
            }
            '\r' if chars.peek() == Some(&'\n') => None,
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => keep_control('\n'),
            c if c.is_control() => keep_control(c),
            c if hides_or_reorders(c) => None,
            c => Some(c),
        };
        let Some(shown) = shown else { continue };
        if kept == max_chars {
            clean.push_str(" [cut]");
            return clean;
        }
        clean.push(shown);
        kept += 1;
    }
    clean
}

fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_until_final(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(c) if ('\u{20}'..'\u{7f}').contains(c) => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters of a control sequence, up to its final letter. Stops at the
/// first character that cannot belong to it, so that no text is swallowed.
fn skip_until_final(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| ('\u{20}'..'\u{40}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..'\u{7f}').contains(c));
}

/// A title or link sequence, up to its terminator or the end of the line.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

fn hides_or_reorders(c: char) -> bool {
    matches!(c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_go_text_stays() {
        let hostile =
            "a\u{1b}[31;1mred\u{1b}[0m\u{1b}]0;title\u{7}b\u{9b}2Jc\u{0}\u{8}d\re\r\nf\u{202e}g";
        assert_eq!(block(hostile, 100), "aredbcd\ne\nfg");
        assert_eq!(line("a\nb\tc\u{2028}d", 100), "a b c d");
    }

    #[test]
    fn an_unfinished_escape_swallows_no_line() {
        assert_eq!(block("\u{1b}]0;title\nsecond", 100), "\nsecond");
        assert_eq!(block("x\u{1b}", 100), "x");
        assert_eq!(block("\u{1b}[\u{1f600}y", 100), "\u{1f600}y");
    }

    #[test]
    fn length_is_bounded_and_says_so() {
        assert_eq!(block("ééééé", 3), "ééé [cut]");
        assert_eq!(block("ééé", 3), "ééé");
    }
}
