//! Whether a name that was given is a recipe's: nothing found may also mean that
//! it was mistyped.

use crate::home::Home;
use crate::ids::nearest;
use crate::store::Reader;

/// Why a recipe that is looked for in the database is none of this home's, if it
/// is none: it has no file, and nothing is written down of it.
///
/// # Errors
/// When `recipes/` cannot be listed or the database not be read.
pub(super) fn unknown(home: &Home, name: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let Some(why) = no_file(home, name)? else { return Ok(None) };
    // Whoever may not look into state/ asks a service for the rows.
    let was_there = match Reader::open(&home.state()) {
        Ok(reader) => reader.knows_recipe(name)?,
        Err(_) => false,
    };
    Ok((!was_there).then_some(why))
}

/// Why a name is no recipe's that lies in `recipes/`, if it is none.
///
/// # Errors
/// When `recipes/` cannot be listed.
pub(super) fn no_file(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let names = in_folder(home)?;
    if names.iter().any(|known| known == name) {
        return Ok(None);
    }
    let hint = nearest(name, names.iter().map(String::as_str)).map_or_else(
        || ": see `thrall recipe list`".to_owned(),
        |near| format!(", did you mean {near:?}?"),
    );
    Ok(Some(format!("no recipe is called {name:?}{hint}")))
}

/// The recipes that lie in `recipes/`, good or not.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn in_folder(home: &Home) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in home.dir(&home.recipes())?.entries()? {
        let file = entry?.file_name();
        names.extend(file.to_str().and_then(|file| file.strip_suffix(".toml")).map(str::to_owned));
    }
    Ok(names)
}
