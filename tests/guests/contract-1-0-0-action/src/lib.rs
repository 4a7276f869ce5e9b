//! A plain action of contract 1.0.0, written against `wit/` alone. It must run
//! on every later host. With the release of 1.0.0 its `wit/` is kept beside
//! this and the path below leads there.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(clippy::all, clippy::indexing_slicing, reason = "generated code keeps its own style")]

wit_bindgen::generate!({ path: "../../../wit", world: "action", generate_all });

struct Plain;

impl Guest for Plain {
    fn plan(_: Envelope, _: Situation, verdict: Verdict) -> Result<Vec<Operation>, String> {
        Ok(vec![Operation::Log(verdict.reason.clone()), Operation::Drop(verdict.reason)])
    }
}

export!(Plain);
