//! What stands in the journal at all: for questions whose answer is empty, which
//! may mean that a word was mistyped. These look through whole columns, so only
//! commands ask them.

use rusqlite::{OptionalExtension as _, params};

use super::error::{Doing, StoreError};
use super::reader::Reader;

impl Reader {
    /// Whether anything is written down of a recipe.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn knows_recipe(&self, name: &str) -> Result<bool, StoreError> {
        self.with(|connection| {
            connection
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM journal WHERE kind = 'decision' AND recipe = ?1)
                         OR EXISTS (SELECT 1 FROM recipes WHERE name = ?1)
                         OR EXISTS (SELECT 1 FROM grants WHERE recipe = ?1)",
                    [name],
                    |row| row.get(0),
                )
                .doing("look for a recipe")
        })
    }

    /// Every action that a decision led to, by verdict and by what was done.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn action_names(&self) -> Result<Vec<String>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT action FROM journal WHERE kind <> 'review'
                     UNION SELECT action_name FROM journal WHERE kind = 'decision'",
                )
                .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
                .doing("list the actions")
        })
    }

    /// The first sender whose key begins like this.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn sender_like(&self, beginning: &str) -> Result<Option<String>, StoreError> {
        let beginning = beginning.to_ascii_lowercase();
        self.with(|connection| {
            connection
                .query_row(
                    "SELECT sender_key FROM journal
                     WHERE kind = 'decision' AND sender_key <> ''
                         AND substr(sender_key, 1, length(?1)) = ?1
                     ORDER BY sender_key LIMIT 1",
                    params![beginning],
                    |row| row.get(0),
                )
                .optional()
                .doing("look for a sender")
        })
    }
}
