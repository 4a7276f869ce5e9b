//! The growing file: `FILE.part` until its hash is right, then `FILE`; `FILE.bad`
//! when all bytes came and are others. The hash is taken while bytes go by.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{PullError, read_chunks};
use crate::ids::Digest;
use crate::model::catalogue::PinnedFile;

pub(super) struct PartFile<'a> {
    wanted: PinnedFile<'a>,
    folder: &'a Path,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    written: u64,
}

impl<'a> PartFile<'a> {
    /// Opens what an earlier pull left, or an empty file.
    pub(super) fn open(wanted: PinnedFile<'a>, folder: &'a Path) -> Result<Self, PullError> {
        let path = part_path(wanted, folder);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(PullError::io("write to", &path))?;
        let mut hasher = Sha256::new();
        let mut written = 0;
        read_chunks(&mut file, |chunk| {
            hasher.update(chunk);
            written += chunk.len() as u64;
        })
        .map_err(PullError::io("read", &path))?;
        let mut part = Self { wanted, folder, path, file, hasher, written };
        if part.written > wanted.size {
            part.restart()?;
        }
        Ok(part)
    }

    /// Bytes that an interrupted pull left, without opening.
    pub(super) fn size_on_disk(wanted: PinnedFile<'_>, folder: &Path) -> u64 {
        fs::metadata(part_path(wanted, folder)).map_or(0, |found| found.len())
    }

    /// A source that gave nothing should leave nothing.
    pub(super) fn remove_if_empty(wanted: PinnedFile<'_>, folder: &Path) {
        let path = part_path(wanted, folder);
        if fs::metadata(&path).is_ok_and(|found| found.len() == 0) {
            // Best effort: an empty file is only untidy.
            let _ = fs::remove_file(path);
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn is_complete(&self) -> bool {
        self.written == self.wanted.size
    }

    /// Throws away what is there.
    pub(super) fn restart(&mut self) -> Result<(), PullError> {
        self.file.set_len(0).map_err(PullError::io("empty", &self.path))?;
        self.file.rewind().map_err(PullError::io("empty", &self.path))?;
        self.hasher = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Adds bytes, never more than the catalogue's size: a source without an end
    /// cannot fill the disk.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), PullError> {
        let after = self.written + bytes.len() as u64;
        if after > self.wanted.size {
            return Err(PullError::WrongSize {
                model: self.wanted.model.to_owned(),
                origin: "the source".to_owned(),
                expected: self.wanted.size,
                actual: "more".to_owned(),
            });
        }
        self.file.write_all(bytes).map_err(|error| self.write_error(error))?;
        self.hasher.update(bytes);
        self.written = after;
        Ok(())
    }

    /// Checks the hash, then gives the file its final name in one step.
    pub(super) fn finish(self) -> Result<PathBuf, PullError> {
        if !self.is_complete() {
            return Err(PullError::WrongSize {
                model: self.wanted.model.to_owned(),
                origin: "the source".to_owned(),
                expected: self.wanted.size,
                actual: format!("only {}", self.written),
            });
        }
        let actual = Digest(self.hasher.finalize().into());
        if actual != self.wanted.sha256 {
            // One such file is kept per model, for a look at what came; the next
            // pull starts anew.
            let kept = self.folder.join(format!("{}.bad", self.wanted.name));
            fs::rename(&self.path, &kept).map_err(PullError::io("rename", &self.path))?;
            return Err(PullError::Mismatch {
                model: self.wanted.model.to_owned(),
                expected: self.wanted.sha256.to_string(),
                actual: actual.to_string(),
                kept,
            });
        }
        // The bytes must be on the disk before the name says that they are right.
        self.file.sync_all().map_err(PullError::io("write to", &self.path))?;
        let path = self.folder.join(self.wanted.name);
        fs::rename(&self.path, &path).map_err(PullError::io("rename", &self.path))?;
        File::open(self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(PullError::io("write to", self.folder))?;
        Ok(path)
    }

    fn write_error(&self, error: io::Error) -> PullError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => PullError::DiskFull {
                model: self.wanted.model.to_owned(),
                folder: self.folder.to_owned(),
                needed: self.wanted.size.saturating_sub(self.written),
                free: None,
            },
            _ => PullError::io("write to", &self.path)(error),
        }
    }
}

fn part_path(wanted: PinnedFile<'_>, folder: &Path) -> PathBuf {
    folder.join(format!("{}.part", wanted.name))
}
