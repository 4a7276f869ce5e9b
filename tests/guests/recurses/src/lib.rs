//! Recurses without end: the stack lies below the data, so it traps.

use std::hint::black_box;

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        Ok(Some(Verdict::new("log", dive(1).to_string())))
    }
}

thrall_sdk::export_hotwire!(Guest);

fn dive(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { dive(black_box(depth + 1)).wrapping_add(depth) }
}
