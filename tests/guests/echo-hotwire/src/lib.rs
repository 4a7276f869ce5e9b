//! A hotwire that reports everything it was told: the same input must give the
//! same report.

#[path = "../../told.rs"]
mod told;

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Echo;

impl Hotwire for Echo {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let fields = told::told(envelope, situation);
        let reason = told::in_a_line(&fields);
        Ok(Some(Verdict { fields, ..Verdict::new("log", reason) }))
    }
}

thrall_sdk::export_hotwire!(Echo);
