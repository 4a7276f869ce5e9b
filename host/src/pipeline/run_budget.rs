//! What one run may still ask: host calls and tokens. Set aside before a
//! question, settled by what it really cost. Pure.

use crate::stage::{HostAnswer, HostError, HostRequest};

/// Characters to a token, when it is not known yet. Models differ; what was
/// really used is settled afterwards, so a run can pass its bound by no more
/// than the error of its last estimate.
const CHARS_PER_TOKEN: usize = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct RunBudget {
    calls_allowed: u32,
    calls: u32,
    tokens_allowed: u32,
    tokens: u32,
    tokens_reserved: u32,
}

/// Tokens that are set aside for one question.
#[derive(Debug)]
#[must_use = "what is reserved is settled or given back"]
pub(super) struct Reserved {
    tokens: u32,
}

impl RunBudget {
    pub(super) fn new(calls_allowed: u32, tokens_allowed: u32) -> Self {
        Self { calls_allowed, calls: 0, tokens_allowed, tokens: 0, tokens_reserved: 0 }
    }

    /// Sets aside what the question will probably cost.
    ///
    /// # Errors
    /// The budget that is used up, as the grant writes it.
    pub(super) fn reserve(&mut self, request: &HostRequest) -> Result<Reserved, String> {
        if self.calls >= self.calls_allowed {
            return Err(format!("host_calls_per_run = {}", self.calls_allowed));
        }
        let tokens = estimate(request);
        let spoken_for = self.tokens.saturating_add(self.tokens_reserved);
        let is_free = tokens == 0;
        if !is_free && spoken_for.saturating_add(tokens) > self.tokens_allowed {
            return Err(format!("model_tokens_per_run = {}", self.tokens_allowed));
        }
        self.calls += 1;
        self.tokens_reserved = self.tokens_reserved.saturating_add(tokens);
        Ok(Reserved { tokens })
    }

    /// Undoes a reservation for a question that was not put. The call stays
    /// counted: asking in a circle is no way around the bound.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation ends here")]
    pub(super) fn give_back(&mut self, reserved: Reserved) {
        self.tokens_reserved = self.tokens_reserved.saturating_sub(reserved.tokens);
    }

    /// Settles a reservation by what the answer cost.
    pub(super) fn commit(&mut self, reserved: Reserved, answer: &Result<HostAnswer, HostError>) {
        self.give_back(reserved);
        let used = match answer {
            Ok(
                HostAnswer::Classification { tokens, .. } | HostAnswer::Completion { tokens, .. },
            ) => *tokens,
            _ => 0,
        };
        self.tokens = self.tokens.saturating_add(used);
    }

    pub(super) fn tokens_used(&self) -> u32 {
        self.tokens
    }
}

fn estimate(request: &HostRequest) -> u32 {
    let of_text = |text: &str| {
        let tokens = text.chars().count().div_ceil(CHARS_PER_TOKEN);
        // Also an empty text costs what stands around it.
        u32::try_from(tokens).unwrap_or(u32::MAX).max(1)
    };
    match request {
        HostRequest::ModelClassify { text, .. } | HostRequest::ModelEmbed { text } => of_text(text),
        HostRequest::ModelComplete { text, max_tokens, .. } => {
            of_text(text).saturating_add(*max_tokens)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classify(text: &str) -> HostRequest {
        HostRequest::ModelClassify {
            prompt: "p".to_owned(),
            label_set: "p".to_owned(),
            text: text.to_owned(),
        }
    }

    fn cost(tokens: u32) -> Result<HostAnswer, HostError> {
        Ok(HostAnswer::Completion { text: String::new(), tokens })
    }

    #[test]
    fn what_was_really_used_counts_and_a_refusal_names_the_line() {
        let mut budget = RunBudget::new(64, 10);
        let reserved = budget.reserve(&classify("123456789")).unwrap();
        assert_eq!(
            budget.reserve(&classify(&"x".repeat(30))).unwrap_err(),
            "model_tokens_per_run = 10"
        );
        budget.commit(reserved, &cost(9));
        assert_eq!(budget.tokens_used(), 9);
        assert!(budget.reserve(&classify("123456")).is_err(), "two more than one that is left");
        assert!(budget.reserve(&classify("12")).is_ok());
    }

    #[test]
    fn calls_are_counted_whether_they_cost_tokens_or_not() {
        let mut budget = RunBudget::new(2, 0);
        let flag = HostRequest::ContextFlag { key: "k".to_owned() };
        let first = budget.reserve(&flag).unwrap();
        budget.give_back(first);
        assert!(budget.reserve(&flag).is_ok());
        assert_eq!(budget.reserve(&flag).unwrap_err(), "host_calls_per_run = 2");
    }

    proptest! {
        /// However answers turn out, what is reserved and used never passes the
        /// bound by more than what the last answers cost beyond their estimate.
        #[test]
        fn the_bound_holds(texts in proptest::collection::vec((0usize..60, 0u32..40), 0..30)) {
            let mut budget = RunBudget::new(1000, 50);
            for (length, used) in texts {
                let before = budget.tokens_used();
                if let Ok(reserved) = budget.reserve(&classify(&"x".repeat(length))) {
                    budget.commit(reserved, &cost(used));
                    prop_assert!(before <= 50);
                }
            }
        }
    }
}
