//! Where set-up put the real models.

use std::path::PathBuf;

/// The folder that `make setup` fetches models into.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("THRALL_MODELS") {
        return PathBuf::from(folder);
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from(".")).join("thrall/models")
}

/// The small model of the demo.
///
/// # Panics
/// When it was not fetched: the tests need a real model, not a stand-in.
pub fn gemma_270m() -> PathBuf {
    fetched("gemma-3-270m-q4_k_m.gguf")
}

/// The model that embeds texts.
///
/// # Panics
/// As [`gemma_270m`].
pub fn minilm() -> PathBuf {
    fetched("all-MiniLM-L6-v2.Q8_0.gguf")
}

fn fetched(file: &str) -> PathBuf {
    let path = folder().join(file);
    assert!(path.is_file(), "{} is missing: run `make models`", path.display());
    path
}
