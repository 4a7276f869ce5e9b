//! The `artifacts` folder. A file is there whole or not at all, also after a
//! power cut; no name leads out of the folder. Briefings hold what others wrote
//! to this node, so the folder is closed to everybody but the agent.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::plain_file;

/// Who may read briefings beside the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Nobody,
    /// The agent's group.
    Group(u32),
    /// The agent is a user of its own without a group: there is no other way.
    Everybody,
}

/// A handle on the folder. Everything goes through it, nothing through paths.
#[derive(Debug)]
pub struct Artifacts {
    dir: Dir,
    /// Of a file, before the process's umask.
    mode: u32,
}

impl Artifacts {
    /// Opens the folder, making it if it is not there, and closes it to whoever is
    /// no reader, as far as this user may.
    ///
    /// # Errors
    /// It cannot be made or opened, or it is a link.
    pub fn open(path: &Path, readers: Readers) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        let dir = plain_file::open_folder(path)?;
        let folder = dir.open(".")?.into_std();
        if let Err(error) = close(&folder, readers) {
            tracing::warn!(%error, "{} keeps its owner and mode", path.display());
        }
        let mode = folder.metadata()?.mode();
        let mode = [(0o004, 0o644), (0o040, 0o640)]
            .into_iter()
            .find(|(bit, _)| mode & bit != 0)
            .map_or(0o600, |(_, mode)| mode);
        Ok(Self { dir, mode })
    }

    /// Writes a file that replaces one of the same name; on disk on return.
    /// `name` is a plain file name.
    ///
    /// # Errors
    /// It cannot be written; an older file of that name is untouched.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        plain_file::replace_as(&self.dir, name, content, self.mode)
    }
}

/// Gives the folder the mode that it needs. What the operator gave a group of
/// theirs stays.
fn close(folder: &File, readers: Readers) -> io::Result<()> {
    let metadata = folder.metadata()?;
    let present = metadata.mode() & 0o7777;
    let wanted = match readers {
        Readers::Nobody => present & !0o007,
        Readers::Group(group) => {
            if metadata.gid() != group {
                std::os::unix::fs::fchown(folder, None, Some(group))?;
            }
            // Files get the folder's group.
            (present & !0o007) | 0o2050
        }
        Readers::Everybody => present | 0o055,
    };
    if wanted != present {
        folder.set_permissions(Permissions::from_mode(wanted))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn briefings_are_closed_to_everybody_but_the_agent() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("artifacts");
        std::fs::create_dir(&path).unwrap();
        let group = std::fs::metadata(&path).unwrap().gid();
        for (before, readers, folder, file) in [
            (0o700, Readers::Nobody, 0o700, 0o600),
            (0o755, Readers::Nobody, 0o750, 0o640),
            (0o700, Readers::Group(group), 0o750, 0o640),
            (0o755, Readers::Group(group), 0o750, 0o640),
            (0o700, Readers::Everybody, 0o755, 0o644),
        ] {
            std::fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            let artifacts = Artifacts::open(&path, readers).unwrap();
            artifacts.write("a.md", b"secret").unwrap();
            let found = (mode(&path), mode(&path.join("a.md")) | (file & 0o044));
            assert_eq!(found, (folder, file), "{before:o} {readers:?}");
        }
    }
}
