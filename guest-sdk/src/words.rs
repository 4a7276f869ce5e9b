//! The nearest valid word to a misspelt one, for error messages.

/// The candidate with the fewest changed, added, missing or swapped letters;
/// `None` when none is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let bound = word.chars().count().div_ceil(3).max(1);
    candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance where two neighbours that changed places count once.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut last_left = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut last_right = None;
        for (column, other) in right.iter().copied().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&above, column) + usize::from(letter != other);
            let added = at(&current, column) + 1;
            let missing = at(&above, column + 1) + 1;
            let mut best = changed.min(added).min(missing);
            if column > 0 && last_left == Some(other) && last_right == Some(letter) {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
            last_right = Some(other);
        }
        before = std::mem::replace(&mut above, current);
        last_left = Some(letter);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised() {
        let words = ["envelope", "filter", "context", "verdict"];
        assert_eq!(nearest("envelop", &words), Some("envelope"));
        assert_eq!(nearest("flitre", &words), Some("filter"));
        assert_eq!(nearest("verdcit", &words), Some("verdict"));
        assert_eq!(nearest("banana", &words), None);
    }

    #[test]
    fn swapped_neighbours_count_once() {
        assert_eq!(distance("wkae", "wake"), 1);
        assert_eq!(distance("", "wake"), 4);
        assert_eq!(distance("wake", "wake"), 0);
    }
}
