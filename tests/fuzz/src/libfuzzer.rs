//! The driver that finds its way by coverage. Which target it runs is said in
//! `THRALL_FUZZ_TARGET`; `scripts/fuzz.sh` builds and starts it.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a function by its symbol")]

use std::sync::OnceLock;

use thrall_fuzz::Target;

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        thrall_fuzz::target(&std::env::var("THRALL_FUZZ_TARGET").unwrap_or_default())
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = (chosen().run)(data);
});
