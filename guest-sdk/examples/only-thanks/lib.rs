//! A filter without imports: mail that only says thanks is dropped.

use thrall_sdk::{Decision, Envelope, Filter, Situation, Verdict};

const THANKS: [&str; 5] = ["thanks", "thank you", "got it", "ok", "danke"];

pub struct OnlyThanks;

impl Filter for OnlyThanks {
    fn decide(envelope: &Envelope, _: &Situation) -> Result<Decision, String> {
        // An absent field is no error: this recipe then has no opinion.
        let Some(body) = envelope.field("body_text") else { return Ok(Decision::Pass) };
        let words = body.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if THANKS.contains(&words.as_str()) {
            return Ok(Decision::Decide(Verdict::new("drop", "says nothing but thanks")));
        }
        Ok(Decision::Pass)
    }
}

thrall_sdk::export_filter!(OnlyThanks);

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;

    use super::*;

    fn decide(body: &str) -> Decision {
        let fields = vec![Field::new("body_text", body)];
        let envelope = Envelope { fields, ..Envelope::default() };
        OnlyThanks::decide(&envelope, &Situation::default()).unwrap()
    }

    #[test]
    fn thanks_are_dropped_and_a_question_passes() {
        assert!(matches!(decide("Thank you!"), Decision::Decide(_)));
        assert_eq!(decide("thanks, but it is still down"), Decision::Pass);
    }
}
