//! The lines that a run may leave behind: those of the `log` interface, and
//! what a guest with WASI prints. Bounded, cleaned, and honest about what was
//! dropped.

use crate::stage::{LogLevel, LogLine, StageLimits};

use super::printable::printable;

/// How much of a line is looked at: what escape sequences take up may be more
/// than what is shown.
const LOOKED_AT: usize = 4 * StageLimits::MAX_LOG_LINE_BYTES;

/// Collects the lines of one call.
#[derive(Debug, Default)]
pub(super) struct RunLog {
    lines: Vec<LogLine>,
    dropped: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Which of the two printed streams bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    Stdout,
    Stderr,
}

impl RunLog {
    pub(super) fn push(&mut self, level: LogLevel, message: &str) {
        if self.lines.len() >= StageLimits::MAX_LOG_LINES {
            self.dropped += 1;
            return;
        }
        // A line of megabytes is not read to its end to find out that nothing
        // of the rest would be kept.
        let looked_at = message.floor_char_boundary(LOOKED_AT);
        let message = printable(
            message.get(..looked_at).unwrap_or_default(),
            StageLimits::MAX_LOG_LINE_BYTES,
        );
        self.lines.push(LogLine { level, message });
    }

    /// Takes printed bytes, which become lines at each line break or when a
    /// line is as long as it may be.
    pub(super) fn print(&mut self, stream: Printed, bytes: &[u8]) {
        for byte in bytes {
            let line = self.unfinished(stream);
            if *byte != b'\n' {
                line.push(*byte);
                if line.len() < StageLimits::MAX_LOG_LINE_BYTES {
                    continue;
                }
            }
            self.finish_line(stream);
        }
    }

    /// The lines, with a last one that tells how many there would have been.
    pub(super) fn into_lines(mut self) -> Vec<LogLine> {
        for stream in [Printed::Stdout, Printed::Stderr] {
            if !self.unfinished(stream).is_empty() {
                self.finish_line(stream);
            }
        }
        if self.dropped > 0 {
            let message = format!("... {} more lines dropped", self.dropped);
            self.lines.push(LogLine { level: LogLevel::Warn, message });
        }
        self.lines
    }

    fn unfinished(&mut self, stream: Printed) -> &mut Vec<u8> {
        match stream {
            Printed::Stdout => &mut self.stdout,
            Printed::Stderr => &mut self.stderr,
        }
    }

    fn finish_line(&mut self, stream: Printed) {
        let bytes = std::mem::take(self.unfinished(stream));
        let level = match stream {
            Printed::Stdout => LogLevel::Info,
            Printed::Stderr => LogLevel::Warn,
        };
        self.push(level, &String::from_utf8_lossy(&bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_lines_are_counted_not_kept() {
        let mut log = RunLog::default();
        for n in 0..1000 {
            log.push(LogLevel::Info, &format!("line {n}"));
        }
        let lines = log.into_lines();
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[99].message, "line 99");
        assert_eq!(lines[100].message, "... 900 more lines dropped");
    }

    #[test]
    fn printed_bytes_become_bounded_lines() {
        let mut log = RunLog::default();
        log.print(Printed::Stdout, b"one\ntw");
        log.print(Printed::Stderr, b"oops\n");
        log.print(Printed::Stdout, b"o \xff");
        log.print(Printed::Stdout, &vec![b'x'; 10_000]);
        let lines = log.into_lines();
        assert_eq!(lines[0].message, "one");
        assert_eq!(lines[1], LogLine { level: LogLevel::Warn, message: "oops".to_owned() });
        assert!(lines[2].message.starts_with("two \u{fffd}xxx"));
        assert!(lines.iter().all(|line| line.message.len() <= StageLimits::MAX_LOG_LINE_BYTES));
    }
}
