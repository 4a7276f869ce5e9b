//! The journal as recipes ask it: counts and recent rows by sender, recipe,
//! session and action. A question costs the same in a journal of any size: it
//! goes through an index by sender, recipe or time, newest first, and applies
//! its other conditions to a bounded number of rows.

use rusqlite::{Connection, ToSql};

use super::error::{Doing, StoreError};
use super::reader::{Reader, unsigned};
use crate::clock::TimestampMs;
use crate::envelope::sender::{MIN_PREFIX_LEN, sender_key};
use crate::stage::{JournalFact, JournalQuery};

/// Newest rows of a sender and recipe (or of a recipe, or of all) that the
/// other conditions are applied to; older ones are not found.
const MAX_EXAMINED: u32 = 5000;

impl Reader {
    /// How many decisions match, counted up to the query's limit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_count(&self, query: &JournalQuery, now: TimestampMs) -> Result<u64, StoreError> {
        Ok(self.matching(query, now)?.len() as u64)
    }

    /// The decisions that match and were made before `now`, newest first. A
    /// sender is given as a full id, or as its first 16 characters.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_recent(
        &self,
        query: &JournalQuery,
        now: TimestampMs,
    ) -> Result<Vec<JournalFact>, StoreError> {
        self.matching(query, now)
    }

    fn matching(
        &self,
        query: &JournalQuery,
        now: TimestampMs,
    ) -> Result<Vec<JournalFact>, StoreError> {
        let question = Question {
            since: query.since.max(now.minus(JournalQuery::MAX_AGE)),
            limit: query.limit.min(JournalQuery::MAX_LIMIT),
            now,
            query,
        };
        self.with(|connection| question.answer(connection))
    }
}

struct Question<'a> {
    query: &'a JournalQuery,
    since: TimestampMs,
    now: TimestampMs,
    limit: u32,
}

impl Question<'_> {
    fn answer(&self, connection: &Connection) -> Result<Vec<JournalFact>, StoreError> {
        let Some(from_node) = self.query.from_node.as_deref() else {
            let sql = if self.query.recipe.is_some() { BY_RECIPE } else { BY_TIME };
            return self.ask(connection, sql, &[]);
        };
        let key = sender_key(from_node);
        let full_id = (from_node.len() != MIN_PREFIX_LEN).then_some(from_node);
        let recipes = match &self.query.recipe {
            Some(recipe) => vec![recipe.clone()],
            None => recipes_of(connection, &key)?,
        };
        // The index is ordered by time within a recipe and within what is
        // counted: the newest of each are put together.
        let mut facts = Vec::new();
        for recipe in &recipes {
            for counted in [false, true] {
                let more: [(&str, &dyn ToSql); 4] =
                    [(":key", &key), (":from", &full_id), (":one", recipe), (":counted", &counted)];
                facts.extend(self.ask(connection, BY_SENDER, &more)?);
            }
        }
        facts.sort_by_key(|fact| std::cmp::Reverse((fact.at, fact.id)));
        facts.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        Ok(facts)
    }

    fn ask(
        &self,
        connection: &Connection,
        sql: &str,
        more: &[(&str, &dyn ToSql)],
    ) -> Result<Vec<JournalFact>, StoreError> {
        let (since, now) = (self.since.as_i64(), self.now.as_i64());
        let mut params: Vec<(&str, &dyn ToSql)> = vec![
            (":recipe", &self.query.recipe),
            (":session", &self.query.session),
            (":action", &self.query.action),
            (":since", &since),
            (":now", &now),
            (":examined", &MAX_EXAMINED),
            (":limit", &self.limit),
        ];
        params.extend_from_slice(more);
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params.as_slice(), fact)?.collect())
            .doing("ask the journal")
    }
}

/// The recipes that ever met a sender, one step in the index for each.
fn recipes_of(connection: &Connection, key: &str) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached(RECIPES_OF)
        .and_then(|mut statement| statement.query_map([key], |row| row.get(0))?.collect())
        .doing("ask the journal")
}

fn fact(row: &rusqlite::Row<'_>) -> rusqlite::Result<JournalFact> {
    Ok(JournalFact {
        id: unsigned(row, 0)?,
        at: TimestampMs::from_i64(row.get(1)?),
        recipe: row.get(2)?,
        action: row.get(3)?,
        reason: row.get(4)?,
        from_node: row.get(5)?,
    })
}

const RECIPES_OF: &str = "WITH RECURSIVE met (recipe) AS (
        SELECT min(recipe) FROM journal WHERE kind = 'decision' AND sender_key = ?1
        UNION ALL
        SELECT (SELECT min(recipe) FROM journal
            WHERE kind = 'decision' AND sender_key = ?1 AND recipe > met.recipe)
        FROM met WHERE met.recipe IS NOT NULL)
    SELECT recipe FROM met WHERE recipe IS NOT NULL";

const BY_SENDER: &str = "SELECT id, at, recipe, action, reason, from_node FROM (
        SELECT id, at, recipe, action, reason, from_node, session_id FROM journal
        WHERE kind = 'decision' AND sender_key = :key AND recipe = :one AND counted = :counted
          AND at >= :since AND at < :now
        ORDER BY at DESC, id DESC LIMIT :examined)
    WHERE (:action IS NULL OR action = :action) AND (:session IS NULL OR session_id = :session)
      AND (:from IS NULL OR from_node = :from) AND (:recipe IS NULL OR recipe = :recipe)
    LIMIT :limit";

const BY_RECIPE: &str = "SELECT id, at, recipe, action, reason, from_node FROM (
        SELECT id, at, recipe, action, reason, from_node, session_id FROM journal
        WHERE kind = 'decision' AND recipe = :recipe AND at >= :since AND at < :now
        ORDER BY at DESC, id DESC LIMIT :examined)
    WHERE (:action IS NULL OR action = :action) AND (:session IS NULL OR session_id = :session)
    LIMIT :limit";

const BY_TIME: &str = "SELECT id, at, recipe, action, reason, from_node FROM (
        SELECT id, at, recipe, action, reason, from_node, session_id FROM journal
        WHERE kind = 'decision'
          AND at / 1000.0 >= :since / 1000.0 AND at / 1000.0 < :now / 1000.0
        ORDER BY at / 1000.0 DESC, id DESC LIMIT :examined)
    WHERE (:action IS NULL OR action = :action) AND (:session IS NULL OR session_id = :session)
      AND (:recipe IS NULL OR recipe = :recipe)
    LIMIT :limit";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [RECIPES_OF, BY_SENDER, BY_RECIPE, BY_TIME];
