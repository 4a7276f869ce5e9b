//! The `artifacts` folder. A file is there whole or not at all, also after a
//! power cut; no name leads out of the folder.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::plain_file;

/// A handle on the folder. Everything goes through it, nothing through paths.
#[derive(Debug)]
pub struct Artifacts {
    dir: Dir,
}

impl Artifacts {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened, or it is a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        Ok(Self { dir: plain_file::open_folder(path)? })
    }

    /// Writes a file that replaces one of the same name; on disk on return.
    /// `name` is a plain file name.
    ///
    /// # Errors
    /// It cannot be written; an older file of that name is untouched.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        plain_file::replace(&self.dir, name, content)
    }
}
