//! A plain filter of contract 1.0.0, written against `wit/` alone. It must run
//! on every later host. With the release of 1.0.0 its `wit/` is kept beside
//! this and the path below leads there.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(clippy::all, clippy::indexing_slicing, reason = "generated code keeps its own style")]

use crate::thrall::recipe::types::Tier;

wit_bindgen::generate!({ path: "../../../wit", world: "filter", generate_all });

struct Plain;

impl Guest for Plain {
    fn decide(envelope: Envelope, situation: Situation) -> Result<Decision, String> {
        if situation.tier == Tier::Blocked {
            return Ok(Decision::Skip("blocked".into()));
        }
        Ok(Decision::Inject(vec![Field { name: "seen".into(), value: envelope.id }]))
    }
}

export!(Plain);
