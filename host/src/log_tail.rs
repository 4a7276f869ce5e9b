//! Following a log without losing or repeating a line: the nouns, and the files
//! as this part sees them. What is read next is decided in
//! `log_tail/follower.rs`. Pure: files are behind [`LogFiles`], time comes in as
//! `now`, and what is durable is the caller's.
//!
//! How nothing is lost and nothing comes twice:
//! - The place is kept in the transaction that accepts the events before it. A
//!   crash leaves both or neither, and what nobody wanted may be read again.
//! - An event's id is made of the file, its incarnation and the place of the
//!   line. A truncation or another file at the path is a new incarnation, so
//!   that the same place in other content is another id.

pub mod follower;

use std::fmt;

use crate::ids::Digest;

/// Which file it is, under whatever name. Numbers are used again when a file is
/// gone, so this alone proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.device, self.inode)
    }
}

impl Identity {
    pub fn parse(text: &str) -> Option<Self> {
        let (device, inode) = text.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Self { device: number(device)?, inode: number(inode)? })
    }
}

/// How far a log was taken, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Grows with each file that takes the path, and with each truncation.
    pub incarnation: u64,
    /// `None` while there is no file: the next one begins at its beginning.
    pub identity: Option<Identity>,
    /// Everything before it was taken.
    pub offset: u64,
    /// Of what stood before the offset; see [`Mark`].
    pub fingerprint: Digest,
}

/// Bytes at the beginning of a file, and before the offset, that tell it from
/// another file with its number and from itself after a truncation.
const FINGERPRINT_BYTES: usize = 256;

/// A place in a file together with the bytes behind its fingerprint. They are
/// those that were read, not those that stand there by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub offset: u64,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Mark {
    /// Moves over bytes that stand at the offset.
    fn advance(&mut self, bytes: &[u8]) {
        let missing = FINGERPRINT_BYTES.saturating_sub(self.first.len());
        self.first.extend(bytes.iter().take(missing));
        let surplus = (self.last.len() + bytes.len()).saturating_sub(FINGERPRINT_BYTES);
        self.last.drain(..surplus.min(self.last.len()));
        let from = bytes.len().saturating_sub(FINGERPRINT_BYTES);
        self.last.extend(bytes.iter().skip(from));
        self.offset += u64::try_from(bytes.len()).unwrap_or(0);
    }

    fn fingerprint(&self) -> Digest {
        Digest::of_parts(&[b"thrall log place 1", &self.first, &self.last])
    }
}

/// What can be seen of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub identity: Identity,
    pub size: u64,
    /// When it was written to, as the file system says.
    pub changed: (i64, i64),
    /// It can still be reached under some name.
    pub has_name: bool,
}

/// The files that lie at one path, one after the other.
pub trait LogFiles {
    type File;

    /// The file that is there now; `None` if there is none.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn open(&self) -> Result<Option<Self::File>, String>;

    /// # Errors
    /// Why it cannot be looked at.
    fn look(&self, file: &Self::File) -> Result<Look, String>;

    /// At most `max` bytes from an offset on; fewer only at the file's end.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, file: &Self::File, offset: u64, max: usize) -> Result<Vec<u8>, String>;
}

/// A line in the place where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins.
    pub offset: u64,
    /// Without its line end, and not more than is kept of a line.
    pub content: Vec<u8>,
    pub is_cut: bool,
}

/// What is worth saying about a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    #[error("is not there (yet); it is looked for again")]
    Absent,
    #[error("{0}; it is tried again")]
    Unreadable(String),
    #[error("was truncated or written anew behind byte {at}: what was not read until then is gone")]
    Truncated { at: u64 },
    #[error(
        "is another file than at the last look: what was left of the old one behind byte {at} is gone"
    )]
    Replaced { at: u64 },
    #[error("was rotated faster than it could be read: files in between are gone")]
    Skipped,
}

impl Notice {
    /// The counter of what may be lost.
    pub fn counter(&self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Unreadable(_) => None,
            Self::Truncated { .. } => Some("log.truncated"),
            Self::Replaced { .. } => Some("log.replaced"),
            Self::Skipped => Some("log.skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back() {
        let identity = Identity { device: u64::MAX, inode: 7 };
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        assert_eq!(Identity::parse("7"), None);
    }

    #[test]
    fn a_mark_is_the_same_however_it_was_reached() {
        let bytes: Vec<u8> = (0..2000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut at_once = Mark::default();
        at_once.advance(&bytes);
        for step in [1, 7, 255, 256, 257, 1999] {
            let mut in_steps = Mark::default();
            bytes.chunks(step).for_each(|chunk| in_steps.advance(chunk));
            assert_eq!(in_steps, at_once, "{step}");
        }
        let mut other = Mark::default();
        other.advance(&bytes[..1999]);
        assert_ne!(other.fingerprint(), at_once.fingerprint());
    }
}
