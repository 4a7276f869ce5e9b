//! Makes text from a guest fit to be shown: no terminal escapes, no control
//! characters, nothing that turns the reading direction, bounded in length.

/// `text` on one line of at most `max_bytes` bytes. Escape sequences vanish
/// whole, line breaks and tabs become spaces, other control characters vanish.
pub(super) fn printable(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let shown = match c {
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            // The one-character form of ESC [.
            '\u{9b}' => {
                skip_until_final(&mut chars);
                continue;
            }
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || turns_direction(c) => continue,
            c => c,
        };
        if clean.len() + shown.len_utf8() > max_bytes {
            break;
        }
        clean.push(shown);
    }
    clean
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_until_final(chars);
        }
        // Strings for the terminal itself (title, clipboard): until BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
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
        Some(' '..='~') => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_until_final(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escapes_vanish_and_text_stays() {
        for (text, clean) in [
            ("plain, Grüße 🎉", "plain, Grüße 🎉"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]52;c;aGk=\u{1b}\\after", "after"),
            ("\u{9b}2Jcleared", "cleared"),
            ("two\nlines\tand \u{202e}turned", "two lines and turned"),
            ("nul\0 bell\u{7}", "nul bell"),
            ("\u{1b}", ""),
            ("\u{1b}[12", ""),
            ("\u{1b}]never ends", ""),
        ] {
            assert_eq!(printable(text, 100), clean, "{text:?}");
        }
    }

    #[test]
    fn the_bound_never_cuts_a_character() {
        assert_eq!(printable("aäa", 2), "a");
        assert_eq!(printable("aäa", 3), "aä");
    }
}
