//! Allocates without end: the memory limit has to say no.

use std::hint::black_box;

use thrall_sdk::{Envelope, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        while black_box(true) {
            hoard.push(vec![1; 1024 * 1024]);
        }
        Ok(Some(Verdict::new("log", hoard.len().to_string())))
    }
}

thrall_sdk::export_hotwire!(Guest);
