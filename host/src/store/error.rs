//! What can go wrong with the store, in words that say what to try.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::ids::{EnvelopeSeq, JournalId};

/// Why the store did not do what it was asked for. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "{path} is in use by another thrall service{}: stop it first, or give another --home",
        pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
    )]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error(
        "{path} has schema {found}, this thrall knows up to {known}: run the newer thrall that wrote it, or restore a backup made before the update"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error(
        "{path} has schema {found}, this thrall needs {known}: start the service once, it migrates"
    )]
    NotMigrated { path: PathBuf, found: u32, known: u32 },
    #[error("{path} is a database, but not one of this thrall: move it away")]
    Foreign { path: PathBuf },
    #[error("cannot open {path}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error(
        "no space for the database: free disk space or raise max_db_bytes; nothing was written"
    )]
    Full(#[source] rusqlite::Error),
    #[error(
        "{path} {what} while the service runs: nothing more is taken in, as it would not be found again. Put it back, or stop the service, restore a backup and start it"
    )]
    Lost { path: PathBuf, what: &'static str },
    #[error(
        "{path} is damaged or no database: restore a backup, or, to begin anew, move it away together with its -wal and -shm files"
    )]
    NotADatabase { path: PathBuf },
    #[error(
        "{folder} cannot be written: mount it writable, or give it to the user that runs the service (mode 0700)"
    )]
    ReadOnly { folder: PathBuf, source: Box<StoreError> },
    #[error("database: cannot {doing}")]
    Database { doing: &'static str, source: rusqlite::Error },
    #[error("{what} in the database cannot be read: run `thrall journal verify`")]
    Malformed { what: String },
    #[error("no accepted envelope has number {0}")]
    NoSuchEnvelope(EnvelopeSeq),
    #[error("journal row {0} does not exist")]
    NoSuchRow(JournalId),
    #[error("prompt {name:?} has no version {version}: see `thrall prompt history {name}`")]
    NoSuchPrompt { name: String, version: String },
    #[error("outbox row {id} is {state}, which cannot become {wanted}")]
    WrongState { id: i64, state: String, wanted: &'static str },
    #[error("the store's writer has stopped; see the log for the reason")]
    Closed,
}

impl StoreError {
    /// Whether writing may work again once there is space.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the same may succeed later: what is wrong is the disk or the
    /// file, not what was to be written.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Full(_) | Self::Lost { .. } => true,
            Self::Database { source, .. } => {
                source.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            _ => false,
        }
    }

    /// With all its causes, for who sees only one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(&format!(": {cause}"));
            next = cause.source();
        }
        text
    }

    /// What an error on opening means for the file and its folder.
    pub(super) fn at_opening(self, path: &Path) -> Self {
        use rusqlite::ErrorCode;
        let folder = path.parent().unwrap_or(path).to_owned();
        let code = match &self {
            Self::Database { source, .. } => source.sqlite_error_code(),
            _ => None,
        };
        match (&self, code) {
            (_, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)) => {
                Self::NotADatabase { path: path.to_owned() }
            }
            (_, Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) => {
                Self::ReadOnly { folder, source: Box::new(self) }
            }
            (Self::Open { source, .. }, _)
                if matches!(
                    source.kind(),
                    ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
                ) =>
            {
                Self::ReadOnly { folder, source: Box::new(self) }
            }
            _ => self,
        }
    }

    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}

/// Says what was being done when SQLite failed.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(source),
            _ => StoreError::Database { doing, source },
        })
    }
}
