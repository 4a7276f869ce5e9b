//! Where model files lie: the home's own folder first, where a service of another
//! user finds them too, then the folder that all homes of a user share. The
//! catalogue says what they are called.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::home::Home;
use crate::model::catalogue::{Catalogue, Entry};
use crate::model::pull::shared_models_folder;

/// The catalogue, and the folders in which its files are looked for.
pub struct ModelFiles {
    catalogue: Catalogue,
    own: PathBuf,
    /// There is a home, which has its own folder.
    has_home: bool,
    shared: Option<PathBuf>,
}

impl ModelFiles {
    /// The shipped catalogue with a home's additions.
    ///
    /// # Errors
    /// When the home's `models/catalogue.toml` is broken.
    pub fn of_home(home: &Home) -> anyhow::Result<Self> {
        let own = home.models();
        let mut catalogue = Catalogue::shipped()?;
        let file = own.join("catalogue.toml");
        if file.is_file() {
            let name = file.display().to_string();
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            catalogue = catalogue.with(Catalogue::parse(&text, &name)?, &name)?;
        }
        Ok(Self {
            catalogue,
            own,
            has_home: home.config_file().is_file(),
            shared: shared_models_folder(|name| std::env::var_os(name)),
        })
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Every folder that is looked into, the home's own first.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.own), self.shared.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The entry's file, if it is there.
    pub fn find(&self, entry: &Entry) -> Option<PathBuf> {
        self.folders().map(|folder| folder.join(&entry.file)).find(|path| path.is_file())
    }

    /// Where the entry's file would be looked for first.
    pub fn expected_path(&self, entry: &Entry) -> PathBuf {
        let folder = if self.has_home { Some(&self.own) } else { self.shared.as_ref() };
        folder.unwrap_or(&self.own).join(&entry.file)
    }

    /// Where models that are asked for by name go: into the home, if there is one.
    ///
    /// # Errors
    /// As [`Self::shared_folder`].
    pub fn pull_folder(&self) -> anyhow::Result<&Path> {
        if self.has_home { Ok(&self.own) } else { self.shared_folder() }
    }

    /// The folder of all homes of this user.
    ///
    /// # Errors
    /// When there is neither a data folder nor a home directory to put it in.
    pub fn shared_folder(&self) -> anyhow::Result<&Path> {
        match &self.shared {
            Some(folder) => Ok(folder),
            None => bail!("no place for models: set THRALL_MODELS to a folder"),
        }
    }
}
