//! Recipe `__NAME__`: a filter, which decides whether an event goes on.

//? breaker-read
use thrall_sdk::breaker;
//? context-read
use thrall_sdk::context;
//? journal-read
use thrall_sdk::journal::{self, Query};
//? log
use thrall_sdk::log;
//? end
use thrall_sdk::{Decision, Envelope, Filter, Situation, Tier};
//? journal-read

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
//? end

/// The type that the macro below turns into a component.
pub struct Recipe;

impl Filter for Recipe {
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String> {
        if situation.tier == Tier::Team {
            return Ok(Decision::Pass);
        }
        // A field that is absent is `None`, never an error.
        let body = envelope.field("body_text").unwrap_or_default();
        if body.trim().is_empty() {
            return Ok(Decision::Skip("nothing is written in it".into()));
        }
        //? context-read
        // Set by this recipe's own operation `set-flag`; absent means no.
        if context::flag("quiet") == Ok(Some("on".into())) {
            return Ok(Decision::Skip("the flag `quiet` is on".into()));
        }
        //? breaker-read
        // Tripped by the operator or by the operation `trip-breaker`.
        if let Ok(Some(breaker)) = breaker::state("__NAME__") {
            return Ok(Decision::Skip(format!("stopped: {}", breaker.reason)));
        }
        //? journal-read
        // A refusal (not granted, budget spent) is a value: this goes on without.
        if let Some(sender) = envelope.field("from_node") {
            let today = Query::since(situation.now.saturating_sub(DAY_MS)).from_node(sender);
            if journal::count(&today).unwrap_or(0) >= 20 {
                return Ok(Decision::Skip("twenty events of this sender in a day".into()));
            }
        }
        //? log
        log::debug("nothing speaks against it");
        //? end
        Ok(Decision::Pass)
    }
}

thrall_sdk::export_filter!(Recipe);

#[cfg(test)]
mod tests {
    //? breaker-read
    use thrall_sdk::breaker::Breaker;
    //? end
    use thrall_sdk::Field;
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    fn mail(body: &str) -> Envelope {
        let fields = vec![Field::new("from_node", "aa"), Field::new("body_text", body)];
        Envelope { fields, ..Envelope::default() }
    }

    fn decide(envelope: &Envelope) -> Decision {
        Recipe::decide(envelope, &Situation::default()).unwrap()
    }

    #[test]
    fn an_empty_message_is_skipped_and_another_passes() {
        let _host = FakeHost::new().install();
        assert!(matches!(decide(&mail(" ")), Decision::Skip(_)));
        assert_eq!(decide(&mail("hello")), Decision::Pass);
    }

    #[test]
    fn the_team_passes_without_a_question() {
        let host = FakeHost::new().install();
        let situation = Situation { tier: Tier::Team, ..Situation::default() };
        assert_eq!(Recipe::decide(&mail(""), &situation), Ok(Decision::Pass));
        assert!(host.calls().is_empty());
    }

    #[test]
    fn without_any_grant_it_still_decides() {
        // No host is installed: everything is denied.
        assert_eq!(decide(&mail("hello")), Decision::Pass);
    }
    //? context-read

    #[test]
    fn the_flag_stops_it() {
        let _host = FakeHost::new().flag("quiet", "on").install();
        assert!(matches!(decide(&mail("hello")), Decision::Skip(_)));
    }
    //? breaker-read

    #[test]
    fn the_breaker_stops_it() {
        let breaker = Breaker {
            target: "__NAME__".into(),
            reason: "too many".into(),
            tripped_at: 0,
            expires_at: None,
            trip_count: 1,
        };
        let _host = FakeHost::new().breaker(breaker).install();
        assert_eq!(decide(&mail("hello")), Decision::Skip("stopped: too many".into()));
    }
    //? journal-read

    #[test]
    fn the_twentieth_event_of_a_day_is_the_last() {
        let entry = |id| journal::Entry {
            id,
            at: 0,
            recipe: "__NAME__".into(),
            action: "log".into(),
            reason: String::new(),
            from_node: "aa".into(),
        };
        let host = (1..=20).fold(FakeHost::new(), |host, id| host.journal(entry(id)));
        let _host = host.install();
        assert!(matches!(decide(&mail("hello")), Decision::Skip(_)));
    }
    //? log

    #[test]
    fn what_passes_is_logged() {
        let host = FakeHost::new().install();
        decide(&mail("hello"));
        assert_eq!(host.log_lines().len(), 1);
    }
    //? end
}
