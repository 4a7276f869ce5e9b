//! Reading beside the writer: a small pool of connections that cannot write.
//! Its methods are spread over the files that know the tables.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::error::StoreError;
use super::{DATABASE, connection, migrations};

/// Connections in the pool: one for each of the few threads that read at once.
const POOL: usize = 4;

/// Reads the database of a home; cheap to clone. Calls block for the time of
/// one query, and wait while all connections are in use.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Connection>,
    open: usize,
}

impl Reader {
    /// Opens an existing database for reading only, while a service uses it or
    /// not. `state_dir` is the home's `state` folder.
    ///
    /// # Errors
    /// There is no database, or its schema is not this program's.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(DATABASE);
        if let Err(source) = std::fs::metadata(&path) {
            return Err(StoreError::Open { path, source });
        }
        let reader = Self::new(path);
        reader
            .with(|connection| migrations::check(connection, &reader.pool.path))
            .map_err(|error| error.at_opening(&reader.pool.path))?;
        Ok(reader)
    }

    pub(super) fn new(path: PathBuf) -> Self {
        let state = Mutex::new(PoolState::default());
        Self { pool: Arc::new(Pool { path, state, returned: Condvar::new() }) }
    }

    /// Lends a connection. One that met an error is closed, not reused.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.take()?;
        let result = read(&connection);
        self.pool.give_back(result.is_ok().then_some(connection));
        result
    }

    /// As [`Self::with`], all queries seeing one state of the database.
    pub(super) fn snapshot<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        use super::error::Doing as _;
        self.with(|connection| {
            let transaction = connection.unchecked_transaction().doing("begin reading")?;
            read(&transaction)
        })
    }
}

impl Pool {
    fn take(&self) -> Result<Connection, StoreError> {
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok(connection);
            }
            if state.open < POOL {
                state.open += 1;
                drop(state);
                return connection::open_reader(&self.path).inspect_err(|_| self.give_back(None));
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut state = self.lock();
        match connection {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        drop(state);
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLite's integers are signed; what was stored unsigned is read so.
pub(super) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}
