//! Answers with 100 MB out of 2 MB of memory: a hundred strings that all lie at
//! the same place. The host has to stop copying by itself.

use thrall_sdk::{Envelope, Field, Hotwire, Situation, Verdict};

struct Guest;

impl Hotwire for Guest {
    fn evaluate(_: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let page = "x".repeat(MEGABYTE).leak();
        let fields = (0..100).map(|number| Field { name: number.to_string(), value: alias(page) });
        Ok(Some(Verdict { fields: fields.collect(), ..Verdict::new("log", "a hundred megabytes") }))
    }
}

thrall_sdk::export_hotwire!(Guest);

const MEGABYTE: usize = 1024 * 1024;

/// A second owner of the same bytes. Freeing it would be wrong, and comes only
/// after the host has read the answer.
#[expect(unsafe_code, reason = "a hostile guest breaks its own memory")]
fn alias(page: &mut str) -> String {
    unsafe { String::from_raw_parts(page.as_mut_ptr(), page.len(), page.len()) }
}
