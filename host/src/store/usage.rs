//! Budgets of a day, as they are used up.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;

impl Store {
    /// Adds to the questions that recipes put to the model on a day; a negative
    /// number takes some back. All or none.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn add_model_calls(
        &self,
        recipes: Vec<String>,
        day: i64,
        more: i64,
    ) -> Result<(), StoreError> {
        self.writer.run(1, move |session| add(session, &recipes, day, more)).await
    }
}

impl Reader {
    /// Questions that a recipe put to the model on a day.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn model_calls(&self, recipe: &str, day: i64) -> Result<u32, StoreError> {
        let found: Option<i64> = self.with(|connection| {
            connection
                .prepare_cached("SELECT model_calls FROM usage WHERE recipe = ?1 AND day = ?2")
                .and_then(|mut statement| {
                    statement.query_row(params![recipe, day], |row| row.get(0)).optional()
                })
                .doing("read a budget")
        })?;
        Ok(u32::try_from(found.unwrap_or(0)).unwrap_or(0))
    }
}

fn add(session: &Session, recipes: &[String], day: i64, more: i64) -> Result<(), StoreError> {
    for recipe in recipes {
        session
            .connection
            .prepare_cached(
                "INSERT INTO usage (recipe, day, model_calls) VALUES (?1, ?2, max(?3, 0))
                 ON CONFLICT (recipe, day) DO UPDATE SET model_calls = max(model_calls + ?3, 0)",
            )
            .and_then(|mut statement| statement.execute(params![recipe, day, more]))
            .doing("count against a budget")?;
    }
    Ok(())
}
