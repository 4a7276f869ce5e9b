//! What a run's failed guests say about its recipe, and behind whom they count:
//! enough of them in a row switch a revision off (`recipes/trip_wire.rs`). One
//! party that names many senders, or sends what no guest can take in, does not.

use super::{EngineRules, Shared, is_vouched_for, lock};
use crate::envelope::Envelope;
use crate::journal::Commit;
use crate::recipes::trip_wire::SenderOfRun;

impl Shared {
    /// Counts failures of guests in a row. A run that called none says nothing
    /// about its recipe.
    pub(super) fn watch_for_trips(
        &self,
        rules: &EngineRules,
        envelope: &Envelope,
        commit: &Commit,
    ) {
        let Commit { row, trace, .. } = commit;
        if trace.usage.stages.is_empty() || is_too_much(envelope, &trace.faults) {
            return;
        }
        let sender = sender_of_run(rules, envelope, &row.sender_key);
        let has_failed = !trace.faults.is_empty();
        let trip = lock(&self.trip_wire).record(&row.recipe, &row.revision, sender, has_failed);
        if let Some(trip) = trip {
            // Nobody listens in commands that only decide; the next start of a
            // service counts anew.
            let _ = self.tripped.send(trip);
        }
    }
}

/// Behind whom a run's failure stands. Whomever a source makes up as senders, it
/// stays one.
fn sender_of_run<'a>(
    rules: &EngineRules,
    envelope: &'a Envelope,
    sender_key: &'a str,
) -> SenderOfRun<'a> {
    if envelope.trigger == "on_tick" {
        SenderOfRun::HostMade
    } else if is_vouched_for(rules, envelope) {
        SenderOfRun::Node(sender_key)
    } else {
        SenderOfRun::Node(envelope.vouching_source())
    }
}

/// Bytes of an event from which on a guest may run out of fuel or memory
/// because of it: a failure says nothing about a recipe then.
const LARGE_EVENT: usize = 8 * 1024;

/// Whether an event's size explains that the guests of a run failed.
fn is_too_much(envelope: &Envelope, faults: &[(String, String)]) -> bool {
    let size: usize = envelope.fields.iter().map(|one| one.name.len() + one.value.len()).sum();
    size >= LARGE_EVENT
        && !faults.is_empty()
        && faults.iter().all(|(_, code)| matches!(code.as_str(), "out-of-fuel" | "out-of-memory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Field;

    #[test]
    fn a_source_that_may_not_vouch_is_one_sender_whomever_it_names() {
        let rules =
            EngineRules { asserting_sources: vec!["mailbox".to_owned()], ..EngineRules::default() };
        let from = |source: &str| Envelope { source: source.to_owned(), ..Envelope::blank() };
        let (vouched, made_up) = (from("mailbox"), from("agent"));
        assert_eq!(sender_of_run(&rules, &vouched, "k1"), SenderOfRun::Node("k1"));
        for key in ["k1", "k2", "k3"] {
            assert_eq!(sender_of_run(&rules, &made_up, key), SenderOfRun::Node("agent"));
        }
        let tick = Envelope { trigger: "on_tick".to_owned(), ..from("thrall") };
        assert_eq!(sender_of_run(&rules, &tick, ""), SenderOfRun::HostMade);
    }

    #[test]
    fn what_a_large_event_uses_up_says_nothing_about_a_recipe() {
        let event = |bytes: usize| Envelope {
            fields: vec![Field::new("body_text", "a".repeat(bytes))],
            ..Envelope::blank()
        };
        let faults = |code: &str| vec![("evaluate".to_owned(), code.to_owned())];
        assert!(is_too_much(&event(60_000), &faults("out-of-fuel")));
        assert!(!is_too_much(&event(100), &faults("out-of-fuel")), "it fails on anything");
        assert!(!is_too_much(&event(60_000), &faults("trapped")));
        assert!(!is_too_much(&event(60_000), &[]), "a success counts");
    }
}
