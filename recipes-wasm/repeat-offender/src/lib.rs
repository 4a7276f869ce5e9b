//! Example: a hotwire that drops who was dropped often lately.
//!
//! Written to be read. It shows a recipe with configuration and a host call:
//! asking the model costs a tenth of a second, counting journal rows costs
//! microseconds, so a sender whose mail was dropped five times in seven days
//! is dropped by count. Everything else is left to the next evaluator.
//!
//! ```toml
//! [[hotwires]]
//! component = "repeat-offender.wasm"
//! priority = 100
//!
//! [config]
//! threshold = 5
//! days = 7
//! ```
//!
//! It calls `journal::count`, so the component imports `journal-read` and the
//! operator has to grant that; with the usual scope `own` only the recipe's
//! own rows are counted. Note what the count includes: the drops made here
//! count as well, so a sender comes back only after `days` of silence or of
//! writing less. For a milder recipe count only rows with another reason.

use serde::Deserialize;
use thrall_sdk::journal::{self, Query};
use thrall_sdk::{Envelope, Hotwire, Situation, Tier, Verdict, config, log};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The recipe's `[config]` table. Every key has a default, so the table may be
/// left out; a key that does not fit is an error that names it.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    /// So many drops are enough.
    threshold: u64,
    /// How far back they count. The journal answers for 30 days at most.
    days: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold: 5, days: 7 }
    }
}

/// The type that the macro below turns into a component.
#[derive(Debug)]
pub struct RepeatOffender;

impl Hotwire for RepeatOffender {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        // The team is never dropped by count, and without a sender there is
        // nothing to count. `None` leaves the event to the next evaluator.
        let Some(sender) = envelope.field("from_node") else { return Ok(None) };
        if situation.tier == Tier::Team {
            return Ok(None);
        }
        let config: Config = config::user(situation)?;
        // Time is an input: the same event gives the same answer in a replay.
        let since = situation.now.saturating_sub(config.days.saturating_mul(DAY_MS));
        let query = Query::since(since).from_node(sender).action("drop");
        match journal::count(&query) {
            Ok(drops) if drops >= config.threshold.max(1) => Ok(Some(verdict(drops, config.days))),
            Ok(_) => Ok(None),
            Err(refusal) => {
                // A denial is a value. This recipe can do without the answer,
                // so it says why it was no help and steps aside.
                log::warn(&["cannot count earlier drops: ", &refusal.message()].concat());
                Ok(None)
            }
        }
    }
}

thrall_sdk::export_hotwire!(RepeatOffender);

fn verdict(drops: u64, days: u64) -> Verdict {
    let (drops, days) = (drops.to_string(), days.to_string());
    Verdict::new(
        "drop",
        ["repeat offender: dropped ", &drops, " times in ", &days, " days"].concat(),
    )
}

#[cfg(test)]
mod tests {
    use thrall_sdk::fake_host::FakeHost;
    use thrall_sdk::journal::Entry;
    use thrall_sdk::{Field, HostError};

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    /// A host whose journal holds drops of one sender, so many days ago each.
    fn host(days_ago: &[u64]) -> FakeHost {
        days_ago.iter().zip(1..).fold(FakeHost::new(), |host, (days, id)| {
            host.journal(Entry {
                id,
                at: NOW - days * DAY_MS,
                recipe: "mail-triage".into(),
                action: "drop".into(),
                reason: "spam".into(),
                from_node: "bad0".into(),
            })
        })
    }

    fn evaluate(sender: &str, config: &str) -> Result<Option<Verdict>, String> {
        let envelope =
            Envelope { fields: vec![Field::new("from_node", sender)], ..Envelope::default() };
        let situation = Situation {
            now: NOW,
            config: format!("{{\"stage\": {{}}, \"config\": {config}}}"),
            ..Situation::default()
        };
        RepeatOffender::evaluate(&envelope, &situation)
    }

    #[test]
    fn the_fifth_drop_in_a_week_is_the_last_one_looked_at() {
        let _host = host(&[1, 2, 3, 4, 5]).install();
        let expected = Verdict::new("drop", "repeat offender: dropped 5 times in 7 days");
        assert_eq!(evaluate("bad0", "{}"), Ok(Some(expected)));
        assert_eq!(evaluate("good", "{}"), Ok(None));
    }

    #[test]
    fn older_drops_are_forgiven() {
        let _host = host(&[1, 2, 3, 4, 8, 9, 10]).install();
        assert_eq!(evaluate("bad0", "{}"), Ok(None));
        assert!(evaluate("bad0", r#"{"days": 30}"#).unwrap().is_some());
        assert!(evaluate("bad0", r#"{"threshold": 4}"#).unwrap().is_some());
    }

    #[test]
    fn the_team_is_not_even_counted() {
        let host = host(&[1, 1, 1, 1, 1, 1]).install();
        let envelope =
            Envelope { fields: vec![Field::new("from_node", "bad0")], ..Envelope::default() };
        let situation = Situation { tier: Tier::Team, now: NOW, ..Situation::default() };
        assert_eq!(RepeatOffender::evaluate(&envelope, &situation), Ok(None));
        assert!(host.calls().is_empty());
    }

    #[test]
    fn without_the_grant_it_steps_aside_and_says_so() {
        let denied = HostError::Denied("imports = [\"journal-read\"]".into());
        let host = host(&[1, 1, 1, 1, 1]).refuse("journal-read", denied).install();
        assert_eq!(evaluate("bad0", "{}"), Ok(None));
        assert!(host.log_lines().iter().any(|(_, line)| line.contains("not granted")));
    }

    #[test]
    fn a_wrong_key_value_is_named() {
        let error = evaluate("bad0", r#"{"threshold": "five"}"#).unwrap_err();
        assert!(error.contains("[config]") && error.contains("five"), "{error}");
    }
}
