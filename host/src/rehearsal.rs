//! Running without acting: the same pipeline, with its ports answered from a
//! recorded run instead of the world. Nothing here can write.

pub mod recorded;

use std::sync::Arc;

use crate::journal::Trace;
use crate::pipeline::ports::Ports;
use recorded::{NoMeter, RecordedAnswers, RecordedClassifier, RecordedFacts, RecordedGatherer};

/// Ports that answer as the host answered when `trace` was recorded. A guest
/// or model question that was not asked then is denied, never answered live.
pub fn recorded_ports(live: &Ports, trace: &Trace) -> Ports {
    let calls = Arc::new(recorded::CallBook::new(trace.host_calls.clone()));
    Ports {
        sandbox: Arc::clone(&live.sandbox),
        facts: Arc::new(RecordedFacts::new(trace.host_inputs.clone())),
        answers: Arc::new(RecordedAnswers::new(Arc::clone(&live.answers), Arc::clone(&calls))),
        classifier: Arc::new(RecordedClassifier::new(Arc::clone(&live.classifier), calls)),
        meter: Arc::new(NoMeter),
        circuits: Arc::default(),
        gatherer: Arc::new(RecordedGatherer::new(trace)),
        engine: Arc::clone(&live.engine),
    }
}
