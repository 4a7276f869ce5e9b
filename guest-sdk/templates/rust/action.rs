//! Recipe `__NAME__`: an action, which turns a verdict into a plan. Nothing here
//! acts: the host holds each operation against the grant, then performs it.

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
use thrall_sdk::operations::CompileOp;
use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict};
//? journal-read

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
//? end

/// The type that the macro below turns into a component.
pub struct Recipe;

impl Action for Recipe {
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        //? breaker-read
        // Tripped by the operator or by the operation `trip-breaker`.
        if let Ok(Some(breaker)) = breaker::state("__NAME__") {
            return Ok(vec![Operation::Log(format!("stopped: {}", breaker.reason))]);
        }
        //? end
        // A field that is absent is `None`, never an error.
        let body = envelope.field("body_text").unwrap_or_default();
        let mut note = vec![format!("{} ({})", verdict.reason, situation.tier.word())];
        note.push(body.into());
        //? context-read
        // Set by this recipe's own operation `set-flag`; absent means no.
        if let Ok(Some(topic)) = context::flag("topic") {
            note.push(format!("topic: {topic}"));
        }
        //? journal-read
        // A refusal (not granted, budget spent) is a value: this goes on without.
        if let Some(sender) = envelope.field("from_node") {
            let today = Query::since(situation.now.saturating_sub(DAY_MS)).from_node(sender);
            if let Ok(count @ 1..) = journal::count(&today) {
                note.push(format!("{count} of this sender today"));
            }
        }
        //? cockpit-read
        // The answer is JSON; with serde_json more can be read from it.
        if let Ok(status) = cockpit::get("status", "{}") {
            note.push(format!("node: {status}"));
        }
        //? model
        // What a model writes is untrusted, like the message that it has read.
        if let Ok(summary) = model::complete("triage", body, 40) {
            note.push(format!("in short: {}", summary.text));
        }
        //? log
        log::debug("one note");
        //? end
        Ok(vec![Operation::Compile(CompileOp {
            buffer: "__NAME__".into(),
            note: note.join("; "),
            // Either of these wakes the agent, and then needs the grant for it.
            summon_threshold: 0,
            summon_keywords: Vec::new(),
        })])
    }
}

thrall_sdk::export_action!(Recipe);

#[cfg(test)]
mod tests {
    //? breaker-read
    use thrall_sdk::breaker::Breaker;
    //? end
    use thrall_sdk::Field;
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    /// The note that is compiled, or nothing where another plan was made.
    fn note() -> Option<String> {
        let fields = vec![Field::new("from_node", "aa"), Field::new("body_text", "hello")];
        let envelope = Envelope { fields, ..Envelope::default() };
        let verdict = Verdict::new("collect", "because");
        let plan = Recipe::plan(&envelope, &Situation::default(), &verdict).unwrap();
        match plan.as_slice() {
            [Operation::Compile(compile)] => Some(compile.note.clone()),
            _ => None,
        }
    }

    #[test]
    fn the_message_is_collected_with_the_reason() {
        let _host = FakeHost::new().install();
        assert_eq!(note(), Some("because (unknown); hello".into()));
    }

    #[test]
    fn without_any_grant_it_still_plans() {
        // No host is installed: everything is denied.
        assert_eq!(note(), Some("because (unknown); hello".into()));
    }
    //? context-read

    #[test]
    fn the_topic_is_noted() {
        let _host = FakeHost::new().flag("topic", "relays").install();
        assert!(note().unwrap().ends_with("topic: relays"));
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
        assert_eq!(note(), None);
    }
    //? journal-read

    #[test]
    fn how_many_came_today_is_noted() {
        let entry = journal::Entry {
            id: 1,
            at: 0,
            recipe: "__NAME__".into(),
            action: "collect".into(),
            reason: String::new(),
            from_node: "aa".into(),
        };
        let _host = FakeHost::new().journal(entry).install();
        assert!(note().unwrap().ends_with("1 of this sender today"));
    }
    //? cockpit-read

    #[test]
    fn the_nodes_state_is_noted() {
        let _host = FakeHost::new().cockpit("status", "{}").install();
        assert!(note().unwrap().ends_with("node: {}"));
    }
    //? model

    #[test]
    fn the_models_words_are_noted() {
        let _host = FakeHost::new().completion("a greeting").install();
        assert!(note().unwrap().ends_with("in short: a greeting"));
    }
    //? log

    #[test]
    fn it_says_what_it_planned() {
        let host = FakeHost::new().install();
        note();
        assert_eq!(host.log_lines().len(), 1);
    }
    //? end
}
