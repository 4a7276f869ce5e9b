//! Running without acting: the same pipeline, with its ports answered from a
//! recorded run instead of the world. Nothing here can write.

pub mod candidate;
pub mod recorded;

use std::sync::Arc;

use crate::journal::Trace;
use crate::pipeline::ports::Ports;
use candidate::{Candidate, CandidateAnswers, CandidateClassifier, CandidateFacts};
use recorded::{NoMeter, RecordedAnswers, RecordedClassifier, RecordedFacts, RecordedGatherer};

/// Ports that answer as the host answered when `trace` was recorded. A guest
/// or model question that was not asked then is denied, never answered live.
pub fn recorded_ports(live: &Ports, trace: &Trace) -> Ports {
    let calls = Arc::new(recorded::CallBook::new(trace.host_calls.clone()));
    Ports {
        sandbox: Arc::clone(&live.sandbox),
        facts: Arc::new(RecordedFacts::new(trace.host_inputs.clone())),
        answers: Arc::new(RecordedAnswers::new(Arc::clone(&live.answers), Arc::clone(&calls))),
        classifier: Arc::new(RecordedClassifier::new(Arc::clone(&live.classifier), calls, trace)),
        meter: Arc::new(NoMeter),
        circuits: Arc::default(),
        gatherer: Arc::new(RecordedGatherer::new(trace)),
        engine: Arc::clone(&live.engine),
    }
}

/// As [`recorded_ports`], with a prompt that was not in use then, or with leave
/// to ask the model what was not asked then. Without a trace the event never
/// arrived: what is not the model's to answer is answered live.
pub fn candidate_ports(live: &Ports, trace: Option<&Trace>, candidate: &Candidate) -> Ports {
    let usual = match trace {
        Some(trace) => recorded_ports(live, trace),
        None => Ports {
            classifier: Arc::new(recorded::NeverAsked(Arc::clone(&live.classifier))),
            ..live.clone()
        },
    };
    Ports {
        facts: Arc::new(CandidateFacts { usual: usual.facts, candidate: candidate.clone() }),
        answers: Arc::new(CandidateAnswers {
            live: Arc::clone(&live.answers),
            usual: usual.answers,
            has_arrived: trace.is_some(),
            candidate: candidate.clone(),
        }),
        classifier: Arc::new(CandidateClassifier {
            live: Arc::clone(&live.classifier),
            recorded: usual.classifier,
            asked_with: trace.and_then(|trace| trace.evaluate.prompt_hash.clone()),
            candidate: candidate.clone(),
        }),
        ..usual
    }
}
