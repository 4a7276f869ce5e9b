//! Labelled messages, one JSON object a line. Pure.
//!
//! `text`, `body_text` or `body` is the message, `label` the right action.
//! `attack` says whether it tries to steer its reader; where that is not said, a
//! `goal` says so too. `carrier_label` is the right action of the message that an
//! attack was put into. `tier` is the sender's, unknown by default.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::envelope::body;
use crate::envelope::sender::Tier;
use crate::ids::nearest;

/// A message and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) text: String,
    pub(super) label: Option<String>,
    pub(super) is_attack: bool,
    pub(super) carrier_label: Option<String>,
    pub(super) tier: Tier,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "body_text", alias = "body")]
    text: Value,
    label: Option<String>,
    attack: Option<bool>,
    goal: Option<Value>,
    carrier_label: Option<String>,
    tier: Option<String>,
}

/// Reads a file's text.
///
/// # Errors
/// Names file and line of what is no labelled message.
pub(super) fn parse(name: &str, text: &str) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        samples.push(sample(line).with_context(|| format!("{name}, line {}", index + 1))?);
    }
    ensure!(!samples.is_empty(), "{name} holds no message: one JSON object a line is expected");
    Ok(samples)
}

fn sample(line: &str) -> anyhow::Result<Sample> {
    let line: Line = serde_json::from_str(line)
        .context("a message is an object like {\"text\": \"...\", \"label\": \"drop\"}")?;
    Ok(Sample {
        text: body::body_text(&line.text),
        label: line.label,
        is_attack: line.attack.unwrap_or(line.goal.is_some()),
        carrier_label: line.carrier_label,
        tier: tier(line.tier.as_deref().unwrap_or(Tier::Unknown.as_str()))?,
    })
}

fn tier(word: &str) -> anyhow::Result<Tier> {
    let all = [Tier::Team, Tier::Known, Tier::Unknown, Tier::Blocked];
    let Some(tier) = all.into_iter().find(|tier| tier.as_str() == word) else {
        let near = nearest(word, all.iter().map(|tier| tier.as_str()));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        bail!("{word:?} is no tier{hint}");
    };
    Ok(tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_shapes_are_read_and_a_wrong_line_is_named() {
        let text = "{\"text\":\"a\",\"label\":\"drop\"}\n\n{\"body\":{\"content\":\"b\"},\"goal\":\"flip\",\"carrier_label\":\"drop\"}\n{\"body_text\":\"c\",\"attack\":false,\"goal\":\"x\",\"tier\":\"known\"}\n";
        let samples = parse("f", text).unwrap();
        let found: Vec<_> =
            samples.iter().map(|s| (s.text.as_str(), s.is_attack, s.tier.as_str())).collect();
        let expected = [("a", false, "unknown"), ("b", true, "unknown"), ("c", false, "known")];
        assert_eq!(found, expected);
        assert_eq!(samples[1].carrier_label.as_deref(), Some("drop"));
        for (text, says) in [
            ("{\"text\":\"a\"}\n{\"label\":\"drop\"}", "f, line 2"),
            ("{\"text\":\"a\",\"tier\":\"knwn\"}", "did you mean known?"),
            ("\n", "no message"),
        ] {
            let error = format!("{:#}", parse("f", text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
