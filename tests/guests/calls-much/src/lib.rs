//! Asks the host 1,000 times, of which 64 may be answered, and reports how often
//! it was, and the first refusal.

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict, context};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let mut answered = 0;
        let mut refusal = String::from("none");
        for _ in 0..1000 {
            match context::flag("any") {
                Ok(_) => answered += 1,
                Err(error) if refusal == "none" => refusal = error.message(),
                Err(_) => {}
            }
        }
        Ok(Some(Verdict::new("log", format!("answered {answered}, then {refusal}"))))
    }
}

thrall_sdk::export_hotwire!(Guest);
