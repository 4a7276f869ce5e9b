//! A watched log on this machine's disk, opened in the same careful way as a
//! gathered file: no link on the way, a plain file with one name, none of the
//! service's own secrets.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::gathered_files;
use crate::log_tail::{Identity, LogFiles, Look};

/// What lies at one path, now and later.
pub struct LogOnDisk {
    path: String,
    secret: Arc<[PathBuf]>,
}

impl LogOnDisk {
    /// `secret` are folders that no grant opens.
    pub fn new(path: String, secret: Arc<[PathBuf]>) -> Self {
        Self { path, secret }
    }
}

impl LogFiles for LogOnDisk {
    type File = File;

    fn open(&self) -> Result<Option<File>, String> {
        match gathered_files::open(&self.path, &self.secret) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn look(&self, file: &File) -> Result<Look, String> {
        let found = file.metadata().map_err(|error| error.to_string())?;
        Ok(Look {
            identity: Identity { device: found.dev(), inode: found.ino() },
            size: found.len(),
            changed: (found.mtime(), found.mtime_nsec()),
            has_name: found.nlink() > 0,
        })
    }

    fn read(&self, file: &File, offset: u64, max: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; max];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            let from = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match file.read_at(room, from) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}
