//! The field conditions of a recipe's `[filter]` table, for people who write
//! no code:
//!
//! ```toml
//! [filter]
//! require = [{ field = "msg_type", pattern = "^(text|offer)$" }]
//! reject = [{ field = "body_text", pattern = "unsubscribe" }]
//! inject = { greeting = "from a {{filter.tier}} sender" }
//! ```
//!
//! All of `require` must match, none of `reject`; then `inject` is added for
//! the later stages. The table's other keys (tier, cooldown, rates, cache) are
//! the host's work and passed over here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use declarative_patterns::{Pattern, Texts};
use serde::Deserialize;
use thrall_sdk::{Decision, Envelope, Field, Filter, Scope, Situation, config};

/// The component's only export.
#[derive(Debug)]
pub struct DeclarativeFilter;

#[derive(Deserialize)]
struct Table<'a> {
    #[serde(borrow, default)]
    require: Vec<Condition<'a>>,
    #[serde(borrow, default)]
    reject: Vec<Condition<'a>>,
    #[serde(borrow, default)]
    inject: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow)]
    pattern: Cow<'a, str>,
}

impl Filter for DeclarativeFilter {
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String> {
        let table: Table = config::stage(situation)?;
        let scope = Scope::new(envelope, situation);
        let mut texts = Texts::new(|field: &str| scope.field(field));
        for condition in &table.require {
            if !texts.matches(&condition.field, &condition.compile()?) {
                return Ok(Decision::Skip(condition.reason(" does not match ")));
            }
        }
        for condition in &table.reject {
            if texts.matches(&condition.field, &condition.compile()?) {
                return Ok(Decision::Skip(condition.reason(" matches ")));
            }
        }
        inject(&table, &scope)
    }
}

thrall_sdk::export_filter!(DeclarativeFilter);

fn inject(table: &Table, scope: &Scope) -> Result<Decision, String> {
    if table.inject.is_empty() {
        return Ok(Decision::Pass);
    }
    let mut fields = Vec::with_capacity(table.inject.len());
    for (name, template) in &table.inject {
        let value = scope
            .render(template)
            .map_err(|error| ["inject.", name, ": ", &error.to_string()].concat())?;
        fields.push(Field::new(name.as_ref(), value));
    }
    Ok(Decision::Inject(fields))
}

impl Condition<'_> {
    fn compile(&self) -> Result<Pattern, String> {
        Pattern::parse(&self.pattern).map_err(|error| {
            ["pattern `", &self.pattern, "` for `", &self.field, "`: ", &error.to_string()].concat()
        })
    }

    fn reason(&self, relation: &str) -> String {
        ["`", &self.field, "`", relation, "`", &self.pattern, "`"].concat()
    }
}

#[cfg(test)]
mod tests {
    use thrall_sdk::Tier;

    use super::*;

    fn decide(stage: &str, fields: &[(&str, &str)]) -> Result<Decision, String> {
        let envelope = Envelope {
            fields: fields.iter().map(|(name, value)| Field::new(*name, *value)).collect(),
            ..Envelope::default()
        };
        let situation = Situation {
            tier: Tier::Known,
            config: format!("{{\"stage\": {stage}, \"config\": {{}}}}"),
            ..Situation::default()
        };
        DeclarativeFilter::decide(&envelope, &situation)
    }

    fn skip(reason: &str) -> Result<Decision, String> {
        Ok(Decision::Skip(reason.into()))
    }

    #[test]
    fn a_table_without_conditions_lets_everything_pass() {
        let stage = r#"{"trust_bypass": true, "cooldown_seconds": 300}"#;
        assert_eq!(decide(stage, &[]), Ok(Decision::Pass));
    }

    #[test]
    fn all_of_require_must_match() {
        let stage = r#"{"require": [{"field": "msg_type", "pattern": "^(text|offer)$"},
                                    {"field": "body_text", "pattern": "\\S"}]}"#;
        assert_eq!(decide(stage, &[("msg_type", "TEXT"), ("body_text", "hi")]), Ok(Decision::Pass));
        assert_eq!(
            decide(stage, &[("msg_type", "bid"), ("body_text", "hi")]),
            skip("`msg_type` does not match `^(text|offer)$`")
        );
        assert_eq!(
            decide(stage, &[("msg_type", "text")]),
            skip("`body_text` does not match `\\S`"),
            "an absent field matches nothing"
        );
    }

    #[test]
    fn any_of_reject_is_enough() {
        let stage = r#"{"reject": [{"field": "body_text", "pattern": "lottery"},
                                   {"field": "filter.tier", "pattern": "known"}]}"#;
        assert_eq!(
            decide(stage, &[("body_text", "you won the LOTTERY")]),
            skip("`body_text` matches `lottery`")
        );
        assert_eq!(decide(stage, &[]), skip("`filter.tier` matches `known`"));
    }

    #[test]
    fn injected_templates_are_filled_but_a_message_stays_text() {
        let stage = r#"{"inject": {"note": "{{filter.tier}}: {{envelope.body_text}}"}}"#;
        assert_eq!(
            decide(stage, &[("body_text", "{{filter.tier}}")]),
            Ok(Decision::Inject(vec![Field::new("note", "known: {{filter.tier}}")]))
        );
    }

    #[test]
    fn mistakes_in_the_table_are_explained() {
        let broken = decide(r#"{"require": [{"field": "x", "pattern": "("}]}"#, &[("x", "y")]);
        assert_eq!(broken.unwrap_err(), "pattern `(` for `x`: character 2: `(` without `)`");
        let broken = decide(r#"{"inject": {"a": "{{envlope.x}}"}}"#, &[]);
        assert!(broken.unwrap_err().ends_with("did you mean `envelope`?"));
        let broken = decide(r#"{"require": [{"field": "x"}]}"#, &[]);
        assert!(broken.unwrap_err().contains("missing field `pattern`"));
    }
}
