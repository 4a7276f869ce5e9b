//! Logs 1,000 lines of 10 KiB, of which 100 of 4 KiB may be kept.

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict, log};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let line = "x".repeat(10 * 1024);
        for number in 0..1000 {
            log::info(&format!("{number} {line}"));
        }
        Ok(Some(Verdict::new("log", "logged 1,000 lines")))
    }
}

thrall_sdk::export_hotwire!(Guest);
