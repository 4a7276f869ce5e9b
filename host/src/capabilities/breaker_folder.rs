//! The `breakers` folder: one file for each breaker, so that a person can look
//! at it, and delete it. Everything goes through one handle; what is no plain
//! file is reported, never followed. What of it stands is kept in
//! `capabilities/standing_breakers.rs`.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::AtFlags;

use crate::breakers::{BreakerFile, MAX_BREAKER_BYTES, Target};
use crate::clock::TimestampMs;
use crate::plain_file;

/// More files than this are an accident or an attack.
pub const MAX_FILES: usize = 10_000;

/// So soon after a change another one may leave the same times behind.
const UNSETTLED: Duration = Duration::from_secs(2);

/// A handle on the folder.
#[derive(Debug)]
pub struct BreakerFolder {
    /// `None`: there is no such folder, so no breaker was ever tripped.
    dir: Option<Dir>,
}

/// How a file looks from outside. Two looks that agree are of the same content,
/// except where it was changed just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of its last change, content and name.
    changed: [i64; 4],
    is_settled: bool,
}

impl Stamp {
    /// Whether a file that looks like `later` has to be read again.
    pub fn is_still(&self, later: &Self) -> bool {
        self.is_settled
            && (self.inode, self.size, self.changed) == (later.inode, later.size, later.changed)
    }

    /// Whether both are of one file, as far as can be seen.
    pub fn is_of(&self, later: &Self) -> bool {
        (self.inode, self.size, self.changed) == (later.inode, later.size, later.changed)
    }

    /// When the content was written.
    pub fn written(&self) -> TimestampMs {
        let [seconds, nanos, ..] = self.changed;
        let millis = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
        TimestampMs::from_i64(millis)
    }
}

/// What lies in the folder, by name.
#[derive(Debug, Default)]
pub struct Names {
    pub names: Vec<String>,
    /// Files beyond [`MAX_FILES`], which are left alone.
    pub left_out: usize,
}

impl BreakerFolder {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened, or it is a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        Ok(Self { dir: Some(plain_file::open_folder(path)?) })
    }

    /// Opens the folder for reading; makes nothing.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub fn existing(path: &Path) -> io::Result<Self> {
        match plain_file::open_folder(path) {
            Ok(dir) => Ok(Self { dir: Some(dir) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { dir: None }),
            Err(error) => Err(error),
        }
    }

    /// What lies there, by name. Of more than [`MAX_FILES`], those that are
    /// `known` and the first others: a flood of new ones pushes out none.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn names(&self, known: &HashMap<String, Stamp>) -> io::Result<Names> {
        let Some(dir) = &self.dir else { return Ok(Names::default()) };
        let (mut names, mut others) = (Vec::new(), Vec::new());
        for entry in dir.entries()? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // Names that begin with a dot are files that are being written.
            if name.starts_with('.') {
                continue;
            }
            if known.contains_key(&name) { names.push(name) } else { others.push(name) }
        }
        others.sort_unstable();
        let room = MAX_FILES.saturating_sub(names.len());
        let left_out = others.len().saturating_sub(room);
        names.extend(others.into_iter().take(room));
        Ok(Names { names, left_out })
    }

    /// How a file looks; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn look(&self, name: &str) -> io::Result<Option<Stamp>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        if !plain_file::is_plain_name(name) {
            return Ok(None);
        }
        let found = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Signed on some systems, unsigned on others.
        let changed = [
            found.st_mtime,
            i64::try_from(found.st_mtime_nsec).unwrap_or(0),
            found.st_ctime,
            i64::try_from(found.st_ctime_nsec).unwrap_or(0),
        ];
        let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(found.st_ctime).unwrap_or(0));
        let is_settled = SystemTime::now().duration_since(at).is_ok_and(|past| past > UNSETTLED);
        let size = u64::try_from(found.st_size).unwrap_or(0);
        Ok(Some(Stamp { inode: found.st_ino, size, changed, is_settled }))
    }

    /// The breaker in a file; `None` if there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, name: &str) -> Result<Option<BreakerFile>, String> {
        let Some(dir) = &self.dir else { return Ok(None) };
        match plain_file::read(dir, name, MAX_BREAKER_BYTES) {
            Ok(bytes) => BreakerFile::parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes a breaker's file: on disk on return. What lies in its place and is
    /// no breaker is replaced.
    ///
    /// # Errors
    /// It cannot be written; an older one is untouched.
    pub fn write(&self, target: &Target, file: &BreakerFile) -> io::Result<()> {
        let dir = self.dir.as_ref().ok_or(io::ErrorKind::NotFound)?;
        plain_file::replace(dir, &target.file_name(), &file.to_bytes())
    }

    /// Removes a file. False: there was none.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let Some(dir) = &self.dir else { return Ok(false) };
        if !plain_file::is_plain_name(name) {
            return Ok(false);
        }
        match dir.remove_file(name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
