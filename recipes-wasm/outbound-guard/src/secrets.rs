//! Secrets that can be told by their form (keys in armour, tokens with a
//! vendor's prefix), and those that a label gives away (`api_key = ...`). A hash
//! or a node id is public and has no such form; behind the label `secret` or
//! `seed` 64 hex characters are a secret.

use crate::kind::{Finding, Kind};
use crate::text::{Text, is_token, is_varied, is_word};

pub(crate) fn find(text: Text<'_>, found: &mut Vec<Finding>) {
    armoured(text, found);
    key_bytes(text, found);
    words(text, found);
    labelled(text, found);
    in_addresses(text, found);
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// `OPENSSH PRIVATE KEY` and whatever comes.
const MOST_LABEL_BYTES: usize = 64;

/// PEM and PGP blocks, from their begin to their end or the text's.
fn armoured(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(begin) = text.find(from, BEGIN) {
        let label = begin + BEGIN.len();
        let label_end = text.skip_at_most(label, MOST_LABEL_BYTES, |byte| byte != b'-');
        from = label;
        if text.part(label, label_end).contains("PRIVATE KEY")
            && text.starts_with(label_end, DASHES)
        {
            let end = text
                .find(label_end, "-----END ")
                .and_then(|end| text.find(end + BEGIN.len() - 2, DASHES))
                .map_or(text.len(), |end| end + DASHES.len());
            found.push(Finding { kind: Kind::PrivateKey, from: begin, to: end });
            from = end;
        }
    }
    if let Some(begin) = text.find(0, "PuTTY-User-Key-File-") {
        found.push(Finding { kind: Kind::PrivateKey, from: begin, to: text.len() });
    }
}

/// A key pair as wallets write it: a list of 64 bytes in decimal.
const KEY_BYTES: usize = 64;

fn key_bytes(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(begin) = text.find(from, "[") {
        from = begin + 1;
        if let Some(end) = list_of_bytes(text, from) {
            found.push(Finding { kind: Kind::PrivateKey, from: begin, to: end });
            from = end;
        }
    }
}

fn list_of_bytes(text: Text<'_>, from: usize) -> Option<usize> {
    let is_space = |byte: u8| byte.is_ascii_whitespace();
    let mut at = from;
    for number in 1..=KEY_BYTES {
        at = text.skip_at_most(at, 8, is_space);
        let end = text.skip_at_most(at, 3, |byte| byte.is_ascii_digit());
        text.part(at, end).parse::<u8>().ok()?;
        at = text.skip_at_most(end, 8, is_space);
        let wanted = if number == KEY_BYTES { b']' } else { b',' };
        if text.at(at) != wanted {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// What follows a vendor's prefix.
struct Vendor {
    prefix: &'static str,
    kind: Kind,
    /// Characters behind the prefix.
    least: usize,
    most: usize,
    /// Whether `-` and `_` may be among them.
    has_marks: bool,
}

const fn token(prefix: &'static str, least: usize, has_marks: bool) -> Vendor {
    Vendor { prefix, kind: Kind::Token, least, most: usize::MAX, has_marks }
}

const fn cloud(prefix: &'static str, least: usize, most: usize, has_marks: bool) -> Vendor {
    Vendor { prefix, kind: Kind::CloudKey, least, most, has_marks }
}

const VENDORS: [Vendor; 30] = [
    cloud("AKIA", 16, 16, false),
    cloud("ASIA", 16, 16, false),
    cloud("AIza", 35, 35, true),
    cloud("ya29", 20, usize::MAX, true),
    cloud("dop_v1_", 64, 64, false),
    token("ghp_", 36, false),
    token("gho_", 36, false),
    token("ghu_", 36, false),
    token("ghs_", 36, false),
    token("ghr_", 36, false),
    token("github_pat_", 22, true),
    token("glpat-", 20, true),
    token("xoxb-", 20, true),
    token("xoxp-", 20, true),
    token("xoxa-", 20, true),
    token("xoxr-", 20, true),
    token("xoxs-", 20, true),
    token("sk-ant-", 20, true),
    token("sk-proj-", 20, true),
    token("sk-", 32, false),
    token("sk_live_", 16, false),
    token("sk_test_", 16, false),
    token("rk_live_", 16, false),
    token("npm_", 36, false),
    token("pypi-", 50, true),
    token("hf_", 30, false),
    token("shpat_", 32, false),
    token("tskey-", 20, true),
    token("AGE-SECRET-KEY-", 50, false),
    token("SG", 60, true),
];

/// Words that are a secret by themselves.
fn words(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    while at < text.len() {
        if !is_token(text.at(at)) {
            at += 1;
            continue;
        }
        let end = text.skip(at, is_token);
        if let Some(finding) = word(text, at, end) {
            at = finding.to.max(end);
            found.push(finding);
        } else {
            at = end;
        }
    }
}

fn word(text: Text<'_>, from: usize, end: usize) -> Option<Finding> {
    if text.starts_with(from, "eyJ") {
        return web_token(text, from, end);
    }
    if text.starts_with_any_case(from, "bearer") && end == from + "bearer".len() {
        return bearer(text, end);
    }
    if text.at(end) == b':' && is_bot_number(text, from, end) {
        let to = text.skip(end + 1, is_token);
        let is_secret = to - end > 35 && is_random(text.bytes(end + 1, to));
        return is_secret.then_some(Finding { kind: Kind::Token, from, to });
    }
    // `SG.` goes on behind its dots.
    let end = match text.bytes(from, end) {
        b"SG" | b"ya29" if text.at(end) == b'.' => {
            text.skip(end, |byte| is_token(byte) || byte == b'.')
        }
        _ => end,
    };
    let vendor = VENDORS.iter().find(|vendor| text.starts_with(from, vendor.prefix))?;
    let rest = from + vendor.prefix.len();
    // A longer word with marks in it is a name, where the vendor has none.
    let is_long = (vendor.least..=vendor.most).contains(&end.saturating_sub(rest));
    let is_one = vendor.has_marks || text.bytes(rest, end).iter().all(u8::is_ascii_alphanumeric);
    (is_long && is_one && is_random(text.bytes(rest, end))).then_some(Finding {
        kind: vendor.kind,
        from,
        to: end,
    })
}

/// The number of a bot before its token.
fn is_bot_number(text: Text<'_>, from: usize, end: usize) -> bool {
    (8..=10).contains(&(end - from)) && text.bytes(from, end).iter().all(u8::is_ascii_digit)
}

/// Neither a word nor a number.
fn is_random(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic) && is_varied(value)
        // Vendors with capitals only: a digit may be missing by chance.
        || value.iter().all(u8::is_ascii_uppercase) && value.len() >= 16 && is_varied(value)
}

/// `header.claims.signature`; the first two are JSON in base64.
fn web_token(text: Text<'_>, from: usize, header_end: usize) -> Option<Finding> {
    if header_end - from < 10 || text.at(header_end) != b'.' {
        return None;
    }
    let claims_end = text.skip(header_end + 1, is_token);
    if claims_end - header_end < 10 || text.at(claims_end) != b'.' {
        return None;
    }
    let to = text.skip(claims_end + 1, |byte| is_token(byte) || byte == b'.');
    Some(Finding { kind: Kind::Token, from, to })
}

fn bearer(text: Text<'_>, end: usize) -> Option<Finding> {
    let from = text.skip_at_most(end, 3, |byte| byte == b' ');
    let to =
        text.skip(from, |byte| is_token(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'='));
    (from > end && to - from >= 20 && is_random(text.bytes(from, to))).then_some(Finding {
        kind: Kind::Token,
        from,
        to,
    })
}

/// Ends of names behind which a secret stands; `_` and `-` left out.
const LABELS: [&str; 21] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "token",
    "seed",
    "credential",
    "credentials",
    "mnemonic",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "masterkey",
    "authkey",
    "connectionstring",
];

/// What makes the word `key` behind it a label.
const QUALIFIERS: [&str; 9] =
    ["api", "secret", "private", "access", "signing", "encryption", "account", "master", "auth"];

const LONGEST_LABEL: usize = 64;

/// What a label says about the value.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    /// People choose these.
    Password,
    Other,
}

/// `api_key = "..."`, `my password is ...`, `seed: ...`.
fn labelled(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    // Where the word before began and ended, for `api key`.
    let mut before = (0, 0);
    while at < text.len() {
        if !is_token(text.at(at)) {
            at += 1;
            continue;
        }
        let end = text.skip(at, is_token);
        if let Some(label) = label(text, at, end, before)
            && let Some((from, to)) = value_of(text, end, label)
        {
            found.push(Finding { kind: Kind::Secret, from, to });
            before = (0, 0);
            at = to;
        } else {
            before = (at, end);
            at = end;
        }
    }
}

fn label(text: Text<'_>, from: usize, end: usize, before: (usize, usize)) -> Option<Label> {
    if end - from > LONGEST_LABEL {
        return None;
    }
    let name: String = text
        .bytes(from, end)
        .iter()
        .filter(|byte| is_word(**byte))
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    if name == "key" {
        let is_beside = text.part(before.1, from) == " ";
        let is_label = QUALIFIERS
            .iter()
            .any(|word| text.part(before.0, before.1).to_ascii_lowercase().ends_with(word));
        return (is_beside && is_label).then_some(Label::Other);
    }
    let label = LABELS.iter().find(|label| name.ends_with(**label))?;
    let is_chosen = label.starts_with("pass") || *label == "pwd";
    Some(if is_chosen { Label::Password } else { Label::Other })
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !is_quote(byte)
        && !matches!(
            byte,
            b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b'[' | b']' | b',' | b';' | b':' | b'='
        )
}

/// The value behind a label, if it looks like a secret.
fn value_of(text: Text<'_>, label_end: usize, label: Label) -> Option<(usize, usize)> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t') || is_quote(byte);
    let mut from = text.skip_at_most(label_end, 4, blank);
    let mut is_said = false;
    for sign in [":=", "=>", ":", "=", "is "] {
        if text.starts_with_any_case(from, sign) {
            from = text.skip_at_most(from + sign.len(), 8, |byte| {
                blank(byte) || byte == b'\r' || byte == b'\n'
            });
            is_said = true;
            break;
        }
    }
    let end = text.skip(from, is_value);
    let value = text.bytes(from, end).trim_ascii_end();
    let value = value.strip_suffix(b".").unwrap_or(value);
    let is_secret = if !is_said {
        from > label_end && is_unmistakable(value)
    } else if label == Label::Password {
        is_password(value)
    } else {
        is_key(value)
    };
    if !is_secret || is_placeholder(value) {
        return None;
    }
    // What the value's own alphabet does not have may still belong to it.
    Some((
        from,
        text.skip(from + value.len(), |byte| is_value(byte) || matches!(byte, b':' | b'=')),
    ))
}

/// Names of variables and what people write in place of a secret.
fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    matches!(value.first(), Some(b'$' | b'%' | b'/' | b'~' | b'&' | b'*'))
        || ["xxxx", "****", "....", "your", "placeholder", "changeme", "env.", "redacted"]
            .iter()
            .any(|word| text.contains(word))
}

/// A value that needs no sign between it and its label.
fn is_unmistakable(value: &[u8]) -> bool {
    let is_hex = value.len() >= 32 && value.iter().all(u8::is_ascii_hexdigit);
    let has = |fits: fn(&u8) -> bool| value.iter().any(fits);
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    (is_hex || value.len() >= 20 && is_mixed) && is_key(value)
}

/// Long, and not made of words: a part between marks that mixes letters and
/// digits, or letters of both cases beyond what names do.
fn is_key(value: &[u8]) -> bool {
    value.len() >= 16 && is_varied(value) && parts(value).any(is_mixed)
}

fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

fn is_mixed(part: &[u8]) -> bool {
    let count = |fits: fn(&u8) -> bool| part.iter().filter(|byte| fits(byte)).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    part.len() >= 8 && digits >= 1 && upper + lower >= 1
        || part.len() >= 16 && upper >= 4 && lower >= 4
}

/// Eight characters of three kinds, or of letters and digits without a mark:
/// a chosen password, not a word, a path or a name.
fn is_password(value: &[u8]) -> bool {
    let has = |fits: fn(&u8) -> bool| usize::from(value.iter().any(fits));
    let is_sign = |byte: &u8| {
        byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'_' | b'.' | b'/' | b'?')
    };
    let letters = has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase);
    let digits = has(u8::is_ascii_digit);
    let has_marks = value.iter().any(|byte| matches!(byte, b'-' | b'_' | b'.' | b'/'));
    let signs = usize::from(value.iter().any(is_sign));
    value.len() >= 8 && letters > 0 && (letters + digits + signs >= 3 || digits == 1 && !has_marks)
}

/// `postgres://name:password@host`: the password.
fn in_addresses(text: Text<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(begin) = text.find(at, "://") {
        let from = begin + "://".len();
        let end = text.skip(from, |byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'\'' | b'<' | b'>')
        });
        at = from;
        let name_end = text.skip_at_most(from, end - from, |byte| !matches!(byte, b':' | b'@'));
        if text.at(name_end) != b':' {
            continue;
        }
        let password = name_end + 1;
        let last = text.bytes(password, end).iter().rposition(|byte| *byte == b'@');
        if let Some(length) = last.filter(|length| *length >= 3) {
            let to = password + length;
            if !is_placeholder(text.bytes(password, to))
                && text.at(password) != b'['
                && text.at(password) != b'{'
            {
                found.push(Finding { kind: Kind::Secret, from: password, to });
            }
            at = end;
        }
    }
}
