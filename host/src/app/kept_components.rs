//! Copies of the components of live revisions, in `state/components`, by
//! digest. Written when a revision goes live, read when its file is no longer
//! what was granted; what is read is what its name says, or it is not there.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use cap_std::fs::Dir;

use crate::ids::Digest;
use crate::plain_file;
use crate::wasm::MAX_COMPONENT_BYTES;

/// See the module's documentation.
pub struct KeptComponents(Dir);

impl KeptComponents {
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self(plain_file::open_folder(folder)?))
    }

    /// Keeps a component; one that is there already stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        let name = file_name(&Digest::of(bytes));
        if self.0.exists(&name) {
            return Ok(());
        }
        plain_file::replace(&self.0, &name, bytes)
    }

    /// The component with this digest; `None` where it is not there or is not
    /// what its name says.
    pub fn find(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = plain_file::read(&self.0, &file_name(digest), MAX_COMPONENT_BYTES).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }
}

fn file_name(digest: &Digest) -> String {
    format!("{digest}.wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_name_says_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptComponents::open(&folder.path().join("components")).unwrap();
        kept.keep(b"one").unwrap();
        kept.keep(b"one").unwrap();
        let digest = Digest::of(b"one");
        assert_eq!(kept.find(&digest).as_deref(), Some(&b"one"[..]));
        assert_eq!(kept.find(&Digest::of(b"two")), None);
        std::fs::write(folder.path().join("components").join(file_name(&digest)), "forged")
            .unwrap();
        assert_eq!(kept.find(&digest), None);
    }
}
