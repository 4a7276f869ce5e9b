//! Telephone numbers, where they say that they are: with a plus sign or `00`, in
//! the usual national groups, or behind a word such as `tel`. Dates, versions,
//! amounts and plain long numbers are none.

use crate::kind::{Finding, Kind};
use crate::text::{Text, is_token, is_word};

/// As E.164 has it.
const MOST_DIGITS: usize = 15;

pub(crate) fn find(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    // A label counts for the number right behind it.
    let mut labelled_until = 0;
    while at < text.len() {
        let byte = text.at(at);
        if byte.is_ascii_alphabetic() {
            let end = text.skip(at, |byte| byte.is_ascii_alphabetic());
            if is_label(text.part(at, end)) {
                labelled_until = end + 6;
            }
            at = end;
        } else if byte.is_ascii_digit() || matches!(byte, b'+' | b'(') {
            let number = Number::read(text, at);
            if number.is_phone(text, at, at <= labelled_until) {
                found.push(Finding { kind: Kind::Phone, from: at, to: number.end });
            }
            at = number.end.max(at + 1);
        } else {
            at += 1;
        }
    }
}

fn is_label(word: &str) -> bool {
    ["tel", "telephone", "phone", "mobile", "cell", "fax", "whatsapp", "telefon", "handy", "mobil"]
        .iter()
        .any(|label| word.eq_ignore_ascii_case(label))
}

/// Digits with single separators between them.
struct Number {
    /// Lengths of its groups of digits.
    groups: Vec<usize>,
    /// What stands between them, brackets left out.
    separators: Vec<u8>,
    digits: Vec<u8>,
    end: usize,
}

/// Enough to see that it is none.
const MOST_READ: usize = 32;

impl Number {
    fn read(text: Text<'_>, from: usize) -> Self {
        let mut number =
            Self { groups: Vec::new(), separators: Vec::new(), digits: Vec::new(), end: from };
        let mut at = if text.at(from) == b'+' { from + 1 } else { from };
        let mut is_apart = true;
        while at < text.len() {
            let byte = text.at(at);
            if byte.is_ascii_digit() {
                if is_apart {
                    number.groups.push(0);
                }
                if let Some(length) = number.groups.last_mut() {
                    *length += 1;
                }
                is_apart = false;
                if number.digits.len() <= MOST_READ {
                    number.digits.push(byte - b'0');
                }
                number.end = at + 1;
            } else if is_separator(text, at, number.digits.is_empty()) {
                if !matches!(byte, b'(' | b')') {
                    number.separators.push(byte);
                }
                is_apart = true;
            } else {
                break;
            }
            at += 1;
        }
        number.separators.truncate(number.groups.len().saturating_sub(1));
        number
    }

    fn is_phone(&self, text: Text<'_>, from: usize, is_labelled: bool) -> bool {
        let before = text.before(from);
        let is_begun =
            !is_token(before) && !matches!(before, b'.' | b'+' | b'/' | b'$' | b'#' | b',');
        let after = text.at(self.end);
        let is_ended = !is_word(after) && !matches!(after, b'_' | b'%' | b'@');
        let count = self.digits.len();
        if !is_begun || !is_ended || count > MOST_DIGITS + 2 {
            return false;
        }
        let is_decimal = self.groups.len() == 2 && self.separators == [b'.'];
        let begins = |digits: &[u8]| self.digits.starts_with(digits);
        let second = self.digits.get(1).copied().unwrap_or(0);
        if text.at(from) == b'+' {
            return (8..=MOST_DIGITS).contains(&count) && !begins(&[0]) && !is_decimal;
        }
        if is_labelled {
            return (7..=MOST_DIGITS).contains(&count) && !is_decimal;
        }
        if begins(&[0, 0]) {
            let third = self.digits.get(2).copied().unwrap_or(0);
            return third != 0
                && (10..=MOST_DIGITS + 2).contains(&count)
                && self.groups.len() >= 2
                && !self.has_dots();
        }
        if begins(&[0]) && second != 0 {
            let first = self.groups.first().copied().unwrap_or(0);
            return (9..=12).contains(&count)
                && (2..=4).contains(&self.groups.len())
                && (3..=6).contains(&first)
                && !self.has_dots();
        }
        self.is_north_american()
    }

    fn has_dots(&self) -> bool {
        self.separators.contains(&b'.')
    }

    /// `(415) 555-2671`, `1-415-555-2671`.
    fn is_north_american(&self) -> bool {
        let (groups, digits) = match (self.groups.as_slice(), self.digits.as_slice()) {
            ([1, groups @ ..], [1, digits @ ..]) => (groups, digits),
            other => other,
        };
        let may_begin = |at: usize| digits.get(at).is_some_and(|digit| *digit >= 2);
        groups == [3, 3, 4] && may_begin(0) && may_begin(3)
    }
}

/// One sign between two groups; a bracket may have a space beside it.
fn is_separator(text: Text<'_>, at: usize, is_first: bool) -> bool {
    let next = text.at(at + 1);
    match text.at(at) {
        b' ' => next.is_ascii_digit() || next == b'(',
        b'-' | b'.' | b'/' => next.is_ascii_digit() && !is_first,
        b'(' => next.is_ascii_digit(),
        b')' => {
            next.is_ascii_digit() || matches!(next, b' ' | b'-') && text.at(at + 2).is_ascii_digit()
        }
        _ => false,
    }
}
