//! Why something was denied: a value that names the line which is missing, so
//! that an operator who agrees can paste it.

use std::fmt;

use super::{Need, Permissions, render};

/// A denial. Shown as the whole line that the grant would have to have, with
/// its file and table behind a `#`: TOML refuses a key twice, so the line takes
/// the place of the one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The recipe whose grant is too narrow.
    pub recipe: String,
    /// The table in which the line stands; `None` is the top of the file.
    pub table: Option<&'static str>,
    /// Empty where no grant could allow it.
    pub line: String,
    /// What else there is to say.
    pub note: String,
}

impl Denial {
    pub(super) fn missing(recipe: &str, present: &Permissions, need: &Need<'_>) -> Self {
        if let Need::Never(reason) = need {
            return Self::never(recipe, reason);
        }
        let mut wider = present.clone();
        wider.add(need);
        let (table, line) = render::line_of(&wider, need);
        Self { recipe: recipe.to_owned(), table, line, note: String::new() }
    }

    /// What no grant of this version can allow.
    pub fn never(recipe: &str, reason: &str) -> Self {
        Self {
            recipe: recipe.to_owned(),
            table: None,
            line: String::new(),
            note: reason.to_owned(),
        }
    }

    /// A bound on the number in an hour that is used up. The line has a number
    /// that would have been enough.
    pub(super) fn hourly(
        recipe: &str,
        present: &Permissions,
        kind: &'static str,
        done: u32,
    ) -> Self {
        let mut wider = present.clone();
        wider.raise_hourly(kind, done.saturating_add(1));
        Self {
            recipe: recipe.to_owned(),
            table: Some("operations"),
            line: render::hourly_line(&wider, kind),
            note: format!("{done} in the last hour"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line.is_empty() {
            return write!(f, "{}", self.note);
        }
        write!(f, "{}  # grants/{}.toml", self.line, self.recipe)?;
        if let Some(table) = self.table {
            write!(f, ", [{table}]")?;
        }
        if !self.note.is_empty() {
            write!(f, " ({})", self.note)?;
        }
        Ok(())
    }
}
