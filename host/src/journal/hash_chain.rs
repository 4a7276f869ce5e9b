//! The chain over journal rows: each row's hash covers its own content and the
//! hash of the row before, so that a changed, removed, inserted or reordered
//! row is found. Payloads enter by digest only: a body can expire while the
//! chain stays whole.

use crate::ids::Digest;

/// The hash of a row: what stands before it in the chain, its id and kind, and
/// its canonical content.
pub fn row_hash(previous: &Digest, id: i64, kind: &str, content: &[u8]) -> Digest {
    Digest::of_parts(&[
        b"thrall journal 1",
        &previous.0,
        &id.to_be_bytes(),
        kind.as_bytes(),
        content,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let base = row_hash(&Digest::ZERO, 1, "decision", b"x");
        assert_ne!(base, row_hash(&base, 1, "decision", b"x"));
        assert_ne!(base, row_hash(&Digest::ZERO, 2, "decision", b"x"));
        assert_ne!(base, row_hash(&Digest::ZERO, 1, "performed", b"x"));
        assert_ne!(base, row_hash(&Digest::ZERO, 1, "decision", b"y"));
    }
}
