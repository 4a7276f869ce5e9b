//! Changes inputs: flips, cuts, repeats, splices, and words of the target's
//! own language. The same seed makes the same changes.

/// A source of changes.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// xorshift64*: good enough to choose with, and the same everywhere.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let high = self.next() >> 16;
        usize::try_from(high % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 12] =
            [0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'{', b'[', b'=', b'.', 0x1b];
        match self.below(3) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.next().to_le_bytes()[7],
        }
    }

    /// A stretch of the data, short more often than long.
    fn stretch(&mut self, data: &[u8]) -> (usize, usize) {
        let from = self.below(data.len());
        let longest = (data.len() - from).min(1 << self.below(9));
        (from, from + self.below(longest + 1))
    }

    /// A changed copy of `data`, of at most `max_bytes`.
    #[must_use]
    pub fn change(
        &mut self,
        data: &[u8],
        other: &[u8],
        words: &[&str],
        max_bytes: usize,
    ) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            self.change_once(&mut data, other, words);
        }
        data.truncate(max_bytes);
        data
    }

    fn change_once(&mut self, data: &mut Vec<u8>, other: &[u8], words: &[&str]) {
        let at = self.below(data.len() + 1);
        match self.below(9) {
            0 if !data.is_empty() => data[at.min(at.saturating_sub(1))] ^= 1 << self.below(8),
            1 if !data.is_empty() => {
                let byte = self.byte();
                data[at.min(at.saturating_sub(1))] = byte;
            }
            2 => {
                let byte = self.byte();
                data.insert(at, byte);
            }
            3 => {
                let (from, to) = self.stretch(data);
                data.drain(from..to);
            }
            4 => {
                let (from, to) = self.stretch(data);
                let again = data[from..to].to_vec();
                data.splice(at..at, again);
            }
            5 => {
                let (from, to) = self.stretch(other);
                data.splice(at..at, other[from..to].iter().copied());
            }
            6 => {
                // The beginning of one and the end of another.
                data.truncate(at);
                let from = self.below(other.len() + 1);
                data.extend_from_slice(&other[from..]);
            }
            7 => {
                let (from, to) = self.stretch(data);
                let word = words[self.below(words.len())];
                data.splice(from..to, word.bytes());
            }
            _ => {
                let word = words[self.below(words.len())];
                data.splice(at..at, word.bytes());
            }
        }
    }
}
