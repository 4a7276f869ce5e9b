//! Files that the service may have open at one time: as many as the system
//! lets it. Each connection is one, and each log, component and database file;
//! the usual soft limit of 1024 is meant for programs that use `select`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that is refused, the service
/// works with what it has.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        let now = limit.current.unwrap_or(u64::MAX);
        tracing::warn!(%error, now, "the limit of open files cannot be raised");
    }
}
