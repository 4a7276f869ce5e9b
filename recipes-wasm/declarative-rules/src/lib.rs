//! The rules of a recipe's `[evaluate]` table, or of one `[[hotwires]]` entry,
//! for people who write no code:
//!
//! ```toml
//! [evaluate]
//! type = "hotwire"
//! default_action = "log"
//!
//! [[evaluate.rules]]
//! field = "peer_count"
//! pattern = "^[0-1]$"
//! action = "compile"
//! ```
//!
//! The first rule whose pattern matches its field wins, or whose field has more
//! bytes than `longer_than` says. A rule with an empty pattern never does, nor
//! does one whose field is absent. Without a match the default action applies;
//! without a default the next evaluator decides.

use std::borrow::Cow;

use declarative_patterns::{Pattern, Texts};
use serde::Deserialize;
use thrall_sdk::{Envelope, Hotwire, Scope, Situation, Verdict, config};

/// The component's only export.
#[derive(Debug)]
pub struct DeclarativeRules;

#[derive(Deserialize)]
struct Table<'a> {
    #[serde(borrow, default)]
    rules: Vec<Rule<'a>>,
    #[serde(borrow, default)]
    default_action: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow, default)]
    pattern: Cow<'a, str>,
    longer_than: Option<usize>,
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

/// The reason where no rule applies: nothing went wrong.
const DEFAULT: &str = "default action";

impl Hotwire for DeclarativeRules {
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String> {
        let table: Table = config::stage(situation)?;
        let scope = Scope::new(envelope, situation);
        let mut texts = Texts::new(|field: &str| scope.field(field));
        // Patterns are compiled as they are reached: the first match ends it.
        for rule in &table.rules {
            let is_match = match rule.longer_than {
                Some(bytes) => scope.field(&rule.field).is_some_and(|text| text.len() > bytes),
                None if rule.pattern.is_empty() => false,
                None => texts.matches(&rule.field, &rule.compile()?),
            };
            if is_match {
                return Ok(Some(rule.verdict()));
            }
        }
        Ok(table.default_action.map(|action| Verdict::new(action, DEFAULT)))
    }
}

thrall_sdk::export_hotwire!(DeclarativeRules);

impl Rule<'_> {
    fn compile(&self) -> Result<Pattern, String> {
        Pattern::parse(&self.pattern).map_err(|error| {
            ["pattern `", &self.pattern, "` for `", &self.field, "`: ", &error.to_string()].concat()
        })
    }

    fn verdict(&self) -> Verdict {
        // A rule without an action only takes note, as it always has.
        let action = self.action.as_deref().unwrap_or("log");
        let reason = match (&self.reason, self.longer_than) {
            (Some(reason), _) => reason.clone().into_owned(),
            (None, Some(bytes)) => {
                ["`", &self.field, "` has more than ", &bytes.to_string(), " bytes"].concat()
            }
            (None, None) => ["`", &self.field, "` matches `", &self.pattern, "`"].concat(),
        };
        Verdict::new(action, reason)
    }
}

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;

    use super::*;

    const PEERS: &str = r#"{"type": "hotwire", "default_action": "log",
        "rules": [{"field": "peer_count", "pattern": "^[0-1]$", "action": "compile"}]}"#;

    fn evaluate(stage: &str, fields: &[(&str, &str)]) -> Result<Option<Verdict>, String> {
        let envelope = Envelope {
            fields: fields.iter().map(|(name, value)| Field::new(*name, *value)).collect(),
            ..Envelope::default()
        };
        let situation = Situation {
            config: format!("{{\"config\": {{}}, \"stage\": {stage}}}"),
            ..Situation::default()
        };
        DeclarativeRules::evaluate(&envelope, &situation)
    }

    #[test]
    fn the_first_matching_rule_wins_and_says_why() {
        assert_eq!(
            evaluate(PEERS, &[("peer_count", "1")]),
            Ok(Some(Verdict::new("compile", "`peer_count` matches `^[0-1]$`")))
        );
        let stage = r#"{"rules": [
            {"field": "body_text", "pattern": "", "action": "drop"},
            {"field": "subject", "pattern": ".*", "action": "drop"},
            {"field": "body_text", "pattern": "авария|outage", "action": "wake", "reason": "an outage"},
            {"field": "body_text", "pattern": "out", "action": "log"}]}"#;
        let wake = Ok(Some(Verdict::new("wake", "an outage")));
        assert_eq!(evaluate(stage, &[("body_text", "OUTAGE in Oslo")]), wake);
        assert_eq!(evaluate(stage, &[("body_text", "АВАРИЯ!")]), wake);
    }

    #[test]
    fn without_a_match_the_default_applies_or_the_next_evaluator() {
        assert_eq!(
            evaluate(PEERS, &[("peer_count", "12")]),
            Ok(Some(Verdict::new("log", DEFAULT)))
        );
        assert_eq!(evaluate(r#"{"rules": []}"#, &[]), Ok(None));
        assert_eq!(
            evaluate(r#"{"default_action": "act"}"#, &[]),
            Ok(Some(Verdict::new("act", DEFAULT)))
        );
    }

    #[test]
    fn a_long_field_matches_by_its_bytes() {
        let stage = r#"{"rules": [{"field": "input_json", "longer_than": 4, "action": "block"}]}"#;
        let block = Verdict::new("block", "`input_json` has more than 4 bytes");
        assert_eq!(evaluate(stage, &[("input_json", "ééé")]), Ok(Some(block)));
        assert_eq!(evaluate(stage, &[("input_json", "éé")]), Ok(None));
        assert_eq!(evaluate(stage, &[]), Ok(None), "an absent field is not long");
    }

    #[test]
    fn a_broken_pattern_is_named_with_its_field() {
        let stage = r#"{"rules": [{"field": "a", "pattern": "x**", "action": "log"}]}"#;
        let error = evaluate(stage, &[]).unwrap_err();
        assert!(error.starts_with("pattern `x**` for `a`: character 3"), "{error}");
    }
}
