//! Where model files lie: the home's own folder first, then the folder that
//! all homes of a user share. The catalogue says what they are called.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::home::Home;
use crate::model::catalogue::{Catalogue, Entry};
use crate::model::pull::shared_models_folder;

/// The catalogue, and the folders in which its files are looked for.
pub struct ModelFiles {
    catalogue: Catalogue,
    own: PathBuf,
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
        Ok(Self { catalogue, own, shared: shared_models_folder(|name| std::env::var_os(name)) })
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The entry's file, if it is there.
    pub fn find(&self, entry: &Entry) -> Option<PathBuf> {
        let folders = [Some(&self.own), self.shared.as_ref()];
        folders
            .into_iter()
            .flatten()
            .map(|folder| folder.join(&entry.file))
            .find(|path| path.is_file())
    }

    /// Where the entry's file would be looked for first.
    pub fn expected_path(&self, entry: &Entry) -> PathBuf {
        self.shared.as_ref().unwrap_or(&self.own).join(&entry.file)
    }

    /// Where pulled models go.
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
