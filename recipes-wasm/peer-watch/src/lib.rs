//! A hotwire that watches the node's peers, for two recipes.
//!
//! On a tick it compares the gathered list of peers with what was reported
//! before (`stale.rs`); on the event `peer.added` it compares the peer with the
//! one that was known at that address (`address.rs`):
//!
//! ```toml
//! [[gather]]
//! name = "peers"
//! source = "peers"
//!
//! [evaluate]
//! component = "peer-watch.wasm"
//!
//! [config]
//! stale_after_hours = 24
//! alarm_percent = 50
//! ```
//!
//! What it remembers are flags of its recipe, which the recipe's own actions
//! write: a verdict carries their values (`verdict.stale`, `verdict.address`). So it
//! imports `context-read`; without the grant it says so, and reports again what
//! it reported before rather than nothing.

mod address;
mod stale;

use thrall_sdk::{Envelope, HostError, Hotwire, Situation, Verdict, config, context, log};

/// The type that the macro below turns into a component.
#[derive(Debug)]
pub struct PeerWatch;

impl Hotwire for PeerWatch {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        if envelope.trigger != "on_tick" {
            return Ok(Some(address::judge(envelope, &remembered)));
        }
        let config: stale::Config = config::user(situation)?;
        let Some(peers) = situation.gathered("peers") else {
            return Ok(Some(Verdict::new("log", "the node's peers are not known")));
        };
        stale::judge(peers, situation.now, &config, &remembered).map(Some)
    }
}

thrall_sdk::export_hotwire!(PeerWatch);

fn remembered(key: &str) -> Option<String> {
    match context::flag(key) {
        Ok(value) => value,
        Err(HostError::Denied(line)) => {
            log::warn(&["cannot remember what was reported, it takes: ", &line].concat());
            None
        }
        Err(error) => {
            log::warn(&["cannot read what was reported: ", &error.message()].concat());
            None
        }
    }
}
