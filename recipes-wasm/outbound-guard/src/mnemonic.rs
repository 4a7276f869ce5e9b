//! Seed phrases: twelve or more words of the BIP-39 list in a row. The list
//! has no `the`, `and` or `of`, so that no sentence is one. The checksum is not
//! looked at: half a phrase is half a secret.

use crate::kind::{Finding, Kind};
use crate::text::Text;

/// <https://github.com/bitcoin/bips/blob/master/bip-0039/english.txt>, sorted.
const LIST: &str = include_str!("bip39-english.txt");
const FEWEST_WORDS: usize = 12;
/// Between two words: spaces, a number, a comma, quotes.
const MOST_BETWEEN: usize = 8;

pub(crate) fn find(text: Text<'_>, found: &mut Vec<Finding>) {
    let list: Vec<&str> = LIST.lines().collect();
    let mut at = 0;
    let mut run: Option<(usize, usize, usize)> = None;
    while at < text.len() {
        let from = text.skip(at, |byte| !byte.is_ascii_alphabetic() && byte < 0x80);
        let end = text.skip(from, |byte| byte.is_ascii_alphabetic() || byte >= 0x80);
        if from == end {
            break;
        }
        let is_listed = is_listed(&list, text.part(from, end));
        run = match run {
            Some((begin, last, words)) if is_listed && from - last <= MOST_BETWEEN => {
                Some((begin, end, words + 1))
            }
            other => {
                report(other, found);
                is_listed.then_some((from, end, 1))
            }
        };
        at = end;
    }
    report(run, found);
}

fn report(run: Option<(usize, usize, usize)>, found: &mut Vec<Finding>) {
    if let Some((from, to, words)) = run
        && words >= FEWEST_WORDS
    {
        found.push(Finding { kind: Kind::Mnemonic, from, to });
    }
}

fn is_listed(list: &[&str], word: &str) -> bool {
    (3..=8).contains(&word.len())
        && list
            .binary_search_by(|listed| {
                listed.bytes().cmp(word.bytes().map(|byte| byte.to_ascii_lowercase()))
            })
            .is_ok()
}
