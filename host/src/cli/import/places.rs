//! Where imported files go in the home: whether a place is free, and writing
//! there. Whole or not at all, through handles, and over nothing that is there
//! unless it is forced.

use std::io;

use anyhow::Context as _;
use cap_std::fs::Dir;

use crate::grants::{self, Grant};
use crate::home::Home;
use crate::plain_file;

/// Longer than anything that is compared.
const MAX_BYTES: usize = 256 * 1024;

/// What lies where a file is to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// It says the same.
    Same,
    /// Something else, which may be replaced.
    Replaced,
    /// Something else, which stays: what it is.
    Taken(&'static str),
}

pub(super) struct Places {
    recipes: Dir,
    prompts: Dir,
    grants: Dir,
    force: bool,
}

impl Places {
    /// Opens the folders of a home.
    ///
    /// # Errors
    /// One of them is missing, or a link.
    pub(super) fn open(home: &Home, force: bool) -> anyhow::Result<Self> {
        Ok(Self {
            recipes: home.dir(&home.recipes())?,
            prompts: home.dir(&home.prompts())?,
            grants: home.dir(&home.grants())?,
            force,
        })
    }

    pub(super) fn prompt(&self, file: &str, content: &[u8]) -> Place {
        self.place(&self.prompts, file, |found| found == content)
    }

    pub(super) fn recipe(&self, file: &str, content: &[u8]) -> Place {
        self.place(&self.recipes, file, |found| found == content)
    }

    /// A grant is the same if it grants the same, however it is written.
    pub(super) fn grant(&self, grant: &Grant) -> Place {
        let is_same = |found: &[u8]| {
            grants::parse_bytes(&grant.recipe, found).is_ok_and(|found| found == *grant)
        };
        self.place(&self.grants, &format!("{}.toml", grant.recipe), is_same)
    }

    fn place(&self, dir: &Dir, file: &str, is_same: impl Fn(&[u8]) -> bool) -> Place {
        match plain_file::read(dir, file, MAX_BYTES) {
            Ok(found) if is_same(&found) => Place::Same,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::Free,
            _ if self.force => Place::Replaced,
            Ok(_) => Place::Taken("is there already and says something else"),
            Err(_) => Place::Taken("is there already and cannot be read"),
        }
    }

    pub(super) fn write_prompt(&self, name: &str, text: &str) -> anyhow::Result<()> {
        write(&self.prompts, "prompts", name, text)
    }

    pub(super) fn write_recipe(&self, name: &str, text: &str) -> anyhow::Result<()> {
        write(&self.recipes, "recipes", name, text)
    }
}

fn write(dir: &Dir, folder: &str, name: &str, text: &str) -> anyhow::Result<()> {
    let file = format!("{name}.toml");
    plain_file::replace_as(dir, &file, text.as_bytes(), 0o644)
        .with_context(|| format!("cannot write {folder}/{file}"))
}
