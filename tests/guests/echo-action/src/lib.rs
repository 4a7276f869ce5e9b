//! A action that reports everything it was told: the same input must give the
//! same report.

#[path = "../../told.rs"]
mod told;

use thrall_sdk::{Action, Envelope, Operation, Situation, Verdict};

struct Echo;

impl Action for Echo {
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        let line = told::in_a_line(&told::told(envelope, situation));
        Ok(vec![Operation::Log(format!("{}: {}; {line}", verdict.action, verdict.reason))])
    }
}

thrall_sdk::export_action!(Echo);
