//! A plain hotwire of contract 1.0.0, written against `wit/` alone. It must run
//! on every later host. With the release of 1.0.0 its `wit/` is kept beside
//! this and the path below leads there.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(clippy::all, clippy::indexing_slicing, reason = "generated code keeps its own style")]

wit_bindgen::generate!({ path: "../../../wit", world: "hotwire", generate_all });

struct Plain;

impl Guest for Plain {
    fn evaluate(envelope: Envelope, situation: Situation) -> Result<Option<Verdict>, String> {
        let reason = format!("{} at {}", envelope.trigger, situation.now);
        Ok(Some(Verdict { action: "log".into(), reason, confidence: Some(0.5), fields: vec![] }))
    }
}

export!(Plain);
