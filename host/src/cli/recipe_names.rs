//! Whether a name that was given to look for is a recipe's: nothing found may
//! also mean that it was mistyped.

use crate::home::Home;
use crate::ids::nearest;

/// Why a name is no recipe's of this home, if it is none.
///
/// # Errors
/// When `recipes/` cannot be listed.
pub(super) fn unknown(home: &Home, name: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let mut names = Vec::new();
    for entry in home.dir(&home.recipes())?.entries()? {
        let file = entry?.file_name();
        names.extend(file.to_str().and_then(|file| file.strip_suffix(".toml")).map(str::to_owned));
    }
    if names.iter().any(|known| known == name) {
        return Ok(None);
    }
    let hint = nearest(name, names.iter().map(String::as_str)).map_or_else(
        || ": see `thrall recipe list`".to_owned(),
        |near| format!(", did you mean {near:?}?"),
    );
    Ok(Some(format!("no recipe is called {name:?}{hint}")))
}
