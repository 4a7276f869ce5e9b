//! Recipe `__NAME__`: a hotwire, which reaches a verdict or leaves the event to
//! the next evaluator.

//? breaker-read
use thrall_sdk::breaker;
//? cockpit-read
use thrall_sdk::cockpit;
//? context-read
use thrall_sdk::context;
//? journal-read
use thrall_sdk::journal::{self, Query};
//? log
use thrall_sdk::log;
//? model
use thrall_sdk::model;
//? end
use thrall_sdk::{Envelope, Hotwire, Situation, Tier, Verdict};
//? journal-read

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;
//? end

/// The type that the macro below turns into a component.
pub struct Recipe;

impl Hotwire for Recipe {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        // `None` leaves the event to the next evaluator, in the end to the
        // recipe's fallback_action.
        if situation.tier == Tier::Team {
            return Ok(None);
        }
        // A field that is absent is `None`, never an error.
        let body = envelope.field("body_text").unwrap_or_default();
        // The action has to be one that __NAME__.toml declares (log and drop
        // always are); the reason is what a person reads in the journal.
        if body.to_lowercase().contains("unsubscribe") {
            return Ok(Some(Verdict::new("drop", "a newsletter: it says how to unsubscribe")));
        }
        //? context-read
        // Set by this recipe's own operation `set-flag`; absent means no.
        if context::flag("quiet") == Ok(Some("on".into())) {
            return Ok(Some(Verdict::new("log", "the flag `quiet` is on")));
        }
        //? breaker-read
        // Tripped by the operator or by the operation `trip-breaker`.
        if let Ok(Some(breaker)) = breaker::state("__NAME__") {
            return Ok(Some(Verdict::new("log", format!("stopped: {}", breaker.reason))));
        }
        //? journal-read
        // A refusal (not granted, budget spent) is a value: this goes on without.
        if let Some(sender) = envelope.field("from_node") {
            let since = situation.now.saturating_sub(WEEK_MS);
            let drops = Query::since(since).from_node(sender).action("drop");
            if journal::count(&drops).unwrap_or(0) >= 5 {
                return Ok(Some(Verdict::new("drop", "dropped five times in a week")));
            }
        }
        //? cockpit-read
        // The answer is JSON; with serde_json more can be read from it.
        if cockpit::get("status", "{}").is_ok_and(|status| status.contains("\"draining\"")) {
            return Ok(Some(Verdict::new("log", "the node is about to stop")));
        }
        //? model
        // The label set of a prompt has the prompt's name. Text from outside goes
        // into the text alone. Without an answer the next evaluator decides.
        match model::classify("triage", "triage", body) {
            Ok(answer) if answer.best == "spam" && !answer.abstained => {
                return Ok(Some(Verdict::new("drop", "spam, says the model")));
            }
            Ok(_) | Err(_) => {}
        }
        //? log
        log::debug("no opinion");
        //? end
        Ok(None)
    }
}

thrall_sdk::export_hotwire!(Recipe);

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

    /// The action of the verdict, if there is one.
    fn evaluate(body: &str) -> Option<String> {
        let verdict = Recipe::evaluate(&mail(body), &Situation::default()).unwrap();
        verdict.map(|verdict| verdict.action)
    }

    #[test]
    fn a_newsletter_is_dropped_and_another_message_is_left_alone() {
        let _host = FakeHost::new().install();
        assert_eq!(evaluate("News! Unsubscribe here."), Some("drop".into()));
        assert_eq!(evaluate("hello"), None);
    }

    #[test]
    fn the_team_is_left_alone_without_a_question() {
        let host = FakeHost::new().install();
        let situation = Situation { tier: Tier::Team, ..Situation::default() };
        assert_eq!(Recipe::evaluate(&mail("unsubscribe"), &situation), Ok(None));
        assert!(host.calls().is_empty());
    }

    #[test]
    fn without_any_grant_it_has_no_opinion() {
        // No host is installed: everything is denied.
        assert_eq!(evaluate("hello"), None);
    }
    //? context-read

    #[test]
    fn the_flag_only_logs() {
        let _host = FakeHost::new().flag("quiet", "on").install();
        assert_eq!(evaluate("hello"), Some("log".into()));
    }
    //? breaker-read

    #[test]
    fn the_breaker_only_logs() {
        let breaker = Breaker {
            target: "__NAME__".into(),
            reason: "too many".into(),
            tripped_at: 0,
            expires_at: None,
            trip_count: 1,
        };
        let _host = FakeHost::new().breaker(breaker).install();
        assert_eq!(evaluate("hello"), Some("log".into()));
    }
    //? journal-read

    #[test]
    fn who_was_dropped_five_times_is_dropped() {
        let entry = |id| journal::Entry {
            id,
            at: 0,
            recipe: "__NAME__".into(),
            action: "drop".into(),
            reason: String::new(),
            from_node: "aa".into(),
        };
        let host = (1..=5).fold(FakeHost::new(), |host, id| host.journal(entry(id)));
        let _host = host.install();
        assert_eq!(evaluate("hello"), Some("drop".into()));
    }
    //? cockpit-read

    #[test]
    fn a_node_that_is_about_to_stop_only_logs() {
        let _host = FakeHost::new().cockpit("status", r#"{"state": "draining"}"#).install();
        assert_eq!(evaluate("hello"), Some("log".into()));
    }
    //? model

    #[test]
    fn the_model_is_believed_when_it_says_spam() {
        let _host = FakeHost::new().classification("spam", 0.9).install();
        assert_eq!(evaluate("hello"), Some("drop".into()));
    }

    #[test]
    fn another_kind_is_left_to_the_next() {
        let _host = FakeHost::new().classification("question", 0.9).install();
        assert_eq!(evaluate("hello"), None);
    }
    //? log

    #[test]
    fn that_it_has_no_opinion_is_logged() {
        let host = FakeHost::new().install();
        evaluate("hello");
        assert_eq!(host.log_lines().len(), 1);
    }
    //? end
}
