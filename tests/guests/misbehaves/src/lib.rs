//! Does one misdeed, the one that its recipe's `[config]` names in `deed`, and
//! tells how far it came. What stops it is a limit of the sandbox; those that
//! need instructions that Rust does not write are in `tests/it`, as text.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use thrall_sdk::{Envelope, Field, Hotwire, Situation, Verdict, cockpit, config, context, log};

const MEGABYTE: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Config {
    deed: String,
    #[serde(default)]
    times: usize,
}

/// What a component remembers from one call to the next: nothing.
static CALLED: AtomicU32 = AtomicU32::new(0);

struct Misbehaves;

impl Hotwire for Misbehaves {
    fn evaluate(_: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let Config { deed, times } = config::user(situation)?;
        let told = match deed.as_str() {
            "count-calls" => {
                format!("called {} times", CALLED.fetch_add(1, Ordering::Relaxed) + 1)
            }
            "hoard" => hoard(),
            "log-lines" => {
                for number in 0..times {
                    log::info(&number.to_string());
                }
                format!("logged {times} lines")
            }
            "log-megabytes" => {
                // Starts an escape sequence that never ends.
                let line = ["\u{1b}]", &"x".repeat(3 * MEGABYTE)].concat();
                for _ in 0..times {
                    log::error(&line);
                }
                format!("logged {times} times 3 MiB")
            }
            "call-on" => {
                let refused = (0..times).filter(|_| context::flag("any").is_err()).count();
                format!("asked {times} times, refused {refused} times")
            }
            "huge-question" => {
                let text = "x".repeat(times.saturating_mul(MEGABYTE));
                match cockpit::get("status", &text) {
                    Ok(answer) => format!("answered {answer}"),
                    Err(error) => error.message(),
                }
            }
            "many-fields" => {
                let fields = (0..times).map(|_| Field::new("", "")).collect();
                return Ok(Some(Verdict { fields, ..Verdict::new("log", "many") }));
            }
            "long-name" => {
                let fields = vec![Field::new("n".repeat(times), "value")];
                return Ok(Some(Verdict { fields, ..Verdict::new("log", "long") }));
            }
            "refuse-at-length" => return Err("because ".repeat(times)),
            other => return Err(format!("no deed is called {other:?}")),
        };
        Ok(Some(Verdict::new("log", told)))
    }
}

thrall_sdk::export_hotwire!(Misbehaves);

/// Small allocations without end.
fn hoard() -> String {
    let mut hoard: Vec<Box<[u64; 32]>> = Vec::new();
    while black_box(true) {
        hoard.push(Box::new([black_box(7); 32]));
    }
    hoard.len().to_string()
}
