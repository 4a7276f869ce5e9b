//! The home folder: where each thing lies, and the handles through which the
//! host touches what others may write (cap-std, so that no name, link or slash
//! leads out). What each folder is for is said in
//! [`FOLDERS`].

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use crate::plain_file;

/// A home folder, by path. Nothing is opened here.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

/// Folders of a home, with the mode they are created with. The agent writes
/// recipes/ alone; prompts/, models/, grants/ and breakers/ are the operator's;
/// artifacts/ holds briefings and is opened to the agent at
/// the start, run/ sockets; state/ is the service's alone.
pub const FOLDERS: [(&str, u32); 8] = [
    ("recipes", 0o2770),
    ("prompts", 0o755),
    ("models", 0o755),
    ("grants", 0o755),
    ("breakers", 0o755),
    ("artifacts", 0o700),
    ("run", 0o755),
    ("state", 0o700),
];

/// A home that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("{} is not a thrall home (no thrall.toml): run `thrall --home {} init` first", .0.display(), .0.display())]
    NotAHome(PathBuf),
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
}

impl Home {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A home that exists.
    ///
    /// # Errors
    /// When there is no `thrall.toml` in it.
    pub fn existing(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let home = Self::new(root);
        if home.config_file().is_file() { Ok(home) } else { Err(HomeError::NotAHome(home.root)) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn config_file(&self) -> PathBuf {
        self.root.join("thrall.toml")
    }

    pub fn recipes(&self) -> PathBuf {
        self.root.join("recipes")
    }

    pub fn grants(&self) -> PathBuf {
        self.root.join("grants")
    }

    pub fn prompts(&self) -> PathBuf {
        self.root.join("prompts")
    }

    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    pub fn breakers(&self) -> PathBuf {
        self.root.join("breakers")
    }

    /// Folders of which nothing reaches a recipe: keys and tokens, what others
    /// may do, who may connect.
    pub fn secret_folders(&self) -> [PathBuf; 3] {
        [self.state(), self.grants(), self.root.join("run")]
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub fn database(&self) -> PathBuf {
        self.state().join("thrall.db")
    }

    pub fn log_file(&self) -> PathBuf {
        self.state().join("thrall.log")
    }

    /// Components of revisions that were live, by digest: the service's own
    /// copies, so that a granted revision goes on when its file changes.
    pub fn kept_components(&self) -> PathBuf {
        self.state().join("components")
    }

    pub fn code_cache(&self) -> PathBuf {
        self.state().join("code-cache")
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.root.join("run").join(format!("{name}.sock"))
    }

    /// Where sockets are made ready before they are put in their place; nobody
    /// else can enter it.
    pub fn binding(&self) -> PathBuf {
        self.root.join("run").join(".new")
    }

    /// Tokens of the port, one file for each role and source.
    pub fn tokens(&self) -> PathBuf {
        self.state().join("tokens")
    }

    /// A handle from which no name leads out of the folder.
    ///
    /// # Errors
    /// When the folder cannot be opened, or is a link.
    pub fn dir(&self, path: &Path) -> Result<Dir, HomeError> {
        plain_file::open_folder(path)
            .map_err(|source| HomeError::Open { path: path.to_owned(), source })
    }
}
