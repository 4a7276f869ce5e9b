//! Reads a file of envelopes line by line. A line without an id gets one from
//! the file's digest and its number, so that the same file again is known.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use crate::envelope::json::{self, Draft, MAX_JSON_BYTES, Refusal};

/// The longest standard input that is taken: it has to be held for its digest.
const MAX_STDIN_BYTES: u64 = 256 * 1024 * 1024;

pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// First 16 hex characters of the file's SHA-256.
    digest: String,
    total: u64,
    number: u64,
}

/// A line with its number.
pub(super) type RawLine = (u64, Vec<u8>);

pub(super) enum Line {
    Draft(u64, Draft),
    Refused(u64, Refusal),
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .take(MAX_STDIN_BYTES)
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
            let (digest, total) = scan(&mut bytes.as_slice())?;
            return Ok(Self { reader: Box::new(Cursor::new(bytes)), digest, total, number: 0 });
        }
        let unread = || format!("cannot read {}", path.display());
        let open = || File::open(path).with_context(unread);
        let (digest, total) = scan(&mut BufReader::new(open()?)).with_context(unread)?;
        Ok(Self { reader: Box::new(BufReader::new(open()?)), digest, total, number: 0 })
    }

    /// Lines that hold something.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The next parsed lines; `None` at the end.
    pub(super) fn next_batch(&mut self, max: usize) -> anyhow::Result<Option<Vec<Line>>> {
        let Some(raw) = self.next_raw_batch(max)? else { return Ok(None) };
        let parsed = raw.into_iter().map(|(number, bytes)| match json::parse(&bytes) {
            Ok(mut draft) => {
                draft.id.get_or_insert_with(|| format!("file:{}:{number}", self.digest));
                Line::Draft(number, draft)
            }
            Err(refusal) => Line::Refused(number, refusal),
        });
        Ok(Some(parsed.collect()))
    }

    /// The next lines as they stand, with their numbers; `None` at the end.
    pub(super) fn next_raw_batch(&mut self, max: usize) -> anyhow::Result<Option<Vec<RawLine>>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            match self.next_line()? {
                Some(line) if line.trim_ascii().is_empty() => {}
                Some(line) => batch.push((self.number, line)),
                None => break,
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// One line without its end. Of an endless one only as much is kept as is
    /// needed to refuse it.
    fn next_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let limit = MAX_JSON_BYTES as u64 + 2;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == limit {
            skip_to_line_end(&mut self.reader)?;
        }
        Ok(Some(line))
    }
}

fn skip_to_line_end(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffered = reader.fill_buf()?;
        if buffered.is_empty() {
            return Ok(());
        }
        match buffered.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                reader.consume(end + 1);
                return Ok(());
            }
            None => {
                let all = buffered.len();
                reader.consume(all);
            }
        }
    }
}

/// Digest and number of non-blank lines of a whole input.
fn scan(reader: &mut dyn BufRead) -> anyhow::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut lines = 0;
    let mut is_blank = true;
    loop {
        let buffered = reader.fill_buf()?;
        if buffered.is_empty() {
            break;
        }
        hasher.update(buffered);
        for byte in buffered {
            if *byte == b'\n' {
                is_blank = true;
            } else if is_blank && !byte.is_ascii_whitespace() {
                is_blank = false;
                lines += 1;
            }
        }
        let all = buffered.len();
        reader.consume(all);
    }
    let digest = hex::encode(hasher.finalize());
    Ok((digest.get(..16).unwrap_or_default().to_owned(), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Lines {
        let (digest, total) = scan(&mut &*bytes).unwrap();
        Lines { reader: Box::new(Cursor::new(bytes.to_vec())), digest, total, number: 0 }
    }

    #[test]
    fn blank_lines_are_skipped_and_numbers_are_the_files() {
        let mut read = lines(b"{\"a\":1}\n\n  \n{\"b\":2}");
        assert_eq!(read.total(), 2);
        let batch = read.next_raw_batch(10).unwrap().unwrap();
        assert_eq!(batch.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 4]);
        assert!(read.next_raw_batch(10).unwrap().is_none());
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; MAX_JSON_BYTES + 5000];
        bytes.extend_from_slice(b"\n{}\n");
        let mut read = lines(&bytes);
        let batch = read.next_raw_batch(10).unwrap().unwrap();
        assert!(matches!(json::parse(&batch[0].1), Err(Refusal::TooLarge { .. })));
        assert_eq!(batch[1], (2, b"{}".to_vec()));
    }
}
