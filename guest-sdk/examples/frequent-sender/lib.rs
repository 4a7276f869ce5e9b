//! A hotwire with configuration and one host call: who writes too often is only
//! logged.

use serde::Deserialize;
use thrall_sdk::journal::{self, Query};
use thrall_sdk::{Envelope, Hotwire, Situation, Tier, Verdict, config};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// The recipe's `[config]` table; each key has a default.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    most_per_hour: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { most_per_hour: 20 }
    }
}

pub struct FrequentSender;

impl Hotwire for FrequentSender {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let Some(sender) = envelope.field("from_node") else { return Ok(None) };
        if situation.tier == Tier::Team {
            return Ok(None);
        }
        let config: Config = config::user(situation)?;
        // Time is an argument, so a replay counts the same rows.
        let hour = Query::since(situation.now.saturating_sub(HOUR_MS)).from_node(sender);
        let Ok(count) = journal::count(&hour) else { return Ok(None) };
        if count < config.most_per_hour {
            return Ok(None);
        }
        Ok(Some(Verdict::new("log", format!("{count} events of this sender in an hour"))))
    }
}

thrall_sdk::export_hotwire!(FrequentSender);

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;
    use thrall_sdk::fake_host::FakeHost;
    use thrall_sdk::journal::Entry;

    use super::*;

    fn evaluate(rows: u64) -> Option<Verdict> {
        let entry = |id| Entry {
            id,
            at: 0,
            recipe: "frequent-sender".into(),
            action: "compile".into(),
            reason: String::new(),
            from_node: "aa".into(),
        };
        let host = (0..rows).fold(FakeHost::new(), |host, id| host.journal(entry(id)));
        let _host = host.install();
        let fields = vec![Field::new("from_node", "aa")];
        let envelope = Envelope { fields, ..Envelope::default() };
        let config = r#"{"stage": {}, "config": {"most_per_hour": 3}}"#.into();
        let situation = Situation { config, ..Situation::default() };
        FrequentSender::evaluate(&envelope, &situation).unwrap()
    }

    #[test]
    fn the_third_event_of_an_hour_is_one_too_many() {
        assert_eq!(evaluate(2), None);
        assert_eq!(evaluate(3).map(|verdict| verdict.action), Some("log".into()));
    }
}
