//! Telephone numbers, where they say that they are: with a plus sign or `00`, in
//! the usual national groups, or behind a word such as `tel`. Dates, versions,
//! amounts and plain long numbers are none.

use crate::kind::{Finding, Kind};
use crate::text::{Text, is_token, is_word};

/// As E.164 has it; two more for `00`.
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

/// Digits with single separators between them, as far as it takes to see
/// whether they can be a telephone number.
#[derive(Default)]
struct Number {
    digits: [u8; MOST_DIGITS + 2],
    count: usize,
    /// Lengths of the first groups of digits.
    lengths: [usize; MOST_GROUPS],
    groups: usize,
    dots: usize,
    other_separators: usize,
    end: usize,
}

/// A number with more groups is none.
const MOST_GROUPS: usize = 6;

impl Number {
    fn read(text: Text<'_>, from: usize) -> Self {
        let mut number = Self { end: from, ..Self::default() };
        let mut at = if text.at(from) == b'+' { from + 1 } else { from };
        let mut is_apart = true;
        // Separators count once another digit follows.
        let (mut dots, mut others) = (0, 0);
        while at < text.len() {
            let byte = text.at(at);
            if byte.is_ascii_digit() {
                number.add(byte - b'0', is_apart);
                number.dots += dots;
                number.other_separators += others;
                (dots, others) = (0, 0);
                is_apart = false;
                number.end = at + 1;
            } else if is_separator(text, at, number.count == 0) {
                match byte {
                    b'(' | b')' => {}
                    b'.' => dots += 1,
                    _ => others += 1,
                }
                is_apart = true;
            } else {
                break;
            }
            at += 1;
        }
        number
    }

    fn add(&mut self, digit: u8, is_apart: bool) {
        if let Some(place) = self.digits.get_mut(self.count) {
            *place = digit;
        }
        self.count += 1;
        self.groups += usize::from(is_apart);
        if let Some(length) = self.groups.checked_sub(1).and_then(|last| self.lengths.get_mut(last))
        {
            *length += 1;
        }
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    /// None of a number with too many.
    fn lengths(&self) -> &[usize] {
        self.lengths.get(..self.groups).unwrap_or_default()
    }

    fn is_phone(&self, text: Text<'_>, from: usize, is_labelled: bool) -> bool {
        let before = text.before(from);
        let is_begun =
            !is_token(before) && !matches!(before, b'.' | b'+' | b'/' | b'$' | b'#' | b',');
        let after = text.at(self.end);
        let is_ended = !is_word(after) && !matches!(after, b'_' | b'%' | b'@');
        let count = self.count;
        if !is_begun || !is_ended || count > MOST_DIGITS + 2 {
            return false;
        }
        let is_decimal = self.groups == 2 && self.dots == 1;
        let begins = |digits: &[u8]| self.digits().starts_with(digits);
        let second = self.digits().get(1).copied().unwrap_or(0);
        if text.at(from) == b'+' {
            return (8..=MOST_DIGITS).contains(&count) && !begins(&[0]) && !is_decimal;
        }
        if is_labelled {
            return (7..=MOST_DIGITS).contains(&count) && !is_decimal;
        }
        if begins(&[0, 0]) {
            let third = self.digits().get(2).copied().unwrap_or(0);
            return third != 0
                && (10..=MOST_DIGITS + 2).contains(&count)
                && self.groups.len() >= 2
                && self.dots == 0;
        }
        if begins(&[0]) && second != 0 {
            let first = self.lengths().first().copied().unwrap_or(0);
            return (9..=12).contains(&count)
                && (2..=4).contains(&self.groups)
                && (3..=6).contains(&first)
                && self.dots == 0;
        }
        self.is_north_american()
    }

    /// `(415) 555-2671`, `1-415-555-2671`.
    fn is_north_american(&self) -> bool {
        let (groups, digits) = match (self.lengths(), self.digits()) {
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
