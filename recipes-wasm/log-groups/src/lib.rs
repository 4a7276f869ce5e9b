//! A hotwire that tells the first line of its kind from repetitions of it.
//!
//! A broken thing says so a thousand times, and the thousandth line is worth
//! less than the first. The host gives every line of a log a `template`: the
//! line with numbers, times, ids and the like masked. This component asks
//! whether a line of the same template was seen lately, and leads to one action
//! or the other:
//!
//! ```toml
//! [evaluate]
//! component = "log-groups.wasm"
//!
//! [actions.first]
//! steps = [
//!   { type = "compile", buffer = "log-watch" },
//!   { type = "set-flag", key = "group:{{verdict.group}}", value = "seen", expires_in_s = 86400 },
//! ]
//!
//! [actions.repeat]
//! type = "compile"
//! buffer = "log-watch"
//! ```
//!
//! It remembers nothing itself: the action `first` sets the flag, and its expiry
//! is how long "lately" is. Collected lines of one template are one item of the
//! briefing, with their number, the first and the last; that is the host's work.
//!
//! It calls `context::flag`, so it imports `context-read`, and the operator has
//! to grant that. Without the grant it has no opinion, and the recipe's fallback
//! collects the line all the same.

use serde::Deserialize;
use thrall_sdk::{Envelope, Field, Hotwire, Situation, Verdict, config, context, log};

/// The recipe's `[config]` table.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    /// The action for a line whose like was not seen lately.
    first: String,
    /// The action for every other.
    repeat: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { first: "first".into(), repeat: "repeat".into() }
    }
}

/// The type that the macro below turns into a component.
#[derive(Debug)]
pub struct LogGroups;

impl Hotwire for LogGroups {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let Some(template) = envelope.field("template") else { return Ok(None) };
        let config: Config = config::user(situation)?;
        let file = envelope.field("source_file").unwrap_or_default();
        let group = group_of(file, template);
        let seen = match context::flag(&["group:", &group].concat()) {
            Ok(flag) => flag.is_some(),
            Err(refusal) => {
                log::warn(&["cannot tell first from repeated: ", &refusal.message()].concat());
                return Ok(None);
            }
        };
        let (action, reason) = if seen {
            (config.repeat, "one more of a kind that is known")
        } else {
            (config.first, "the first of its kind lately")
        };
        let mut verdict = Verdict::new(action, reason);
        verdict.fields.push(Field::new("group", group));
        Ok(Some(verdict))
    }
}

thrall_sdk::export_hotwire!(LogGroups);

/// A short name for lines of one file and one template: FNV-1a, 64 bits, in hex.
/// Two templates of one name would at worst make the second count as known.
fn group_of(file: &str, template: &str) -> String {
    let bytes = file.bytes().chain([0]).chain(template.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..16)
        .rev()
        .filter_map(|digit| char::from_digit(u32::try_from(hash >> (digit * 4) & 15).ok()?, 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use thrall_sdk::HostError;
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    fn evaluate(template: &str) -> Option<Verdict> {
        let fields =
            vec![Field::new("source_file", "/var/log/a"), Field::new("template", template)];
        let envelope = Envelope { trigger: "on_log".into(), fields, ..Envelope::default() };
        LogGroups::evaluate(&envelope, &Situation::default()).unwrap()
    }

    #[test]
    fn what_was_not_seen_lately_is_the_first_and_the_rest_repeats() {
        let host = FakeHost::new().install();
        let first = evaluate("ERROR pool <n> is full").unwrap();
        let group = first.field("group").unwrap().to_owned();
        assert_eq!((first.action.as_str(), group.len()), ("first", 16));
        assert_ne!(evaluate("ERROR disk is full").unwrap().field("group"), Some(group.as_str()));
        drop(host);
        let _host = FakeHost::new().flag(&format!("group:{group}"), "seen").install();
        assert_eq!(evaluate("ERROR pool <n> is full").unwrap().action, "repeat");
        assert_eq!(evaluate("ERROR disk is full").unwrap().action, "first");
    }

    #[test]
    fn without_the_grant_it_steps_aside_and_says_so() {
        let denied = HostError::Denied("imports = [\"context-read\"]".into());
        let host = FakeHost::new().refuse("context-read", denied).install();
        assert_eq!(evaluate("ERROR"), None);
        assert!(host.log_lines().iter().any(|(_, line)| line.contains("not granted")));
    }

    #[test]
    fn an_event_that_is_no_line_is_left_alone() {
        let envelope = Envelope::default();
        assert_eq!(LogGroups::evaluate(&envelope, &Situation::default()), Ok(None));
    }

    #[test]
    fn names_of_groups_are_what_they_always_were() {
        // A flag that was set before an update is found after it.
        assert_eq!(group_of("", ""), "af63bd4c8601b7df");
    }
}
