//! Sets of ASCII characters, a bit each: one test for a character, whatever the
//! class that it stands for looks like.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ascii([u32; 4]);

impl Ascii {
    pub(crate) const NONE: Self = Self([0; 4]);
    pub(crate) const ALL: Self = Self([u32::MAX; 4]);

    /// Those between two characters, both included.
    pub(crate) fn range(from: char, to: char) -> Self {
        let mut words = [0; 4];
        for (word, first) in words.iter_mut().zip([0_u32, 32, 64, 96]) {
            let (from, to) = (u32::from(from).max(first), u32::from(to).min(first + 31));
            if from <= to {
                *word = (u32::MAX >> (31 - (to - from))) << (from - first);
            }
        }
        Self(words)
    }

    pub(crate) fn one(byte: u8) -> Self {
        Self::range(char::from(byte), char::from(byte))
    }

    pub(crate) fn with(self, more: Self) -> Self {
        let (Self([a, b, c, d]), Self([e, f, g, h])) = (self, more);
        Self([a | e, b | f, c | g, d | h])
    }

    pub(crate) fn others(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// With the small letter of each capital.
    pub(crate) fn in_small_letters(self) -> Self {
        let Self([low, signs, capitals, small]) = self;
        // Capitals and small letters stand at the same places of their words.
        Self([low, signs, capitals, small | (capitals & 0x07ff_fffe)])
    }

    pub(crate) fn holds(self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 5)).is_some_and(|word| word >> (byte & 31) & 1 == 1)
    }
}
