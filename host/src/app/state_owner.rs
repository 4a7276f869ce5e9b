//! Whose `state/` is. The operator runs commands as root on a home whose service is
//! another user; what such a command leaves there (a folder for compiled code, a
//! component's copy) has to be the service's, which could not write it otherwise.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use crate::home::Home;
use crate::plain_file;

/// How deep `state/` is looked through; compiled code lies four folders down.
const MAX_DEPTH: u32 = 8;

/// What lay in `state/` before a command of root.
pub struct Before {
    state: PathBuf,
    owner: (u32, u32),
    foreign: BTreeSet<PathBuf>,
}

impl Before {
    /// `None` where nothing has to be given back: this user is not root, or the state
    /// is its own.
    pub fn look(home: &Home) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let state = home.state();
        let metadata = std::fs::symlink_metadata(&state).ok()?;
        if !metadata.is_dir() || metadata.uid() == 0 {
            return None;
        }
        let owner = (metadata.uid(), metadata.gid());
        let mut foreign = BTreeSet::new();
        each(&state, &mut |path, entry, _| {
            if entry.uid() != owner.0 {
                foreign.insert(path.to_owned());
            }
        });
        Some(Self { state, owner, foreign })
    }

    /// Gives what is there now and was not before to the owner of the folder.
    pub fn give_back(&self) {
        each(&self.state, &mut |path, entry, handle| {
            // A second name of a file that lies elsewhere is not this command's.
            let is_only_name = entry.is_dir() || entry.nlink() == 1;
            if entry.uid() != 0 || !is_only_name || self.foreign.contains(path) {
                return;
            }
            if let Err(error) = fchown(handle, Some(self.owner.0), Some(self.owner.1)) {
                tracing::warn!(%error, path = %path.display(), "cannot be given to the service");
            }
        });
    }
}

/// Folders in `state/`, and files that lie in it directly, which are not its owner's.
pub fn foreign(home: &Home) -> Vec<PathBuf> {
    let state = home.state();
    let Ok(metadata) = std::fs::symlink_metadata(&state) else { return Vec::new() };
    let mut found = Vec::new();
    each(&state, &mut |path, entry, _| {
        let is_looked_at = entry.is_dir() || path.components().count() == 1;
        if is_looked_at && entry.uid() != metadata.uid() {
            found.push(state.join(path));
        }
    });
    found
}

type Visit<'v> = &'v mut dyn FnMut(&Path, &Metadata, std::os::fd::BorrowedFd<'_>);

/// Every folder and plain file below, by handle; links are not followed.
fn each(folder: &Path, visit: Visit<'_>) {
    if let Ok(dir) = plain_file::open_folder(folder) {
        descend(&dir, Path::new(""), 0, visit);
    }
}

fn descend(dir: &Dir, inside: &Path, depth: u32, visit: Visit<'_>) {
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = inside.join(name);
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && depth < MAX_DEPTH {
            let opened = plain_file::open_dir(dir, name).and_then(|folder| folder.open_dir("."));
            let Ok(folder) = opened else { continue };
            // As a file, because a folder's own handle may be one that only leads on.
            let Ok(handle) = folder.open(".").map(cap_std::fs::File::into_std) else { continue };
            if let Ok(metadata) = handle.metadata() {
                visit(&path, &metadata, handle.as_fd());
            }
            descend(&folder, &path, depth + 1, visit);
        } else if let Ok(file) = plain_file::open(dir, name)
            && let Ok(metadata) = file.metadata()
        {
            visit(&path, &metadata, file.as_fd());
        }
    }
}
