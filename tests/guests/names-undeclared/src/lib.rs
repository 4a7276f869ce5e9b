//! Reaches a verdict for an action that no recipe declares: it must not be run.

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        Ok(Some(Verdict::new("launch-missiles", "an action that nobody declared")))
    }
}

thrall_sdk::export_hotwire!(Guest);
