//! From the logs that recipes watch to events: which files are followed, which
//! of their lines become events, and when the place in them is kept. One
//! follower for each file, whoever watches it. How a file is followed is in
//! `log_tail/follower.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::capabilities::log_files::LogOnDisk;
use crate::clock::TimestampMs;
use crate::config::Source;
use crate::engine::SubmitError;
use crate::envelope::json::Draft;
use crate::envelope::{Envelope, log_line};
use crate::log_tail::follower::{Follower, Turn};
use crate::log_tail::{Line, Notice, Place};
use crate::recipes::matching;
use crate::recipes::registry::{Registry, Revision};

/// Events that are submitted together.
const BATCH: usize = 64;
/// Chunks of one file before the others have their turn.
const TURNS: usize = 16;
/// How often the place is kept while no line is wanted: what is read again
/// after a crash are lines that nobody wanted.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// What a round through the logs ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Round {
    /// Everything was read.
    Quiet,
    /// No more events are taken for now.
    Full,
    /// There is more to read.
    More,
}

/// The logs that are followed.
#[derive(Default)]
pub struct LogWatch {
    tails: BTreeMap<String, Tail>,
    /// Recipes whose grant does not open their log, as was said.
    unread: BTreeSet<String>,
    looked_at: Option<Arc<Registry>>,
}

struct Tail {
    /// Away while a thread reads for it; lost if that fails.
    follower: Option<Follower<LogOnDisk>>,
    kept: Option<Place>,
    kept_at: TimestampMs,
}

impl App {
    /// Reads what was added to the logs that live recipes watch, and submits
    /// the lines that one of them wants.
    pub async fn poll_logs(&self) -> Round {
        let mut watch = self.logs.lock().await;
        let registry = self.registry.load_full();
        watch.say_unread(&registry);
        let watchers = registry.log_watchers();
        watch
            .tails
            .retain(|path, tail| watchers.contains_key(path.as_str()) && tail.follower.is_some());
        let mut round = Round::Quiet;
        for (path, revisions) in &watchers {
            if !watch.tails.contains_key(*path) {
                match self.tail(path) {
                    Ok(tail) => drop(watch.tails.insert((*path).to_owned(), tail)),
                    Err(error) => {
                        tracing::error!(%error, path, "the log is not read, tried again");
                        continue;
                    }
                }
            }
            if let Some(tail) = watch.tails.get_mut(*path) {
                round = round.max(self.follow(path, tail, revisions).await);
            }
        }
        round
    }

    /// Keeps the place in every log, wanted lines or not: before the end.
    pub async fn keep_log_places(&self) {
        let mut watch = self.logs.lock().await;
        for (path, tail) in &mut watch.tails {
            self.keep_place(path, tail).await;
        }
    }

    fn tail(&self, path: &str) -> anyhow::Result<Tail> {
        let left = self.store.reader().log_place(path)?;
        let secret: Vec<PathBuf> = self.home.secret_folders().to_vec();
        let files = LogOnDisk::new(path.to_owned(), secret.into());
        let follower = Follower::new(files, path.to_owned(), left.clone());
        Ok(Tail { follower: Some(follower), kept: left, kept_at: self.clock.now() })
    }

    async fn follow(&self, path: &str, tail: &mut Tail, watchers: &[&Arc<Revision>]) -> Round {
        for _ in 0..TURNS {
            let Some(turn) = poll(tail, self.clock.now()).await else { return Round::Quiet };
            for notice in &turn.notices {
                self.report(path, notice).await;
            }
            // Where it begins is known also when no line is ever wanted.
            if tail.is_elsewhere() && !self.keep_place(path, tail).await {
                return Round::Quiet;
            }
            match self.submit_wanted(path, tail, &turn, watchers).await {
                Submitted::All => {}
                Submitted::Some(round) => return round,
            }
            if !turn.more {
                return Round::Quiet;
            }
        }
        Round::More
    }

    /// Submits the lines that somebody wants, in order, and takes all lines up
    /// to the last that was accepted, or passed over by everybody.
    async fn submit_wanted(
        &self,
        path: &str,
        tail: &mut Tail,
        turn: &Turn,
        watchers: &[&Arc<Revision>],
    ) -> Submitted {
        let Some(follower) = tail.follower.as_mut() else { return Submitted::All };
        let wanted: Vec<(usize, Draft)> = turn
            .lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| {
                let draft = draft(path, line, follower.event_id(line), watchers)?;
                Some((index, draft))
            })
            .collect();
        let source = Source {
            name: log_line::SOURCE.to_owned(),
            triggers: vec![log_line::TRIGGER.to_owned()],
            may_assert_sender: false,
        };
        let (mut rest, mut size) = (wanted.as_slice(), BATCH);
        while let Some((next, _)) = rest.first() {
            let (batch, after) = rest.split_at(size.min(rest.len()));
            let behind = batch.last().map_or(0, |(last, _)| last + 1);
            let Some(place) = follower.place_after(behind) else { return Submitted::All };
            let drafts = batch.iter().map(|(_, draft)| draft.clone()).collect();
            match self.engine.submit_lines(&source, drafts, path, place.clone()).await {
                Ok(_) => {
                    tail.kept = Some(place);
                    tail.kept_at = self.clock.now();
                    rest = after;
                }
                // There may be room for fewer.
                Err(SubmitError::Full(_)) if batch.len() > 1 => size = batch.len() / 2,
                Err(error) => {
                    // What is left is read again.
                    follower.take(*next);
                    return Submitted::Some(ends_round(path, &error));
                }
            }
        }
        follower.take(turn.lines.len());
        if tail.kept_at.plus(KEEP_EVERY) <= self.clock.now() {
            self.keep_place(path, tail).await;
        }
        Submitted::All
    }

    /// False where it could not be kept.
    async fn keep_place(&self, path: &str, tail: &mut Tail) -> bool {
        let Some(place) = tail.follower.as_ref().and_then(Follower::place) else { return true };
        let now = self.clock.now();
        tail.kept_at = now;
        if tail.kept.as_ref() == Some(&place) {
            return true;
        }
        match self.store.keep_log_place(path.to_owned(), place.clone(), now).await {
            Ok(()) => {
                tail.kept = Some(place);
                true
            }
            Err(error) => {
                tracing::error!(%error, path, "the place in a log cannot be kept, tried again");
                false
            }
        }
    }

    async fn report(&self, path: &str, notice: &Notice) {
        tracing::warn!("log {path} {notice}");
        if let Some(counter) = notice.counter()
            && let Err(error) = self.store.count(counter.to_owned(), 1).await
        {
            tracing::warn!(%error, counter, "cannot count a gap in a log");
        }
    }
}

fn ends_round(path: &str, error: &SubmitError) -> Round {
    match error {
        SubmitError::Full(_) => Round::Full,
        SubmitError::Disabled => Round::Quiet,
        error => {
            tracing::error!(%error, path, "lines of a log cannot be taken, tried again");
            Round::Quiet
        }
    }
}

enum Submitted {
    All,
    /// Not all, and how the round ends with that.
    Some(Round),
}

impl LogWatch {
    /// Once for each recipe whose log stays closed.
    fn say_unread(&mut self, registry: &Arc<Registry>) {
        if self.looked_at.as_ref().is_some_and(|earlier| Arc::ptr_eq(earlier, registry)) {
            return;
        }
        self.looked_at = Some(Arc::clone(registry));
        let unread: BTreeSet<String> = registry
            .entries()
            .filter_map(|entry| Some(format!("recipe {}: {}", entry.name, entry.unread_log()?)))
            .collect();
        for what in unread.difference(&self.unread) {
            tracing::warn!("{what}");
        }
        self.unread = unread;
    }
}

impl Tail {
    /// Whether the follower is in another file, or another incarnation of it,
    /// than the one that was kept.
    fn is_elsewhere(&self) -> bool {
        let place = self.follower.as_ref().and_then(Follower::place);
        let which = |place: &Place| (place.incarnation, place.identity);
        place.as_ref().map(which) != self.kept.as_ref().map(which)
    }
}

/// Reads in a thread of its own: a disk may take its time.
async fn poll(tail: &mut Tail, now: TimestampMs) -> Option<Turn> {
    let mut follower = tail.follower.take()?;
    let polled = tokio::task::spawn_blocking(move || {
        let turn = follower.poll(now);
        (follower, turn)
    });
    match polled.await {
        Ok((follower, turn)) => {
            tail.follower = Some(follower);
            Some(turn)
        }
        Err(error) => {
            tracing::error!(%error, "reading a log failed");
            None
        }
    }
}

/// The event that a line becomes; `None` if nobody wants it.
fn draft(path: &str, line: &Line, id: String, watchers: &[&Arc<Revision>]) -> Option<Draft> {
    let (text, is_cut) = log_line::text_of(&line.content);
    let takes = |revision: &&Arc<Revision>| {
        revision.recipe.trigger.log.as_ref().is_some_and(|log| log.takes(&text))
    };
    // Most lines of most logs end here.
    if !watchers.iter().any(takes) {
        return None;
    }
    let fields = log_line::fields(path, &text, is_cut || line.is_cut);
    let envelope = Envelope {
        trigger: log_line::TRIGGER.to_owned(),
        source: log_line::SOURCE.to_owned(),
        fields,
        ..Envelope::blank()
    };
    let wants = |revision: &&Arc<Revision>| matching::matches(&revision.recipe.trigger, &envelope);
    watchers.iter().any(wants).then_some(())?;
    Some(Draft { id: Some(id), trigger: envelope.trigger, fields: envelope.fields })
}
