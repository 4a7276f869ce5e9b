//! A home that is there for one command: its folders, empty, below the machine's
//! folder for temporary files. What lies in it is its user's to write.

use anyhow::Context;

use crate::home::{FOLDERS, Home};

/// Gone with the value.
pub(super) struct TemporaryHome {
    pub(super) home: Home,
}

impl TemporaryHome {
    /// # Errors
    /// A folder cannot be made.
    pub(super) fn new() -> anyhow::Result<Self> {
        let root = std::env::temp_dir().join(format!("thrall-{}", uuid::Uuid::now_v7()));
        let made = Self { home: Home::new(&root) };
        for (name, _) in FOLDERS {
            std::fs::create_dir_all(root.join(name)).context("cannot make a temporary home")?;
        }
        Ok(made)
    }
}

impl Drop for TemporaryHome {
    fn drop(&mut self) {
        // Left behind in the folder for temporary files at worst.
        drop(std::fs::remove_dir_all(self.home.root()));
    }
}
