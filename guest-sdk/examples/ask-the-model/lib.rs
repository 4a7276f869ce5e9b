//! A hotwire that asks the model, and what to do with each way in which it may
//! not answer.

use thrall_sdk::{Envelope, HostError, Hotwire, Situation, Verdict, log, model};

pub struct AskTheModel;

impl Hotwire for AskTheModel {
    fn evaluate(envelope: &Envelope, _: &Situation) -> Result<Option<Verdict>, String> {
        let Some(body) = envelope.field("body_text") else { return Ok(None) };
        // A prompt's kinds are its label set, under the prompt's own name. What
        // a sender wrote goes into `text` and nowhere else.
        let answer = match model::classify("triage", "triage", body) {
            Ok(answer) => answer,
            Err(HostError::Denied(line)) => {
                log::error(&format!("ask the operator for: {line}"));
                return Ok(None);
            }
            Err(HostError::Budget(_) | HostError::Unavailable(_)) => return Ok(None),
            Err(error) => return Err(error.message()),
        };
        if answer.abstained {
            return Ok(None); // too unsure: the next evaluator, then the fallback
        }
        let action = match answer.best.as_str() {
            "spam" | "injection attempt" => "drop",
            "bug report" | "problem" => "wake",
            _ => return Ok(None),
        };
        let score = answer.scores.iter().find(|score| score.label == answer.best);
        let mut verdict = Verdict::new(action, format!("the model says {}", answer.best));
        verdict.confidence = score.map(|score| score.probability);
        Ok(Some(verdict))
    }
}

thrall_sdk::export_hotwire!(AskTheModel);

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;
    use thrall_sdk::fake_host::FakeHost;

    use super::*;

    fn evaluate(host: FakeHost) -> Result<Option<Verdict>, String> {
        let _host = host.install();
        let fields = vec![Field::new("body_text", "it does not start")];
        let envelope = Envelope { fields, ..Envelope::default() };
        AskTheModel::evaluate(&envelope, &Situation::default())
    }

    #[test]
    fn a_kind_becomes_an_action_with_its_probability() {
        let verdict = evaluate(FakeHost::new().classification("bug report", 0.9)).unwrap().unwrap();
        assert_eq!((verdict.action.as_str(), verdict.confidence), ("wake", Some(0.9)));
        assert_eq!(evaluate(FakeHost::new().classification("news", 0.9)), Ok(None));
    }

    #[test]
    fn without_an_answer_the_next_evaluator_decides() {
        for error in [HostError::Budget("model_calls_per_day".into()), HostError::Unavailable(9)] {
            assert_eq!(evaluate(FakeHost::new().refuse("model", error)), Ok(None));
        }
    }
}
