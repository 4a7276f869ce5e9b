//! Asks the cockpit, which the tests never grant, and reports the refusal: a
//! denial is a value.

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict, cockpit};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let reason = match cockpit::get("status", "{}") {
            Ok(answer) => format!("answered: {answer}"),
            Err(error) => error.message(),
        };
        Ok(Some(Verdict::new("log", reason)))
    }
}

thrall_sdk::export_hotwire!(Guest);
