//! A filter that reports everything it was told: the same input must give the
//! same report.

#[path = "../../told.rs"]
mod told;

use thrall_sdk::{Decision, Envelope, Filter, Situation, Verdict};

struct Echo;

impl Filter for Echo {
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String> {
        let fields = told::told(envelope, situation);
        let reason = told::in_a_line(&fields);
        Ok(Decision::Decide(Verdict { fields, ..Verdict::new("log", reason) }))
    }
}

thrall_sdk::export_filter!(Echo);
