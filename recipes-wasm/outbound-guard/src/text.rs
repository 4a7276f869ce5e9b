//! A text as bytes that may be asked for anywhere: beyond its ends there is a
//! zero, which is nothing that any finder looks for.

#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    text: &'a str,
    bytes: &'a [u8],
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn at(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or(0)
    }

    /// The byte before, zero at the start.
    pub(crate) fn before(&self, index: usize) -> u8 {
        index.checked_sub(1).map_or(0, |index| self.at(index))
    }

    pub(crate) fn bytes(&self, from: usize, to: usize) -> &'a [u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Empty where the places are none of the text's.
    pub(crate) fn part(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Where the bytes that fit end.
    pub(crate) fn skip(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !fits(*byte)).unwrap_or(rest.len())
    }

    /// As [`Self::skip`], at most so many bytes.
    pub(crate) fn skip_at_most(
        &self,
        from: usize,
        most: usize,
        fits: impl Fn(u8) -> bool,
    ) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        from + rest.iter().take(most).take_while(|byte| fits(**byte)).count()
    }

    pub(crate) fn starts_with(&self, index: usize, wanted: &str) -> bool {
        self.bytes.get(index..).is_some_and(|rest| rest.starts_with(wanted.as_bytes()))
    }

    /// `wanted` is in lower case.
    pub(crate) fn starts_with_any_case(&self, index: usize, wanted: &str) -> bool {
        self.bytes
            .get(index..index + wanted.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// Where `wanted` stands next, from a place on.
    pub(crate) fn find(&self, from: usize, wanted: &str) -> Option<usize> {
        // Every finder asks for ASCII at a place after ASCII.
        Some(from + self.text.get(from..)?.find(wanted)?)
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Bytes of a token that stand for themselves in an address.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a value looks drawn by lot: enough different characters, none of
/// which makes up more than a third.
pub(crate) fn is_varied(value: &[u8]) -> bool {
    let mut counts = [0_u32; 128];
    let mut different = 0_u32;
    let mut total = 0_u32;
    let mut most = 0_u32;
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            if *count == 0 {
                different += 1;
            }
            *count += 1;
            total += 1;
            most = most.max(*count);
        }
    }
    different >= 8 && most * 3 <= total
}
