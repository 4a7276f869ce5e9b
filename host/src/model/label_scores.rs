//! From logits to calibrated probabilities of labels. Pure arithmetic on token
//! ids and rows of logits; running the model is `embedded_llama`'s.
//!
//! Nothing is generated. Right after the cue, the row of logits says how likely
//! each label's first token is; only labels that share their first token need
//! their remaining tokens scored as well. A small model prefers some words
//! whatever the message, so from each label's log-probability its mean over
//! content-free messages is subtracted before the softmax.

/// Messages that say nothing: what the model answers to them is its bias.
pub const CONTENT_FREE: [&str; 5] = [
    "",
    "N/A",
    "...",
    "[MASK]",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
];

/// How each label of a set is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorePlan {
    labels: Vec<LabelTokens>,
}

/// One label as the model's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTokens {
    /// Read from the row after the cue.
    pub first: i32,
    /// Needed only to tell it from labels with the same first token.
    pub rest: Vec<i32>,
}

impl ScorePlan {
    /// A plan for labels given as tokens, in the label set's order. `None` if a
    /// label has no token, or two labels have the same ones.
    pub fn new(tokens: &[Vec<i32>]) -> Option<Self> {
        let mut labels = Vec::with_capacity(tokens.len());
        for (at, label) in tokens.iter().enumerate() {
            let (first, rest) = label.split_first()?;
            let others = tokens.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, o)| o);
            let twins: Vec<&Vec<i32>> = others.filter(|o| o.first() == Some(first)).collect();
            if twins.contains(&label) {
                return None;
            }
            let rest = if twins.is_empty() { Vec::new() } else { rest.to_vec() };
            labels.push(LabelTokens { first: *first, rest });
        }
        Some(Self { labels })
    }

    pub fn labels(&self) -> &[LabelTokens] {
        &self.labels
    }

    /// Log-probability of each label's first token after the cue.
    pub fn first_scores(&self, row: &[f32]) -> Vec<f32> {
        let norm = log_sum_exp(row);
        self.labels.iter().map(|l| logit(row, l.first) - norm).collect()
    }
}

/// Log-probability of one token in a row of logits.
pub fn log_probability(row: &[f32], token: i32) -> f32 {
    logit(row, token) - log_sum_exp(row)
}

/// Mean of each label's log-probability over several inputs.
pub fn baseline(scores: &[Vec<f32>]) -> Vec<f32> {
    let labels = scores.first().map_or(0, Vec::len);
    let mean = |label: usize| {
        let column = scores.iter().filter_map(|row| row.get(label));
        column.sum::<f32>() / scores.len() as f32
    };
    (0..labels).map(mean).collect()
}

/// Probabilities after subtracting the baseline; they sum to 1. A score that is
/// not a number counts as impossible.
pub fn probabilities(scores: &[f32], baseline: &[f32]) -> Vec<f32> {
    let calibrated: Vec<f32> = scores
        .iter()
        .zip(baseline)
        .map(|(score, base)| score - base)
        .map(|score| if score.is_nan() { f32::NEG_INFINITY } else { score })
        .collect();
    let norm = log_sum_exp(&calibrated);
    if norm.is_finite() {
        return calibrated.iter().map(|score| (score - norm).exp()).collect();
    }
    vec![1.0 / calibrated.len().max(1) as f32; calibrated.len()]
}

fn logit(row: &[f32], token: i32) -> f32 {
    let value = usize::try_from(token).ok().and_then(|at| row.get(at)).copied();
    value.unwrap_or(f32::NEG_INFINITY)
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !max.is_finite() {
        return max;
    }
    max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_labels_that_share_a_first_token_are_read_further() {
        let plan = ScorePlan::new(&[vec![1, 2], vec![3], vec![1, 4, 5]]).unwrap();
        let rest: Vec<&[i32]> = plan.labels().iter().map(|l| l.rest.as_slice()).collect();
        assert_eq!(rest, [&[2][..], &[], &[4, 5]]);
    }

    #[test]
    fn labels_that_a_model_cannot_tell_apart_make_no_plan() {
        assert_eq!(ScorePlan::new(&[vec![1, 2], vec![1, 2]]), None);
        assert_eq!(ScorePlan::new(&[vec![1], vec![]]), None);
    }

    #[test]
    fn calibration_takes_away_what_the_model_says_to_nothing() {
        let plain = probabilities(&[-1.0, -2.0], &[0.0, 0.0]);
        assert!(plain[0] > plain[1]);
        let base = baseline(&[vec![-0.5, -2.5], vec![-0.5, -3.5]]);
        assert_eq!(base, [-0.5, -3.0]);
        let calibrated = probabilities(&[-1.0, -2.0], &base);
        assert!(calibrated[1] > calibrated[0]);
    }

    #[test]
    fn broken_rows_give_no_certainty() {
        assert_eq!(probabilities(&[f32::NAN, f32::NAN], &[0.0, 0.0]), [0.5, 0.5]);
        assert_eq!(probabilities(&[f32::NAN, 0.0], &[0.0, 0.0]), [0.0, 1.0]);
        assert_eq!(log_probability(&[0.0, 0.0], 7), f32::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(scores in prop::collection::vec(-50f32..50.0, 2..32)) {
            let zero = vec![0.0; scores.len()];
            let sum: f32 = probabilities(&scores, &zero).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-4);
        }
    }
}
