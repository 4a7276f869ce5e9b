//! Traps at once.

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        std::process::abort()
    }
}

thrall_sdk::export_hotwire!(Guest);
