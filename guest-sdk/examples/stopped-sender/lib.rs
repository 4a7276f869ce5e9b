//! A filter that asks the host: senders with a tripped breaker are skipped, and
//! later stages learn how the sender stands.

use thrall_sdk::{Decision, Envelope, Field, Filter, HostError, Situation, breaker, log};

pub struct StoppedSender;

impl Filter for StoppedSender {
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String> {
        let Some(sender) = envelope.field("from_node") else { return Ok(Decision::Pass) };
        match breaker::state(&format!("node:{sender}")) {
            Ok(Some(breaker)) => Ok(Decision::Skip(format!("stopped: {}", breaker.reason))),
            Ok(None) => {
                let standing = Field::new("standing", situation.tier.word());
                Ok(Decision::Inject(vec![standing])) // {{inject.standing}} in the TOML
            }
            // Not granted: say so once, and do the work without it.
            Err(HostError::Denied(line)) => {
                log::warn(&format!("not granted: {line}"));
                Ok(Decision::Pass)
            }
            // Anything else is passing: the host's on_failure decides.
            Err(error) => Err(error.message()),
        }
    }
}

thrall_sdk::export_filter!(StoppedSender);

#[cfg(test)]
mod tests {
    use thrall_sdk::breaker::Breaker;
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    fn decide() -> Result<Decision, String> {
        let fields = vec![Field::new("from_node", "aa")];
        let envelope = Envelope { fields, ..Envelope::default() };
        StoppedSender::decide(&envelope, &Situation::default())
    }

    #[test]
    fn a_stopped_sender_is_skipped() {
        let breaker = Breaker {
            target: "node:aa".into(),
            reason: "flooding".into(),
            tripped_at: 0,
            expires_at: None,
            trip_count: 1,
        };
        let _host = FakeHost::new().breaker(breaker).install();
        assert_eq!(decide(), Ok(Decision::Skip("stopped: flooding".into())));
    }

    #[test]
    fn another_sender_goes_on_with_its_standing() {
        let _host = FakeHost::new().install();
        assert_eq!(decide(), Ok(Decision::Inject(vec![Field::new("standing", "unknown")])));
    }

    #[test]
    fn without_the_grant_everybody_passes_and_the_line_is_logged() {
        let denied = HostError::Denied("imports = [\"breaker-read\"]".into());
        let host = FakeHost::new().refuse("breaker-read", denied).install();
        assert_eq!(decide(), Ok(Decision::Pass));
        assert_eq!(host.log_lines().len(), 1);
    }

    #[test]
    fn a_passing_failure_is_left_to_on_failure() {
        let _host = FakeHost::new().refuse("breaker-read", HostError::Unavailable(50)).install();
        assert!(decide().is_err());
    }
}
