//! The state machine that follows one log. It is polled; each poll hands out
//! complete lines, and the caller says how many of them it took. What was not
//! taken is read again, so a caller that cannot take more simply says so.
//!
//! - The first time, an existing file is followed from its end: history is no
//!   news. Later from where it was left, if it is the same file.
//! - A file that is renamed away is read to its end by its open handle, then the
//!   next one from its beginning. It has ended when the next has content (its
//!   writer has gone over) or when some seconds have passed.
//! - A file that is smaller than what was read, or reads differently, was
//!   truncated: it is read from its beginning.
//! - A line without a line end waits for it, however long, except at the end of
//!   a file that is gone.

use std::collections::VecDeque;
use std::time::Duration;

use super::{FINGERPRINT_BYTES, Identity, Line, LogFiles, Mark, Notice, Place};
use crate::clock::TimestampMs;
use crate::envelope::log_line;
use crate::ids::Digest;

/// Read at once.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Handed out at once: of empty lines a chunk holds many.
const MAX_LINES: usize = 4096;
/// How long the writer of a renamed file is given to go over to the next.
pub const SETTLE: Duration = Duration::from_secs(5);
/// Files at the path that wait for an earlier one to be read to its end.
const MAX_LATER: usize = 8;
/// How far back the beginning of an unfinished line is looked for, the first
/// time.
const LOOK_BACK_BYTES: u64 = 64 * 1024;

/// What a poll found.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub notices: Vec<Notice>,
    /// In order, of one file.
    pub lines: Vec<Line>,
    /// There is more to be had at once.
    pub more: bool,
}

pub struct Follower<F: LogFiles> {
    files: F,
    path: String,
    incarnation: u64,
    past: Past,
    /// The file that is being read.
    front: Option<Front<F::File>>,
    /// Files that were seen at the path since, oldest first.
    later: VecDeque<Newcomer<F::File>>,
    missing_since: Option<TimestampMs>,
    /// The last thing that was said about a file that is not to be had.
    said: Option<Notice>,
    pending: Option<Pending>,
}

/// What is known from before.
enum Past {
    /// Never followed.
    Unknown,
    Left(Place),
    /// Dealt with: what comes is new.
    Over,
}

struct Front<T> {
    file: T,
    identity: Identity,
    /// Everything before it was taken.
    mark: Mark,
    /// A line that is longer than a chunk.
    long: Option<LongLine>,
    /// Size and time of change when it was last read to its end.
    seen: Option<(u64, (i64, i64))>,
}

struct LongLine {
    kept: Vec<u8>,
    is_cut: bool,
    /// How far it was looked through.
    until: Mark,
}

struct Newcomer<T> {
    file: T,
    identity: Identity,
    since: TimestampMs,
}

/// What was handed out and is not answered yet.
struct Pending {
    bytes: Vec<u8>,
    /// Where each line ends in them.
    ends: Vec<usize>,
    /// With the last line the file is done.
    ends_file: bool,
    seen: Option<(u64, (i64, i64))>,
}

impl<F: LogFiles> Follower<F> {
    /// `left` is the place that was kept, `None` if there never was one.
    pub fn new(files: F, path: String, left: Option<Place>) -> Self {
        Self {
            files,
            path,
            incarnation: left.as_ref().map_or(0, |place| place.incarnation),
            past: left.map_or(Past::Unknown, Past::Left),
            front: None,
            later: VecDeque::new(),
            missing_since: None,
            said: None,
            pending: None,
        }
    }

    /// What is to be kept; `None` as long as nothing was ever seen.
    pub fn place(&self) -> Option<Place> {
        self.place_after(0)
    }

    /// What is to be kept once the first `count` lines of the last poll are
    /// taken.
    pub fn place_after(&self, count: usize) -> Option<Place> {
        match (&self.front, &self.past) {
            (Some(front), _) => {
                let mark = self.pending.as_ref().and_then(|pending| front.after(pending, count));
                let mark = mark.as_ref().unwrap_or(&front.mark);
                Some(Place {
                    incarnation: self.incarnation,
                    identity: Some(front.identity),
                    offset: mark.offset,
                    fingerprint: mark.fingerprint(),
                })
            }
            (None, Past::Left(place)) => Some(place.clone()),
            (None, Past::Unknown) => None,
            (None, Past::Over) => Some(Place {
                incarnation: self.incarnation,
                identity: None,
                offset: 0,
                fingerprint: Digest::ZERO,
            }),
        }
    }

    /// The id of the event that a line becomes.
    pub fn event_id(&self, line: &Line) -> String {
        let identity = self.front.as_ref().map(|front| front.identity.to_string());
        let incarnation = self.incarnation.to_be_bytes();
        let which =
            Digest::of_parts(&[b"thrall log 1", self.path.as_bytes(), &incarnation]).short();
        format!("{}-{which}:{}", identity.unwrap_or_default(), line.offset)
    }

    /// Looks at the path and reads on. Lines that were handed out before and not
    /// answered count as not taken.
    pub fn poll(&mut self, now: TimestampMs) -> Turn {
        let mut turn = Turn::default();
        self.take(0);
        self.look_at_path(now, &mut turn.notices);
        let read = self.next_file(&mut turn.notices).and_then(|()| self.read(now, &mut turn));
        if let Err(why) = read {
            self.say(Notice::Unreadable(why), &mut turn.notices);
        }
        turn
    }

    /// The first `count` lines of the last poll were taken.
    pub fn take(&mut self, count: usize) {
        let (Some(pending), Some(front)) = (self.pending.take(), self.front.as_mut()) else {
            return;
        };
        if let Some(mark) = front.after(&pending, count) {
            front.mark = mark;
            front.long = None;
        }
        let took_all = count >= pending.ends.len();
        front.seen = pending.seen.filter(|_| took_all);
        if took_all && pending.ends_file {
            self.front = None;
        }
    }

    fn say(&mut self, notice: Notice, notices: &mut Vec<Notice>) {
        if self.said.as_ref() != Some(&notice) {
            notices.push(notice.clone());
            self.said = Some(notice);
        }
    }

    fn look_at_path(&mut self, now: TimestampMs, notices: &mut Vec<Notice>) {
        let found = self.files.open().and_then(|file| match file {
            Some(file) => Ok(Some((self.files.look(&file)?.identity, file))),
            None => Ok(None),
        });
        let (identity, file) = match found {
            Err(why) => return self.say(Notice::Unreadable(why), notices),
            Ok(None) => {
                self.missing_since.get_or_insert(now);
                if matches!(self.past, Past::Unknown) {
                    self.past = Past::Over;
                }
                if self.front.is_none() && self.later.is_empty() {
                    self.say(Notice::Absent, notices);
                }
                return;
            }
            Ok(Some(found)) => found,
        };
        self.missing_since = None;
        self.said = None;
        if self.front.as_ref().is_some_and(|front| front.identity == identity) {
            // Back again: whatever took its place has gone.
            if !self.later.is_empty() {
                self.later.clear();
                notices.push(Notice::Skipped);
            }
        } else if self.later.iter().all(|one| one.identity != identity) {
            if self.later.len() >= MAX_LATER {
                self.later.pop_back();
                notices.push(Notice::Skipped);
            }
            self.later.push_back(Newcomer { file, identity, since: now });
        }
    }

    /// Begins with the next file if none is being read.
    fn next_file(&mut self, notices: &mut Vec<Notice>) -> Result<(), String> {
        if self.front.is_some() {
            return Ok(());
        }
        let Some(Newcomer { file, identity, .. }) = self.later.pop_front() else { return Ok(()) };
        let size = self.files.look(&file)?.size;
        let mut is_same = false;
        let mark = match &self.past {
            Past::Unknown => self.last_line_end(&file, size)?,
            Past::Over => Mark::default(),
            Past::Left(Place { identity: None, .. }) => Mark::default(),
            Past::Left(place) => {
                let same = if place.identity == Some(identity) && size >= place.offset {
                    let mark = self.mark_at(&file, place.offset)?;
                    (mark.fingerprint() == place.fingerprint).then_some(mark)
                } else {
                    None
                };
                is_same = same.is_some();
                same.unwrap_or_else(|| {
                    notices.push(Notice::Replaced { at: place.offset });
                    Mark::default()
                })
            }
        };
        if !is_same {
            self.incarnation += 1;
        }
        self.past = Past::Over;
        self.front = Some(Front { file, identity, mark, long: None, seen: None });
        Ok(())
    }

    /// The end of the last complete line.
    fn last_line_end(&self, file: &F::File, size: u64) -> Result<Mark, String> {
        let from = size.saturating_sub(LOOK_BACK_BYTES);
        let length = usize::try_from(size - from).unwrap_or(0);
        let bytes = self.files.read(file, from, length)?;
        let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => from + u64::try_from(newline + 1).unwrap_or(0),
            // All of it is one line that is not complete yet.
            None if from == 0 => 0,
            None => size,
        };
        self.mark_at(file, end)
    }

    fn mark_at(&self, file: &F::File, offset: u64) -> Result<Mark, String> {
        let length = usize::try_from(offset).unwrap_or(usize::MAX).min(FINGERPRINT_BYTES);
        let first = self.files.read(file, 0, length)?;
        let behind = offset.saturating_sub(u64::try_from(length).unwrap_or(0));
        let last = self.files.read(file, behind, length)?;
        Ok(Mark { offset, first, last })
    }

    /// Whether nothing more will be written to the file that is being read.
    fn is_over(&self, now: TimestampMs) -> Result<bool, String> {
        let settled = |since: TimestampMs| since.plus(SETTLE) <= now;
        let Some(front) = &self.front else { return Ok(false) };
        match (self.later.front(), self.missing_since) {
            (Some(next), _) => Ok(self.later.len() > 1
                || settled(next.since)
                || self.files.look(&next.file)?.size > 0),
            (None, Some(since)) if settled(since) => Ok(!self.files.look(&front.file)?.has_name),
            (None, _) => Ok(false),
        }
    }

    /// Reads a chunk of the present file. Asked before reading whether it is
    /// over: what is written until then is read.
    fn read(&mut self, now: TimestampMs, turn: &mut Turn) -> Result<(), String> {
        let is_over = self.is_over(now)?;
        self.notice_truncation(&mut turn.notices)?;
        let Some(front) = self.front.as_mut() else { return Ok(()) };
        let look = self.files.look(&front.file)?;
        let seen = (look.size, look.changed);
        if front.seen == Some(seen) && !is_over {
            return Ok(());
        }
        let from = front.long.as_ref().map_or(&front.mark, |long| &long.until).offset;
        let bytes = self.files.read(&front.file, from, CHUNK_BYTES)?;
        let reaches_end = bytes.len() < CHUNK_BYTES;

        let mut ends = Vec::new();
        let mut begin = 0;
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            if ends.len() >= MAX_LINES {
                break;
            }
            turn.lines.push(front.line(from, &bytes, begin, at));
            begin = at + 1;
            ends.push(begin);
        }
        let is_capped = ends.len() >= MAX_LINES;
        let ends_file = is_over && reaches_end && !is_capped;
        let has_rest = begin < bytes.len() || (ends.is_empty() && front.long.is_some());
        if ends_file && has_rest {
            turn.lines.push(front.line(from, &bytes, begin, bytes.len()));
            ends.push(bytes.len());
        } else if ends.is_empty() && !reaches_end {
            front.look_through(&bytes);
        }
        turn.more = !reaches_end || is_capped || (ends_file && !self.later.is_empty());
        let seen = (reaches_end && !is_capped).then_some(seen);
        self.pending = Some(Pending { bytes, ends, ends_file, seen });
        Ok(())
    }

    /// Looks whether the file still is what was read of it.
    fn notice_truncation(&mut self, notices: &mut Vec<Notice>) -> Result<(), String> {
        let Some(front) = &self.front else { return Ok(()) };
        let look = self.files.look(&front.file)?;
        let read = front.long.as_ref().map_or(&front.mark, |long| &long.until);
        let is_unchanged = front.seen == Some((look.size, look.changed));
        if is_unchanged || read.offset == 0 {
            return Ok(());
        }
        if look.size >= read.offset && self.mark_at(&front.file, read.offset)? == *read {
            return Ok(());
        }
        notices.push(Notice::Truncated { at: front.mark.offset });
        self.incarnation += 1;
        if let Some(front) = self.front.as_mut() {
            front.mark = Mark::default();
            front.long = None;
            front.seen = None;
        }
        Ok(())
    }
}

impl<T> Front<T> {
    /// The mark behind the first `count` lines; `None` where there are none.
    fn after(&self, pending: &Pending, count: usize) -> Option<Mark> {
        let last = count.min(pending.ends.len()).checked_sub(1)?;
        let mut mark = self.long.as_ref().map_or(&self.mark, |long| &long.until).clone();
        mark.advance(pending.bytes.get(..*pending.ends.get(last)?)?);
        Some(mark)
    }

    /// The line between two places in the bytes that stand at `from`.
    fn line(&self, from: u64, bytes: &[u8], begin: usize, end: usize) -> Line {
        let long = self.long.as_ref().filter(|_| begin == 0);
        let mut content = long.map(|long| long.kept.clone()).unwrap_or_default();
        let fits = log_line::keep(&mut content, bytes.get(begin..end).unwrap_or_default());
        let offset = match long {
            Some(_) => self.mark.offset,
            None => from + u64::try_from(begin).unwrap_or(0),
        };
        Line { offset, content, is_cut: !fits || long.is_some_and(|long| long.is_cut) }
    }

    /// Goes on over bytes in which the line does not end.
    fn look_through(&mut self, bytes: &[u8]) {
        let mut long = self.long.take().unwrap_or_else(|| LongLine {
            kept: Vec::new(),
            is_cut: false,
            until: self.mark.clone(),
        });
        long.is_cut |= !log_line::keep(&mut long.kept, bytes);
        long.until.advance(bytes);
        self.long = Some(long);
    }
}

#[cfg(test)]
mod tests;
