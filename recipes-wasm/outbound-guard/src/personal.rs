//! Personal data that can be told by its form: mail addresses, bank accounts
//! (by country, length and checksum), payment cards (by brand, length, grouping
//! and checksum).

use std::cmp::Ordering;

use crate::kind::{Finding, Kind};
use crate::text::{Text, is_token, is_word};

pub(crate) fn find(text: Text<'_>, found: &mut Vec<Finding>) {
    addresses(text, found);
    let mut at = 0;
    while at < text.len() {
        if !is_word(text.at(at)) {
            at += 1;
            continue;
        }
        let one = account(text, at).or_else(|| card(text, at));
        match one {
            Some(finding) => {
                at = finding.to;
                found.push(finding);
            }
            None => at = text.skip(at, is_word),
        }
    }
}

const MOST_LOCAL_BYTES: usize = 64;
const MOST_DOMAIN_BYTES: usize = 253;

fn addresses(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(sign) = text.find(at, "@") {
        at = sign + 1;
        if let Some((from, to)) = address(text, sign) {
            found.push(Finding { kind: Kind::Email, from, to });
            at = to;
        }
    }
}

fn address(text: Text<'_>, sign: usize) -> Option<(usize, usize)> {
    let is_local =
        |byte: u8| is_token(byte) || matches!(byte, b'.' | b'+' | b'%' | b'\'') || byte >= 0x80;
    let mut from = sign;
    while sign - from < MOST_LOCAL_BYTES && is_local(text.before(from)) {
        from -= 1;
    }
    // Not in the middle of a letter, and not with a quote or dot before it.
    while from < sign && (text.at(from) & 0xc0 == 0x80 || matches!(text.at(from), b'.' | b'\'')) {
        from += 1;
    }
    let local = text.part(from, sign);
    // `git@host:path` is a place to fetch from and nobody's address.
    if local.is_empty() || local == "git" {
        return None;
    }
    let mut to = text.skip_at_most(sign + 1, MOST_DOMAIN_BYTES, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.') || byte >= 0x80
    });
    while to > sign && matches!(text.before(to), b'.' | b'-') {
        to -= 1;
    }
    while to > sign && text.at(to) & 0xc0 == 0x80 {
        to -= 1;
    }
    let domain = text.part(sign + 1, to);
    let (name, ending) = domain.rsplit_once('.')?;
    let is_domain = !name.is_empty()
        && !name.starts_with('.')
        && !domain.contains("..")
        && ending.len() >= 2
        && ending.bytes().all(|byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    is_domain.then_some((from, to))
}

/// How long an account number is, by country; sorted.
const COUNTRIES: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22\
    DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26\
    IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23\
    PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22\
    VG24XK20YE30";

const LONGEST_ACCOUNT: usize = 34;

fn account_length(country: &[u8]) -> Option<usize> {
    let entry = |index: usize| COUNTRIES.as_bytes().get(index * 4..index * 4 + 4);
    let (mut low, mut high) = (0, COUNTRIES.len() / 4);
    while low < high {
        let middle = usize::midpoint(low, high);
        let [first, second, tens, ones] = entry(middle)? else { return None };
        match [*first, *second].as_slice().cmp(country) {
            Ordering::Equal => {
                return Some(usize::from(tens - b'0') * 10 + usize::from(ones - b'0'));
            }
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    None
}

/// An IBAN, in groups or not.
fn account(text: Text<'_>, from: usize) -> Option<Finding> {
    let begins = text.at(from).is_ascii_uppercase()
        && text.at(from + 1).is_ascii_uppercase()
        && text.at(from + 2).is_ascii_digit()
        && text.at(from + 3).is_ascii_digit();
    if !begins || is_token(text.before(from)) {
        return None;
    }
    let length = account_length(text.bytes(from, from + 2))?;
    let mut at = from;
    let mut signs = [0; LONGEST_ACCOUNT];
    for sign in signs.iter_mut().take(length) {
        if matches!(text.at(at), b' ' | b'-') && is_word(text.at(at + 1)) {
            at += 1;
        }
        *sign = text.at(at);
        if !(sign.is_ascii_uppercase() || sign.is_ascii_digit()) {
            return None;
        }
        at += 1;
    }
    let is_whole = !is_word(text.at(at)) && signs.get(..length).is_some_and(is_account);
    is_whole.then_some(Finding { kind: Kind::Iban, from, to: at })
}

/// The first four characters at the end, letters as 10 to 35: 1 modulo 97.
fn is_account(signs: &[u8]) -> bool {
    let (head, tail) = signs.split_at(signs.len().min(4));
    let rest = tail.iter().chain(head).fold(0_u32, |rest, sign| {
        if sign.is_ascii_digit() {
            (rest * 10 + u32::from(sign - b'0')) % 97
        } else {
            (rest * 100 + u32::from(sign - b'A') + 10) % 97
        }
    });
    rest == 1
}

/// How a card's number is grouped; one group means not at all.
const GROUPINGS: [&[usize]; 9] =
    [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4], &[16], &[13], &[14], &[15], &[19]];
const MOST_DIGITS: usize = 19;
const MOST_GROUPS: usize = 5;

fn card(text: Text<'_>, from: usize) -> Option<Finding> {
    let before = text.before(from);
    // No brand begins with another digit.
    let begins = matches!(text.at(from), b'2'..=b'6')
        && !is_token(before)
        && !matches!(before, b'.' | b'+' | b'#' | b'/' | b',');
    if !begins {
        return None;
    }
    let number = Groups::read(text, from);
    GROUPINGS.iter().find_map(|grouping| {
        let is_so = number.lengths.get(..grouping.len()) == Some(*grouping);
        let to = *number.ends.get(grouping.len() - 1).filter(|_| is_so)?;
        let next = text.at(to);
        // One more group of four means that it is another number.
        let more = number.lengths.get(grouping.len()).copied().unwrap_or(0);
        let goes_on = is_token(next)
            || next == b'.' && text.at(to + 1).is_ascii_digit()
            || grouping.len() > 1 && more == 4;
        let digits = number.digits.get(..grouping.iter().sum())?;
        (!goes_on && is_card(digits)).then_some(Finding { kind: Kind::Card, from, to })
    })
}

/// Groups of digits with one kind of separator between them.
#[derive(Default)]
struct Groups {
    digits: [u8; MOST_DIGITS],
    lengths: [usize; MOST_GROUPS],
    ends: [usize; MOST_GROUPS],
}

impl Groups {
    fn read(text: Text<'_>, from: usize) -> Self {
        let mut groups = Self::default();
        let (mut at, mut count, mut separator) = (from, 0, None);
        for (length, group_end) in groups.lengths.iter_mut().zip(&mut groups.ends) {
            let end = text.skip_at_most(at, MOST_DIGITS + 1, |byte| byte.is_ascii_digit());
            for digit in text.bytes(at, end) {
                if let Some(place) = groups.digits.get_mut(count) {
                    *place = digit - b'0';
                }
                count += 1;
            }
            (*length, *group_end) = (end - at, end);
            let sign = text.at(end);
            let goes_on = matches!(sign, b' ' | b'-')
                && separator.is_none_or(|known| known == sign)
                && text.at(end + 1).is_ascii_digit()
                && count <= MOST_DIGITS;
            if !goes_on {
                break;
            }
            separator = Some(sign);
            at = end + 1;
        }
        groups
    }
}

fn is_card(digits: &[u8]) -> bool {
    let number = |count: usize| {
        digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let fits = matches!(
        (digits.len(), number(1), number(2), number(4)),
        (13 | 16 | 19, 4, ..)
            | (16, _, 51..=55 | 60..=65 | 35, _)
            | (16, _, _, 2221..=2720)
            | (19, _, 60..=62 | 64..=65, _)
            | (15, _, 34 | 37, _)
            | (14, _, 30 | 36 | 38 | 39, _)
    );
    fits && is_luhn(digits) && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}
