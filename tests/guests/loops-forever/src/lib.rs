//! Never comes to an end: fuel and the deadline have to.

use std::hint::black_box;

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        while black_box(true) {}
        Ok(None)
    }
}

thrall_sdk::export_hotwire!(Guest);
