//! The breakers of a home: those that stand, in memory, kept in step with their
//! files. A trip holds in memory at once and is then written; a file that is
//! dropped in stops and one that is removed clears with the next look at the
//! folder. What a file says counts, and nothing else is kept: but for a trip
//! that could not be written yet, which holds until it is.
//!
//! A file that cannot be read as a breaker stops nothing, also where one stood
//! before it: it is reported instead.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::breaker_folder::{BreakerFolder, MAX_FILES, Stamp};
use crate::breakers::{BreakerFile, Held, Standing, Stopped, Target, Trip};
use crate::clock::TimestampMs;
use crate::stage::BreakerFact;

/// Trips that were cleared, which nothing brings back.
const MAX_WITHDRAWN: usize = 4096;
/// Changes that wait to be written down; more are an attack on the journal.
const MAX_CHANGES: usize = 10_000;

/// What became of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: TimestampMs,
    pub target: String,
    pub what: What,
    /// Why it was tripped.
    pub reason: String,
    /// Who did it: `operator`, `recipe NAME`, or what happened to its file.
    pub by: String,
    pub trip_count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Tripped,
    Cleared,
    Expired,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tripped => "tripped",
            Self::Cleared => "cleared",
            Self::Expired => "expired",
        }
    }
}

/// The files as they were seen last.
#[derive(Default)]
struct Seen {
    stamps: HashMap<String, Stamp>,
    /// What is wrong, by file name; the empty name is the folder.
    problems: BTreeMap<String, String>,
    /// Of expired breakers, files that could not be removed.
    leftover: HashMap<String, Stamp>,
}

/// See the module's documentation.
pub struct Breakers {
    folder: BreakerFolder,
    only_looks: bool,
    standing: RwLock<Standing>,
    /// Whoever reads or writes the folder holds this; one at a time.
    seen: Mutex<Seen>,
    changes: Mutex<VecDeque<Change>>,
    withdrawn: Mutex<VecDeque<String>>,
    usual_expiry_s: AtomicU64,
    /// Grows whenever something stands no longer.
    went: AtomicU64,
}

impl Breakers {
    /// Opens the folder, making it if it is not there, and reads it.
    ///
    /// # Errors
    /// It cannot be made or opened, or it is a link.
    pub fn open(path: &Path, now: TimestampMs) -> io::Result<Self> {
        Ok(Self::of(BreakerFolder::open(path)?, false, now))
    }

    /// As [`Breakers::open`], for looking only: makes no folder, and leaves files
    /// of what has expired where they are.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub fn existing(path: &Path, now: TimestampMs) -> io::Result<Self> {
        Ok(Self::of(BreakerFolder::existing(path)?, true, now))
    }

    fn of(folder: BreakerFolder, only_looks: bool, now: TimestampMs) -> Self {
        let breakers = Self {
            folder,
            only_looks,
            standing: RwLock::default(),
            seen: Mutex::default(),
            changes: Mutex::default(),
            withdrawn: Mutex::default(),
            usual_expiry_s: AtomicU64::new(Trip::DEFAULT_EXPIRY_S),
            went: AtomicU64::new(0),
        };
        breakers.scan(&mut lock(&breakers.seen), now);
        // They stood before: nothing changed.
        lock(&breakers.changes).clear();
        breakers
    }

    /// How long a breaker holds where nobody says otherwise; zero is for ever.
    pub fn set_usual_expiry(&self, seconds: u64) {
        self.usual_expiry_s.store(seconds, Ordering::Relaxed);
    }

    pub fn usual_expiry_s(&self) -> u64 {
        self.usual_expiry_s.load(Ordering::Relaxed)
    }

    /// Those that stand now. Held only for a look: a trip waits for it.
    pub fn standing(&self) -> RwLockReadGuard<'_, Standing> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing_mut(&self) -> RwLockWriteGuard<'_, Standing> {
        self.standing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of these targets that is stopped.
    pub fn stop<T: AsRef<str>>(&self, targets: &[T], now: TimestampMs) -> Option<Stopped> {
        self.standing().stop(targets, now)
    }

    /// A number that grows whenever something stands no longer.
    pub fn went(&self) -> u64 {
        self.went.load(Ordering::Acquire)
    }

    /// The breaker of a target, if it holds.
    ///
    /// # Errors
    /// There is a file and it cannot be read: what it was to say is not known.
    pub fn state(&self, target: &Target, now: TimestampMs) -> Result<Option<BreakerFact>, String> {
        let name = target.file_name();
        {
            let standing = self.standing();
            if let Some(held) = standing.get(target).filter(|held| held.holds(now)) {
                return Ok(Some(held.file.fact(target, held.written)));
            }
        }
        match lock(&self.seen).problems.get(&name) {
            Some(what) => Err(format!("breakers/{name}: {what}")),
            None => Ok(None),
        }
    }

    /// Trips a breaker in memory: it holds when this returns, and is written by
    /// whoever comes next, [`Breakers::write`] or [`Breakers::look`].
    pub fn hold(&self, trip: &Trip<'_>, by: &str) {
        if lock(&self.withdrawn).iter().any(|one| one == trip.operation) {
            return;
        }
        let count = {
            let mut standing = self.standing_mut();
            if !standing.trip(trip) {
                return;
            }
            standing.get(trip.target).map_or(1, |held| held.file.trip_count)
        };
        self.note(Change {
            at: trip.at,
            target: trip.target.as_str().to_owned(),
            what: What::Tripped,
            reason: trip.reason.to_owned(),
            by: by.to_owned(),
            trip_count: count,
        });
    }

    /// Trips a breaker and writes it. `None`: it was tripped by this operation
    /// before, and stands no longer.
    ///
    /// # Errors
    /// It holds, and its file cannot be written; [`Breakers::look`] tries again.
    pub fn trip(&self, trip: &Trip<'_>, by: &str) -> io::Result<Option<BreakerFile>> {
        self.hold(trip, by);
        self.write(trip.target)
    }

    /// Writes a breaker that is not in its file yet. `None`: it does not stand.
    ///
    /// # Errors
    /// As [`Breakers::trip`].
    pub fn write(&self, target: &Target) -> io::Result<Option<BreakerFile>> {
        self.write_in(&mut lock(&self.seen), target)
    }

    fn write_in(&self, seen: &mut Seen, target: &Target) -> io::Result<Option<BreakerFile>> {
        let Some(held) = self.standing().get(target).cloned() else { return Ok(None) };
        if held.unwritten.is_none() {
            return Ok(Some(held.file));
        }
        let name = target.file_name();
        let outcome = self.folder.write(target, &held.file);
        if outcome.is_ok() {
            seen.problems.remove(&name);
            seen.leftover.remove(&name);
            if let Ok(Some(stamp)) = self.folder.look(&name) {
                seen.stamps.insert(name, stamp);
            }
        }
        let told = outcome.as_ref().map_err(ToString::to_string).copied();
        self.standing_mut().written(target, &held.file, told);
        outcome.map(|()| Some(held.file))
    }

    /// Clears a breaker, its file first. False: there was none.
    ///
    /// # Errors
    /// Its file cannot be removed: it still stands.
    pub fn clear(&self, target: &Target, by: &str, now: TimestampMs) -> io::Result<bool> {
        let mut seen = lock(&self.seen);
        let name = target.file_name();
        let was_there = self.folder.remove(&name)?;
        seen.stamps.remove(&name);
        seen.leftover.remove(&name);
        seen.problems.remove(&name);
        let cleared = self.standing_mut().clear(target);
        let stood = cleared.is_some();
        if let Some(held) = cleared {
            self.gone(&held, What::Cleared, by, now);
        }
        Ok(stood || was_there)
    }

    fn gone(&self, held: &Held, what: What, by: &str, now: TimestampMs) {
        {
            let mut withdrawn = lock(&self.withdrawn);
            withdrawn.extend(held.file.operations.iter().cloned());
            let surplus = withdrawn.len().saturating_sub(MAX_WITHDRAWN);
            withdrawn.drain(..surplus);
        }
        self.went.fetch_add(1, Ordering::AcqRel);
        self.note(Change {
            at: now,
            target: held.target.as_str().to_owned(),
            what,
            reason: held.file.short_reason(),
            by: by.to_owned(),
            trip_count: held.file.trip_count,
        });
    }

    fn note(&self, change: Change) {
        let mut changes = lock(&self.changes);
        if changes.len() < MAX_CHANGES {
            changes.push_back(change);
        }
    }

    /// What changed since the last call, in order.
    pub fn take_changes(&self) -> Vec<Change> {
        lock(&self.changes).drain(..).collect()
    }

    /// Puts back what could not be written down, before what came meanwhile.
    pub fn put_back(&self, changes: Vec<Change>) {
        let mut waiting = lock(&self.changes);
        for change in changes.into_iter().rev() {
            waiting.push_front(change);
        }
        waiting.truncate(MAX_CHANGES);
    }

    /// Brings memory and folder in step: what expired goes, with its file; what
    /// was not written is; what was dropped in stands, what was removed does not.
    pub fn look(&self, now: TimestampMs) {
        let mut seen = lock(&self.seen);
        let expired = self.standing_mut().sweep(now);
        for held in expired {
            let name = held.target.file_name();
            if let Some(stamp) = seen.stamps.remove(&name) {
                self.remove_expired(&mut seen, &name, stamp);
            }
            let by = expired_by(&held.file);
            self.gone(&held, What::Expired, &by, now);
        }
        for (name, stamp) in std::mem::take(&mut seen.leftover) {
            self.remove_expired(&mut seen, &name, stamp);
        }
        let unwritten: Vec<Target> = {
            let standing = self.standing();
            let waits = standing.list().into_iter().filter(|held| held.unwritten.is_some());
            waits.map(|held| held.target.clone()).collect()
        };
        for target in unwritten {
            // Kept with the breaker, and told by `problems`.
            let _ = self.write_in(&mut seen, &target);
        }
        self.scan(&mut seen, now);
    }

    /// Only the file that was known: another one in its place is read instead.
    fn remove_expired(&self, seen: &mut Seen, name: &str, stamp: Stamp) {
        if self.only_looks {
            return;
        }
        let is_same = matches!(self.folder.look(name), Ok(Some(now)) if stamp.is_of(&now));
        if is_same && self.folder.remove(name).is_err() {
            seen.leftover.insert(name.to_owned(), stamp);
        }
    }

    fn scan(&self, seen: &mut Seen, now: TimestampMs) {
        let mut problems = BTreeMap::new();
        match self.folder.names(&seen.stamps) {
            Ok(found) => {
                if found.left_out > 0 {
                    let what = format!(
                        "{} files more than the {MAX_FILES} that are read: they stop nothing",
                        found.left_out
                    );
                    problems.insert(String::new(), what);
                }
                for name in &found.names {
                    if let Some(what) = self.scan_one(seen, name, now) {
                        problems.insert(name.clone(), what);
                    }
                }
                let there: HashSet<&str> = found.names.iter().map(String::as_str).collect();
                let is_gone = |name: &&String| !there.contains(name.as_str());
                let gone: Vec<String> = seen.stamps.keys().filter(is_gone).cloned().collect();
                for name in gone {
                    seen.stamps.remove(&name);
                    self.removed(&name, "its file was removed", now);
                }
            }
            // Not knowing what lies there is no reason to let anything through.
            Err(error) => {
                problems.clone_from(&seen.problems);
                problems.insert(String::new(), format!("cannot be listed: {error}"));
            }
        }
        for (name, what) in &problems {
            if seen.problems.get(name) != Some(what) {
                tracing::warn!("breakers/{}: {what}", name.escape_debug());
            }
        }
        seen.problems = problems;
    }

    /// What is wrong with a file, if anything.
    fn scan_one(&self, seen: &mut Seen, name: &str, now: TimestampMs) -> Option<String> {
        let before = seen.problems.get(name).cloned();
        // Nearly always: nothing happened to it.
        if let (Some(last), Ok(Some(stamp))) = (seen.stamps.get(name), self.folder.look(name))
            && last.is_still(&stamp)
        {
            return before;
        }
        if let Some(stamp) = seen.leftover.get(name) {
            let is_same = matches!(self.folder.look(name), Ok(Some(now)) if stamp.is_of(&now));
            if is_same {
                return Some("has expired, and its file cannot be removed".to_owned());
            }
            seen.leftover.remove(name);
        }
        let Some(target) = Target::of_file(name) else {
            return Some("is not named after a breaker's target: it stops nothing".to_owned());
        };
        if self.standing().get(&target).is_some_and(|held| held.unwritten.is_some()) {
            // Memory is newer than what lies there.
            return before;
        }
        let stamp = match self.folder.look(name) {
            Ok(Some(stamp)) => stamp,
            // Gone since it was listed: the next look sees that.
            Ok(None) => return before,
            Err(error) => return Some(error.to_string()),
        };
        seen.stamps.insert(name.to_owned(), stamp.clone());
        match self.folder.read(name) {
            Ok(Some(file)) => self.take(seen, &target, &file, &stamp, now),
            Ok(None) => before,
            Err(what) => {
                self.removed(name, &format!("its file is no breaker any more: {what}"), now);
                Some(format!("{what}: it stops nothing"))
            }
        }
    }

    fn take(
        &self,
        seen: &mut Seen,
        target: &Target,
        file: &BreakerFile,
        stamp: &Stamp,
        now: TimestampMs,
    ) -> Option<String> {
        let warning = file.warning();
        let is_same = self.standing().get(target).is_some_and(|held| held.file == *file);
        if is_same {
            return warning;
        }
        let is_new = self.standing_mut().read(target, file.clone(), stamp.written(), now);
        let has_expired = !self.standing().get(target).is_some_and(|held| held.holds(now));
        if has_expired {
            let name = target.file_name();
            seen.stamps.remove(&name);
            self.remove_expired(seen, &name, stamp.clone());
            let cleared = self.standing_mut().clear_written(target);
            if let Some(held) = cleared {
                self.gone(&held, What::Expired, &expired_by(file), now);
            }
        } else if is_new {
            self.note(Change {
                at: now,
                target: target.as_str().to_owned(),
                what: What::Tripped,
                reason: file.short_reason(),
                by: "a file in breakers/".to_owned(),
                trip_count: file.trip_count,
            });
        } else {
            // It may hold less than before: what waits is looked at again.
            self.went.fetch_add(1, Ordering::AcqRel);
        }
        warning
    }

    fn removed(&self, name: &str, by: &str, now: TimestampMs) {
        let Some(target) = Target::of_file(name) else { return };
        let cleared = self.standing_mut().clear_written(&target);
        if let Some(held) = cleared {
            self.gone(&held, What::Cleared, by, now);
        }
    }

    /// What is wrong, a line each.
    pub fn problems(&self) -> Vec<String> {
        let of_file =
            |(name, what): (&String, &String)| format!("breakers/{}: {what}", name.escape_debug());
        let mut lines: Vec<String> = lock(&self.seen).problems.iter().map(of_file).collect();
        lines.extend(self.standing().list().into_iter().filter_map(|held| {
            let why = held.unwritten.as_ref().filter(|why| !why.is_empty())?;
            let name = held.target.file_name();
            Some(format!("breakers/{name} cannot be written, it holds in memory until then: {why}"))
        }));
        lines
    }
}

fn expired_by(file: &BreakerFile) -> String {
    match file.auto_expire_seconds {
        Some(seconds) if seconds > 0 => format!("auto-expired after {seconds}s"),
        _ => "auto-expired".to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
