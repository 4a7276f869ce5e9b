//! Personal data that can be told by its form: mail addresses, bank accounts
//! (by country, length and checksum), payment cards (by brand, length, grouping
//! and checksum).

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

/// How long an account number is, by country.
const COUNTRIES: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22\
    DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26\
    IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23\
    PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22\
    VG24XK20YE30";

fn account_length(country: &[u8]) -> Option<usize> {
    let entry = COUNTRIES.as_bytes().chunks_exact(4).find(|entry| entry.starts_with(country))?;
    match entry {
        [_, _, tens, ones] => Some(usize::from(tens - b'0') * 10 + usize::from(ones - b'0')),
        _ => None,
    }
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
    let mut signs: Vec<u8> = Vec::with_capacity(length);
    while signs.len() < length {
        let byte = text.at(at);
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            signs.push(byte);
        } else if !matches!(byte, b' ' | b'-') || !is_word(text.at(at + 1)) {
            return None;
        }
        at += 1;
    }
    let is_whole = !is_word(text.at(at));
    (is_whole && is_account(&signs)).then_some(Finding { kind: Kind::Iban, from, to: at })
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

fn card(text: Text<'_>, from: usize) -> Option<Finding> {
    let before = text.before(from);
    if !text.at(from).is_ascii_digit()
        || is_token(before)
        || matches!(before, b'.' | b'+' | b'#' | b'/' | b',')
    {
        return None;
    }
    GROUPINGS.iter().find_map(|groups| {
        let (digits, to) = grouped(text, from, groups)?;
        (is_card(&digits)).then_some(Finding { kind: Kind::Card, from, to })
    })
}

/// The digits of a number that is grouped exactly so, and where it ends.
fn grouped(text: Text<'_>, from: usize, groups: &[usize]) -> Option<(Vec<u8>, usize)> {
    let mut digits = Vec::with_capacity(19);
    let mut at = from;
    let mut separator = None;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            let sign = text.at(at);
            if !matches!(sign, b' ' | b'-') || separator.is_some_and(|known| known != sign) {
                return None;
            }
            separator = Some(sign);
            at += 1;
        }
        let end = text.skip_at_most(at, length + 1, |byte| byte.is_ascii_digit());
        if end - at != *length {
            return None;
        }
        digits.extend(text.bytes(at, end).iter().map(|byte| byte - b'0'));
        at = end;
    }
    let next = text.at(at);
    // One more group means that it is another number.
    let goes_on = is_token(next)
        || matches!(next, b' ' | b'.' | b',') && separator != Some(b'-') && {
            let more = text.skip_at_most(at + 1, 5, |byte| byte.is_ascii_digit());
            groups.len() > 1 && more == at + 5
        }
        || next == b'.' && text.at(at + 1).is_ascii_digit();
    (!goes_on).then_some((digits, at))
}

fn is_card(digits: &[u8]) -> bool {
    let number = |count: usize| {
        digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let fits = match (digits.len(), number(1), number(2), number(4)) {
        (13 | 16 | 19, 4, ..) => true,
        (16, _, 51..=55 | 60..=65 | 35, _) | (16, _, _, 2221..=2720) => true,
        (19, _, 62 | 60..=61 | 64..=65, _) => true,
        (15, _, 34 | 37, _) | (14, _, 36 | 38 | 39 | 30, _) => true,
        _ => false,
    };
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
    sum % 10 == 0
}
