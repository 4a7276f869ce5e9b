//! A filter that answers what its recipe says, forged or malformed: what no
//! recipe may set has to be refused or overruled by the host.
//!
//! ```toml
//! [config]
//! decision = "decide"      # pass | inject | decide | skip | refuse
//! action = "log"
//! reason = "r"             # or { text = "x", times = 3000 }
//! confidence = "nan"       # a number as text
//! fields = [{ name = "from_node", value = "..." }, { name = "f", times = 65 }]
//! ```

#[path = "../../emits-anything/src/named_text.rs"]
mod named_text;
#[path = "../../emits-anything/src/text.rs"]
mod text;

use serde::Deserialize;
use thrall_sdk::{Decision, Envelope, Filter, Situation, Verdict, config};

use named_text::{NamedText, fields};
use text::Text;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    decision: String,
    action: Text,
    reason: Text,
    confidence: Option<String>,
    fields: Vec<NamedText>,
}

struct Decides;

impl Filter for Decides {
    fn decide(_: &Envelope, situation: &Situation) -> Result<Decision, String> {
        let config: Config = config::user(situation)?;
        let fields = fields(&config.fields);
        let reason = config.reason.get();
        Ok(match config.decision.as_str() {
            "pass" => Decision::Pass,
            "inject" => Decision::Inject(fields),
            "decide" => Decision::Decide(Verdict {
                action: config.action.get(),
                reason,
                confidence: config
                    .confidence
                    .map(|text| text.parse().map_err(|_| format!("{text:?} is no number")))
                    .transpose()?,
                fields,
            }),
            "skip" => Decision::Skip(reason),
            "refuse" => return Err(reason),
            other => return Err(format!("no decision is called {other:?}")),
        })
    }
}

thrall_sdk::export_filter!(Decides);
