//! When to read the folders again: something in recipes/, grants/ or prompts/
//! changed, or somebody left a `.reload` (the agent, in recipes/) or a
//! `thrall.reload` (the operator). Only looking; reading is `App::reload`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::home::Home;

/// Name, size and time of change of every file.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Folders that never settle are read all the same: whoever writes without end
/// into recipes/ must not keep a revoked grant alive.
const MAX_RESTLESS: u32 = 4;

/// Remembers how the folders looked.
pub struct Watcher {
    folders: Vec<PathBuf>,
    sentinels: Vec<PathBuf>,
    settled: Look,
    /// What was seen last, if it differs: a file that is still being written
    /// is not read until two looks agree.
    unsettled: Option<Look>,
    /// Looks in a row that all differed.
    restless: u32,
}

impl Watcher {
    pub fn new(home: &Home) -> Self {
        let folders = vec![home.recipes(), home.grants(), home.prompts()];
        let sentinels = vec![home.recipes().join(".reload"), home.root().join("thrall.reload")];
        let settled = look(&folders);
        Self { folders, sentinels, settled, unsettled: None, restless: 0 }
    }

    /// True when it is time to read the folders.
    pub fn has_changed(&mut self) -> bool {
        let mut asked = false;
        for sentinel in &self.sentinels {
            asked |= std::fs::remove_file(sentinel).is_ok();
        }
        let now = look(&self.folders);
        if asked {
            self.settled = now;
            self.unsettled = None;
            return true;
        }
        if now == self.settled {
            self.unsettled = None;
            return false;
        }
        self.restless += 1;
        if self.unsettled.as_ref() == Some(&now) || self.restless >= MAX_RESTLESS {
            self.settled = now;
            self.unsettled = None;
            self.restless = 0;
            return true;
        }
        self.unsettled = Some(now);
        false
    }
}

fn look(folders: &[PathBuf]) -> Look {
    let mut seen = Look::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let is_ours =
                entry.path().extension().is_some_and(|ending| ending == "toml" || ending == "wasm");
            if is_ours && let Ok(metadata) = entry.metadata() {
                seen.insert(entry.path(), (metadata.len(), metadata.modified().ok()));
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_it_has_settled_and_a_sentinel_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        for path in [home.recipes(), home.grants(), home.prompts()] {
            std::fs::create_dir(path).unwrap();
        }
        let mut watcher = Watcher::new(&home);
        assert!(!watcher.has_changed());
        std::fs::write(home.recipes().join("a.toml"), "half").unwrap();
        assert!(!watcher.has_changed());
        std::fs::write(home.recipes().join("a.toml"), "half and the rest").unwrap();
        assert!(!watcher.has_changed());
        assert!(watcher.has_changed());
        assert!(!watcher.has_changed());
        let restless = (0..8).filter(|n| {
            std::fs::write(home.recipes().join("b.toml"), "x".repeat(*n)).unwrap();
            watcher.has_changed()
        });
        assert!(restless.count() >= 1, "a folder that never settles is read in the end");
        while watcher.has_changed() || watcher.has_changed() {}
        std::fs::write(home.root().join("thrall.reload"), "").unwrap();
        assert!(watcher.has_changed());
        assert!(!watcher.has_changed());
    }
}
