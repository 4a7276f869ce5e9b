//! Whether the file that is written is still the one at its path. SQLite goes on
//! writing into a file that was removed or replaced, and what it acknowledged
//! then is gone with the process.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;

/// The first bytes of every database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The database and its write-ahead log, as this process has them open.
pub(super) struct DatabaseFile {
    path: PathBuf,
    log_path: PathBuf,
    /// Opened before SQLite opens it, closed after: closing it in between would
    /// give up SQLite's locks, which belong to the process.
    file: Arc<File>,
    id: (u64, u64),
    log_id: Option<(u64, u64)>,
    size: u64,
    /// Nanoseconds; a file that nobody touched is not read again.
    changed: (i64, i64),
}

impl DatabaseFile {
    /// Looks at a file before it is opened as a database; makes it if there is
    /// none.
    ///
    /// # Errors
    /// It cannot be opened, or holds something else.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        let mut log_path = path.as_os_str().to_owned();
        log_path.push("-wal");
        let this = Self {
            path: path.to_owned(),
            log_path: log_path.into(),
            file: Arc::new(file),
            id: id_of(&found),
            log_id: None,
            size: found.len(),
            changed: changed(&found),
        };
        if found.len() > 0 && !this.has_magic() {
            return Err(StoreError::NotADatabase { path: path.to_owned() });
        }
        Ok(this)
    }

    /// Asked before each commit: two looks at the folder, and one into the file
    /// after a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Lost`]: what is written now would not be found again.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        let lost = |what| StoreError::Lost { path: self.path.clone(), what };
        let Ok(found) = std::fs::metadata(&self.path) else { return Err(lost("is gone")) };
        if id_of(&found) != self.id {
            return Err(lost("was replaced by another file"));
        }
        if found.len() < self.size {
            return Err(lost("was cut short"));
        }
        if (found.len(), changed(&found)) != (self.size, self.changed) {
            if !self.has_magic() {
                return Err(lost("was overwritten"));
            }
            self.size = found.len();
            self.changed = changed(&found);
        }
        let log = std::fs::metadata(&self.log_path).ok().as_ref().map(id_of);
        match self.log_id {
            // There from the first transaction on.
            None => self.log_id = log,
            Some(_) if log == self.log_id => {}
            Some(_) => {
                let path = self.log_path.clone();
                return Err(StoreError::Lost { path, what: "is gone or was replaced" });
            }
        }
        Ok(())
    }

    /// To be kept until the last connection is closed.
    pub(super) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    fn has_magic(&self) -> bool {
        let mut start = [0; MAGIC.len()];
        self.file.read_exact_at(&mut start, 0).is_ok() && start == *MAGIC
    }
}

fn id_of(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn changed(found: &Metadata) -> (i64, i64) {
    (found.mtime(), found.mtime_nsec())
}
