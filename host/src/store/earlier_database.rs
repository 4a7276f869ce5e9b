//! The `thrall.db` of an earlier thrall, read once and left as it is: its active
//! prompts, and nothing else. Whatever lies there is somebody else's, so the
//! file is opened as one that is not written, no link is followed, and what is
//! read is bounded.

use std::io;
use std::path::Path;

use super::DATABASE;
use super::connection;
use super::error::{Doing, StoreError};
use crate::plain_file;

/// The longest prompt that is read, in bytes.
const MAX_PROMPT_BYTES: i64 = 256 * 1024;
/// The earlier thrall had one prompt, later a handful.
const MAX_PROMPTS: i64 = 64;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum EarlierDatabase {
    Absent,
    /// It has a log that is not in the file yet: somebody writes it, or was
    /// stopped while writing. What the file says alone may be wrong.
    BeingWritten,
    /// By name.
    Prompts(Vec<EarlierPrompt>),
}

/// A row of `thrall_prompts` that is active.
#[derive(Debug, PartialEq, Eq)]
pub struct EarlierPrompt {
    pub name: String,
    /// `None` if it is too long, or no text.
    pub content: Option<String>,
}

/// Reads the active prompts of the database in a folder.
///
/// # Errors
/// It is no plain file, or no database that can be read.
pub fn read(folder: &Path) -> Result<EarlierDatabase, StoreError> {
    let path = folder.join(DATABASE);
    let open = |source| StoreError::Open { path: path.clone(), source };
    // The way to the folder may hold links, as ways do; the file may be none.
    let folder = folder.canonicalize().map_err(open)?;
    let dir =
        cap_std::fs::Dir::open_ambient_dir(&folder, cap_std::ambient_authority()).map_err(open)?;
    match plain_file::open(&dir, DATABASE) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(EarlierDatabase::Absent);
        }
        Err(error) => return Err(open(error)),
    }
    let is_filled = |log: &str| {
        dir.symlink_metadata(log).is_ok_and(|found| found.len() > 0 || !found.is_file())
    };
    if is_filled(&format!("{DATABASE}-wal")) || is_filled(&format!("{DATABASE}-journal")) {
        return Ok(EarlierDatabase::BeingWritten);
    }
    let connection = connection::open_untouched(&folder.join(DATABASE))?;
    // A view of that name could compute for ever.
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'thrall_prompts'",
            [],
            |row| row.get(0),
        )
        .doing("read the earlier database")?;
    if tables == 0 {
        return Ok(EarlierDatabase::Prompts(Vec::new()));
    }
    let mut statement = connection
        .prepare(
            "SELECT name,
                    CASE WHEN typeof(content) = 'text' AND length(CAST(content AS BLOB)) <= ?1
                         THEN CAST(content AS BLOB) END
             FROM thrall_prompts
             WHERE active = 1 AND typeof(name) = 'text' AND length(name) <= 64
             ORDER BY name LIMIT ?2",
        )
        .doing("read the earlier prompts")?;
    let prompt = |row: &rusqlite::Row<'_>| {
        let content: Option<Vec<u8>> = row.get(1)?;
        let content = content.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(EarlierPrompt { name: row.get(0)?, content })
    };
    let prompts = statement
        .query_map([MAX_PROMPT_BYTES, MAX_PROMPTS], prompt)
        .and_then(Iterator::collect)
        .doing("read the earlier prompts")?;
    Ok(EarlierDatabase::Prompts(prompts))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rusqlite::Connection;

    use super::*;

    const TABLE: &str = "CREATE TABLE thrall_prompts (name TEXT PRIMARY KEY, content TEXT NOT NULL,
        hash TEXT NOT NULL, pushed_by TEXT NOT NULL, pushed_at REAL NOT NULL, active INTEGER DEFAULT 1)";

    fn database(folder: &Path, sql: &str) -> Connection {
        let connection = Connection::open(folder.join(DATABASE)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(sql).unwrap();
        connection
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn active_prompts_are_read_and_nothing_is_written() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("06 a%b?c#d");
        fs::create_dir(&folder).unwrap();
        drop(database(
            &folder,
            &format!(
                "{TABLE}; INSERT INTO thrall_prompts VALUES
                 ('triage', 'Tier {{tier}}', 'x', 'op', 1.0, 1), ('old', 'gone', 'x', 'op', 1.0, 0),
                 ('long', hex(zeroblob(200000)), 'x', 'op', 1.0, 1), ('blob', x'ff', 'x', 'op', 1.0, 1)"
            ),
        ));
        let before = fs::read(folder.join(DATABASE)).unwrap();
        let EarlierDatabase::Prompts(prompts) = read(&folder).unwrap() else { panic!() };
        let found: Vec<_> =
            prompts.iter().map(|one| (one.name.as_str(), one.content.as_deref())).collect();
        assert_eq!(found, [("blob", None), ("long", None), ("triage", Some("Tier {tier}"))]);
        assert_eq!(names(&folder), [DATABASE]);
        assert_eq!(fs::read(folder.join(DATABASE)).unwrap(), before);
    }

    #[test]
    fn a_database_that_is_written_is_not_believed() {
        let temp = tempfile::tempdir().unwrap();
        let open = database(temp.path(), TABLE);
        assert_eq!(read(temp.path()).unwrap(), EarlierDatabase::BeingWritten);
        drop(open);
        assert_eq!(read(temp.path()).unwrap(), EarlierDatabase::Prompts(vec![]));
    }

    #[test]
    fn what_is_no_database_of_its_own_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(read(temp.path()).unwrap(), EarlierDatabase::Absent);
        let (other, path) = (temp.path().join("other"), temp.path().join(DATABASE));
        fs::create_dir(&other).unwrap();
        drop(database(&other, TABLE));
        symlink(other.join(DATABASE), &path).unwrap();
        assert!(read(temp.path()).is_err());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a database at all, only words, and quite a few of them").unwrap();
        assert!(read(temp.path()).is_err());
        fs::remove_file(&path).unwrap();
        // A view is not asked: this one would never end.
        drop(database(
            temp.path(),
            "CREATE VIEW thrall_prompts AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
             SELECT 'a' AS name, 'b' AS content, 1 AS active FROM n",
        ));
        assert_eq!(read(temp.path()).unwrap(), EarlierDatabase::Prompts(vec![]));
    }
}
