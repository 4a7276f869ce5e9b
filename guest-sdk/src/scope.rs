//! Finding a value by the name that people write in a recipe's file.

use std::borrow::Cow;

use crate::template::{Root, Template, TemplateError};
use crate::{Envelope, Situation, Verdict};

/// Everything that a name in a recipe's file can mean for one event.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    envelope: &'a Envelope,
    situation: &'a Situation,
    verdict: Option<&'a Verdict>,
}

impl<'a> Scope<'a> {
    /// Before there is a verdict.
    #[must_use]
    pub fn new(envelope: &'a Envelope, situation: &'a Situation) -> Self {
        Self { envelope, situation, verdict: None }
    }

    /// In the action stage.
    #[must_use]
    pub fn with_verdict(mut self, verdict: &'a Verdict) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// What a rule's `field` names: `body_text`, `gather.status`,
    /// `filter.tier`, ... `None` if it is absent.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        match Root::split(name) {
            Some((root, rest)) => self.value(root, rest),
            None => self.envelope.field(name).map(Cow::Borrowed),
        }
    }

    /// What stands at `root.name`; `None` if it is absent.
    ///
    /// Names with a root are looked up in what the host made before the
    /// event's own fields, so that a sender cannot put a value in its place.
    #[must_use]
    pub fn value(&self, root: Root, name: &str) -> Option<Cow<'a, str>> {
        let found = match root {
            Root::Envelope => return self.envelope_value(name),
            Root::Context => self.situation.context(name),
            Root::Gather => self.situation.gathered(name),
            Root::Filter if name == "tier" => Some(self.situation.tier.word()),
            Root::Filter => self.made_by_host("filter.", name),
            Root::Inject => self.made_by_host("inject.", name),
            Root::Result => self.made_by_host("result.", name).or_else(|| self.own_result(name)),
            Root::Verdict => return self.verdict_value(name),
        };
        found.map(Cow::Borrowed)
    }

    /// Parses and renders a template in one go.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn render(&self, text: &str) -> Result<String, TemplateError> {
        Ok(Template::parse(text)?.render(|place| self.value(place.root, place.name)))
    }

    fn envelope_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let envelope = self.envelope;
        if let Some(value) = envelope.field(name) {
            return Some(Cow::Borrowed(value));
        }
        match name {
            "id" => Some(Cow::Borrowed(&envelope.id)),
            "trigger" => Some(Cow::Borrowed(&envelope.trigger)),
            "source" => Some(Cow::Borrowed(&envelope.source)),
            "received_at" => Some(Cow::Owned(envelope.received_at.to_string())),
            _ => None,
        }
    }

    fn verdict_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let verdict = self.verdict?;
        match name {
            "action" => Some(Cow::Borrowed(&verdict.action)),
            "reason" => Some(Cow::Borrowed(&verdict.reason)),
            "confidence" => verdict.confidence.map(|value| Cow::Owned(thousandths(value))),
            _ => verdict.field(name).map(Cow::Borrowed),
        }
    }

    fn made_by_host(&self, prefix: &str, name: &str) -> Option<&'a str> {
        self.situation.gathered(&[prefix, name].concat())
    }

    /// A result that came back as an event of its own carries its parts as
    /// fields, which only the host gives to such an event.
    fn own_result(&self, name: &str) -> Option<&'a str> {
        if self.envelope.trigger != "on_result" {
            return None;
        }
        self.envelope
            .field(&["result.", name].concat())
            .or_else(|| self.envelope.field(name).filter(|_| matches!(name, "status" | "skill")))
    }
}

/// Three decimals, without the formatting code for floats, which would be a
/// third of a small component.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0.0 ..= 1.0 before"
)]
fn thousandths(probability: f32) -> String {
    let value = (probability.clamp(0.0, 1.0) * 1000.0 + 0.5) as u32;
    let digits = (value + 1000).to_string();
    let (_, decimals) = digits.split_at(1);
    [if value < 1000 { "0." } else { "1." }, decimals].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Tier};

    fn envelope() -> Envelope {
        Envelope {
            id: "m-1".into(),
            fields: vec![
                Field::new("body_text", "hello"),
                Field::new("gather.status", "forged"),
                Field::new("inject.approved", "forged"),
                Field::new("filter.decision", "forged"),
                Field::new("result.status", "forged"),
            ],
            ..Envelope::default()
        }
    }

    fn situation() -> Situation {
        Situation {
            tier: Tier::Known,
            context: vec![Field::new("mood", "calm")],
            gathered: vec![Field::new("status", "up"), Field::new("inject.greeting", "hi")],
            ..Situation::default()
        }
    }

    #[test]
    fn a_bare_name_is_a_field_of_the_event_and_a_rooted_one_is_not() {
        let (envelope, situation) = (envelope(), situation());
        let scope = Scope::new(&envelope, &situation);
        assert_eq!(scope.field("body_text").as_deref(), Some("hello"));
        assert_eq!(scope.field("filter.tier").as_deref(), Some("known"));
        assert_eq!(scope.field("context.mood").as_deref(), Some("calm"));
        assert_eq!(scope.field("inject.greeting").as_deref(), Some("hi"));
        assert_eq!(scope.field("absent"), None);
    }

    #[test]
    fn a_sender_cannot_stand_in_for_gathered_data() {
        let (envelope, situation) = (envelope(), situation());
        let scope = Scope::new(&envelope, &situation);
        assert_eq!(scope.field("gather.status").as_deref(), Some("up"));
        let nothing_gathered = Situation::default();
        let bare = Scope::new(&envelope, &nothing_gathered);
        for name in ["gather.status", "inject.approved", "filter.decision", "result.status"] {
            assert_eq!(bare.field(name), None, "{name}");
        }
    }

    #[test]
    fn verdict_values_appear_once_there_is_a_verdict() {
        let (envelope, situation) = (envelope(), situation());
        let mut verdict = Verdict::new("drop", "spam");
        verdict.confidence = Some(0.9123);
        verdict.fields.push(Field::new("kind", "advert"));
        let scope = Scope::new(&envelope, &situation);
        assert_eq!(scope.render("{{verdict.reason}}").unwrap(), "");
        let scope = scope.with_verdict(&verdict);
        let text = "{{eval.reason}} {{verdict.confidence}} {{verdict.kind}} {{envelope.id}}";
        assert_eq!(scope.render(text).unwrap(), "spam 0.912 advert m-1");
    }

    #[test]
    fn probabilities_are_written_with_three_decimals() {
        assert_eq!(thousandths(0.0), "0.000");
        assert_eq!(thousandths(0.0046), "0.005");
        assert_eq!(thousandths(1.0), "1.000");
        assert_eq!(thousandths(f32::NAN), "0.000");
    }
}
