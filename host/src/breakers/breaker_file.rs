//! What stands in a breaker's file. The fields and their forms are the earlier
//! thrall's, so that its files work here and its scripts read ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::clock::TimestampMs;
use crate::stage::BreakerFact;

/// The largest breaker file that is read, in bytes.
pub const MAX_BREAKER_BYTES: usize = 16 * 1024;

/// Operations that a file remembers: more than are ever repeated after a crash.
const MAX_OPERATIONS: usize = 16;

/// The longest reason that is kept, in characters.
const MAX_REASON_CHARS: usize = 500;

/// One breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerFile {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub target: String,
    #[serde(default)]
    pub reason: String,
    /// ISO 8601, with the offset from UTC.
    #[serde(default)]
    pub tripped_at: String,
    #[serde(default = "one")]
    pub trip_count: u32,
    #[serde(default)]
    pub last_event: String,
    /// 0 or none: until somebody removes the file.
    #[serde(default)]
    pub auto_expire_seconds: Option<u64>,
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Operations that tripped it, the latest last; none is counted twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}

fn one() -> u32 {
    1
}

/// One trip, as an operation asks for it.
#[derive(Clone, Debug)]
pub struct Trip<'a> {
    pub target: &'a Target,
    pub reason: &'a str,
    pub at: TimestampMs,
    /// Zero: never.
    pub expires_in_s: u64,
    /// Names the operation, so that performing it again changes nothing.
    pub operation: &'a str,
}

impl Trip<'_> {
    /// Seconds that a breaker holds where nobody says otherwise.
    pub const DEFAULT_EXPIRY_S: u64 = 3600;

    /// The file after this trip. `before` is the breaker that is there, if it
    /// still holds.
    pub fn file(&self, before: Option<&BreakerFile>) -> BreakerFile {
        if let Some(before) = before.filter(|one| one.counts(self.operation)) {
            return before.clone();
        }
        let seconds = self.expires_in_s;
        let expires_at = (seconds > 0).then(|| self.at.plus(Duration::from_secs(seconds)));
        let reason: String = self.reason.chars().take(MAX_REASON_CHARS).collect();
        let mut operations = before.map_or_else(Vec::new, |one| one.operations.clone());
        operations.push(self.operation.to_owned());
        operations.drain(..operations.len().saturating_sub(MAX_OPERATIONS));
        BreakerFile {
            kind: self.target.kind().to_owned(),
            target: self.target.as_str().to_owned(),
            last_event: reason.clone(),
            reason,
            tripped_at: self.at.to_iso(),
            trip_count: before.map_or(0, |one| one.trip_count).saturating_add(1),
            auto_expire_seconds: Some(seconds),
            // Beyond what a date can say, it holds as good as for ever.
            expires_at: expires_at.map(TimestampMs::to_iso).filter(|text| !text.is_empty()),
            operations,
        }
    }
}

impl BreakerFile {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let told = |error: serde_json::Error| format!("not a breaker: {error}");
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(told)?;
        // A list would be taken for the fields in their order.
        if !value.is_object() {
            return Err("not a breaker: it is no JSON object".to_owned());
        }
        serde_json::from_value(value).map_err(told)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain strings and numbers have no failing case.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Whether an operation has tripped it already.
    pub fn counts(&self, operation: &str) -> bool {
        self.operations.iter().any(|one| one == operation)
    }

    /// What is said of it where somebody is stopped by it.
    pub fn short_reason(&self) -> String {
        self.reason.chars().take(MAX_REASON_CHARS).collect()
    }

    /// When it was tripped, if it says so.
    pub fn tripped_at(&self) -> Option<TimestampMs> {
        from_iso(&self.tripped_at)
    }

    /// When it ends. A date that cannot be read ends nothing: a breaker that
    /// somebody set holds until somebody removes it.
    pub fn expires_at(&self) -> Option<TimestampMs> {
        self.expires_at.as_deref().and_then(from_iso)
    }

    /// What is odd about it, if anything.
    pub fn warning(&self) -> Option<String> {
        let text = self.expires_at.as_deref().filter(|text| from_iso(text).is_none())?;
        Some(format!("expires_at {text:?} is no date with an offset from UTC: it never expires"))
    }

    pub fn holds(&self, now: TimestampMs) -> bool {
        self.expires_at().is_none_or(|end| now <= end)
    }

    /// What a guest is told of it. `written` is when the file was last written,
    /// for one that does not say when it was tripped.
    pub fn fact(&self, target: &Target, written: TimestampMs) -> BreakerFact {
        BreakerFact {
            target: target.as_str().to_owned(),
            reason: self.short_reason(),
            tripped_at: self.tripped_at().unwrap_or(written),
            expires_at: self.expires_at(),
            trip_count: self.trip_count,
        }
    }
}

fn from_iso(text: &str) -> Option<TimestampMs> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(TimestampMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-28 09:31:41 UTC.
    const NOW: TimestampMs = TimestampMs(1_772_271_101_000);

    fn target() -> Target {
        Target::parse("node:aabbccddeeff0011").unwrap()
    }

    fn trip(operation: &str, expires_in_s: u64, before: Option<&BreakerFile>) -> BreakerFile {
        let target = target();
        Trip { target: &target, reason: "loop", at: NOW, expires_in_s, operation }.file(before)
    }

    #[test]
    fn a_trip_has_the_earlier_thralls_fields() {
        let json: serde_json::Value =
            serde_json::from_slice(&trip("1", 3600, None).to_bytes()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "node",
                "target": "aabbccddeeff0011",
                "reason": "loop",
                "tripped_at": "2026-02-28T09:31:41.000+00:00",
                "trip_count": 1,
                "last_event": "loop",
                "auto_expire_seconds": 3600,
                "expires_at": "2026-02-28T10:31:41.000+00:00",
                "operations": ["1"],
            })
        );
    }

    #[test]
    fn a_file_of_the_earlier_thrall_is_read() {
        let text = r#"{"type": "node", "target": "aabbccddeeff0011", "reason": "loop",
            "tripped_at": "2026-02-28T09:31:41.123456+00:00", "trip_count": 3,
            "last_event": "loop", "auto_expire_seconds": 3600,
            "expires_at": "2026-02-28T10:31:41.123456+00:00"}"#;
        let file = BreakerFile::parse(text.as_bytes()).unwrap();
        assert!(file.holds(NOW) && file.warning().is_none());
        assert!(!file.holds(NOW.plus(Duration::from_secs(3601))));
        let fact = file.fact(&target(), TimestampMs(0));
        assert_eq!((fact.trip_count, fact.tripped_at), (3, TimestampMs(NOW.0 + 123)));
    }

    #[test]
    fn a_second_trip_counts_and_the_same_one_again_does_not() {
        let first = trip("1", 3600, None);
        assert_eq!(trip("1", 3600, Some(&first)), first);
        let second = trip("2", 3600, Some(&first));
        assert_eq!(second.trip_count, 2);
        assert_eq!(trip("1", 3600, Some(&second)), second, "an earlier one as well");
    }

    #[test]
    fn zero_and_an_unreadable_date_never_expire() {
        let never = trip("1", 0, None);
        assert_eq!((never.expires_at.as_deref(), never.auto_expire_seconds), (None, Some(0)));
        let far = TimestampMs(u64::MAX / 2);
        assert!(never.holds(far));
        assert!(trip("1", u64::MAX, None).holds(far));
        for date in ["tomorrow", "2026-02-28T10:31:41", ""] {
            let odd = BreakerFile { expires_at: Some(date.to_owned()), ..never.clone() };
            assert!(odd.holds(far) && odd.warning().is_some(), "{date:?}");
        }
    }

    #[test]
    fn what_is_missing_is_not_invented_and_what_is_no_breaker_is_said() {
        let bare = BreakerFile::parse(b"{}").unwrap();
        assert!(bare.holds(NOW));
        assert_eq!(bare.fact(&target(), NOW).tripped_at, NOW);
        for text in ["", "[]", "{\"trip_count\": \"many\"}", "null"] {
            assert!(BreakerFile::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
