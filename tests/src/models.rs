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
    let path = folder().join("gemma-3-270m-q4_k_m.gguf");
    assert!(path.is_file(), "{} is missing: run `make setup`", path.display());
    path
}
