//! Seed phrases: twelve or more words of the BIP-39 list in a row (the English
//! list of that standard, published with it under the MIT licence). The list
//! has no `the`, `and` or `of`, so that no sentence is one. The checksum is not
//! looked at: half a phrase is half a secret.

use std::cmp::Ordering;

use crate::kind::{Finding, Kind};
use crate::text::Text;

/// <https://github.com/bitcoin/bips/blob/master/bip-0039/english.txt>, sorted,
/// each word filled up to eight letters: to be searched where it lies, because
/// taking it apart first would cost more than looking at a whole mail.
const LIST: &str = include_str!("bip39-english.txt");
const WORDS: usize = 2048;
const LINE_BYTES: usize = 9;
const FILLER: u8 = b'.';
const FEWEST_WORDS: usize = 12;
/// Between two words: spaces, a number, a comma, quotes.
const MOST_BETWEEN: usize = 8;

pub(crate) fn find(text: Text<'_>, found: &mut Vec<Finding>) {
    let words = words(text);
    let is_listed =
        |index: usize| words.get(index).is_some_and(|(from, to)| is_listed(text.part(*from, *to)));
    // Whether a word stands right behind the one before it.
    let follows = |index: usize| match (
        index.checked_sub(1).and_then(|last| words.get(last)),
        words.get(index),
    ) {
        (Some((_, last)), Some((from, _))) => from - last <= MOST_BETWEEN,
        _ => false,
    };
    // Any twelve in a row hold one of every twelfth word: the others are looked
    // at only around one that is listed.
    let mut unseen = 0;
    let mut probe = FEWEST_WORDS - 1;
    while probe < words.len() {
        if !is_listed(probe) {
            probe += FEWEST_WORDS;
            continue;
        }
        let mut begin = probe;
        while begin > unseen && follows(begin) && is_listed(begin - 1) {
            begin -= 1;
        }
        let mut end = probe + 1;
        while follows(end) && is_listed(end) {
            end += 1;
        }
        if end - begin >= FEWEST_WORDS
            && let (Some((from, _)), Some((_, to))) = (words.get(begin), words.get(end - 1))
        {
            found.push(Finding { kind: Kind::Mnemonic, from: *from, to: *to });
        }
        unseen = end;
        probe = end + FEWEST_WORDS - 1;
    }
}

/// Where words begin and end.
fn words(text: Text<'_>) -> Vec<(usize, usize)> {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let from = text.skip(at, |byte| !is_letter(byte));
        let end = text.skip(from, is_letter);
        if from == end {
            return words;
        }
        words.push((from, end));
        at = end;
    }
}

fn is_listed(word: &str) -> bool {
    if !(3..LINE_BYTES).contains(&word.len()) {
        return false;
    }
    let mut wanted = [FILLER; LINE_BYTES - 1];
    for (place, byte) in wanted.iter_mut().zip(word.bytes()) {
        *place = byte.to_ascii_lowercase();
    }
    // Eight letters are one number, in the same order.
    let wanted = u64::from_be_bytes(wanted);
    let (mut low, mut high) = (0, WORDS);
    while low < high {
        let middle = usize::midpoint(low, high);
        match wanted.cmp(&listed(middle)) {
            Ordering::Equal => return true,
            Ordering::Greater => low = middle + 1,
            Ordering::Less => high = middle,
        }
    }
    false
}

fn listed(index: usize) -> u64 {
    let line = LIST.as_bytes().get(index * LINE_BYTES..).and_then(|rest| rest.first_chunk());
    line.map_or(u64::MAX, |word| u64::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_list_is_found_and_its_neighbours_are_not() {
        let words: Vec<&str> = LIST.lines().map(|line| line.trim_end_matches('.')).collect();
        assert_eq!((words.len(), LIST.len()), (WORDS, WORDS * LINE_BYTES));
        assert!(LIST.lines().is_sorted());
        for word in &words {
            assert!(is_listed(word) && is_listed(&word.to_uppercase()), "{word}");
            let longer = format!("{word}q");
            assert_eq!(is_listed(&longer), words.contains(&longer.as_str()), "{longer}");
        }
        for word in ["the", "and", "aaa", "zzz", "zo", "", "abandonment"] {
            assert!(!is_listed(word), "{word}");
        }
    }
}
