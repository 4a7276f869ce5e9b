//! What a guest was told, as fields. Shared by the three echo guests.

use thrall_sdk::{Envelope, Field, Situation};

pub(crate) fn told(envelope: &Envelope, situation: &Situation) -> Vec<Field> {
    let mut told = vec![
        Field::new("id", envelope.id.as_str()),
        Field::new("trigger", envelope.trigger.as_str()),
        Field::new("source", envelope.source.as_str()),
        Field::new("now", situation.now.to_string()),
        Field::new("seed", situation.seed.to_string()),
        Field::new("tier", situation.tier.word()),
        Field::new("config", situation.config.as_str()),
    ];
    let groups = [
        ("envelope", &envelope.fields),
        ("context", &situation.context),
        ("gathered", &situation.gathered),
    ];
    for (group, fields) in groups {
        told.extend(
            fields
                .iter()
                .map(|field| Field::new(format!("{group}.{}", field.name), field.value.as_str())),
        );
    }
    told
}

/// The same in one line.
pub(crate) fn in_a_line(fields: &[Field]) -> String {
    let parts: Vec<String> =
        fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect();
    parts.join("; ")
}
