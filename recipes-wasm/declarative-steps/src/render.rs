//! Filling a step's templates from the event, the verdict and the rest.

use serde_json::{Map, Value};
use thrall_sdk::template::{Root, Template};
use thrall_sdk::{Envelope, Field, Scope, Verdict};

/// A mail may be 64 KiB, which is also all that an operation may be; what is
/// cut here would otherwise make the host refuse the whole wake.
const MOST_DATA_BYTES: usize = 32 * 1024;

/// Fields of a mail that the agent needs to answer. `body_json` is the same
/// text in a rawer form.
const MAIL_FIELDS: [&str; 4] = ["body_text", "msg_type", "session_id", "from_node"];

pub(crate) struct Render<'a> {
    /// The action's name, which is also the name of its wake template.
    pub(crate) action: &'a str,
    pub(crate) envelope: &'a Envelope,
    pub(crate) verdict: &'a Verdict,
    pub(crate) scope: Scope<'a>,
}

impl Render<'_> {
    pub(crate) fn text(&self, key: &str, template: &str) -> Result<String, String> {
        self.scope.render(template).map_err(|error| ["`", key, "`: ", &error.to_string()].concat())
    }

    pub(crate) fn optional(&self, key: &str, text: Option<&str>) -> Result<Option<String>, String> {
        text.map(|text| self.text(key, text)).transpose()
    }

    /// A key that must be there and not come out empty.
    pub(crate) fn needed(&self, key: &str, template: Option<&str>) -> Result<String, String> {
        let Some(template) = template else { return Err(["`", key, "` is missing"].concat()) };
        let text = self.text(key, template)?;
        if text.is_empty() {
            return Err(["`", key, "` is empty for this event"].concat());
        }
        Ok(text)
    }

    pub(crate) fn text_or_reason(&self, key: &str, text: Option<&str>) -> Result<String, String> {
        Ok(self.optional(key, text)?.unwrap_or_else(|| self.verdict.reason.clone()))
    }

    /// A JSON value with the templates in its strings filled. What is inserted
    /// stays inside its string.
    pub(crate) fn json(&self, key: &str, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(key, text)?),
            Value::Array(items) => Value::Array(
                items.iter().map(|item| self.json(key, item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(entries) => {
                let mut filled = Map::new();
                for (name, value) in entries {
                    filled.insert(name.clone(), self.json(name, value)?);
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    /// The body of a plain mail, as nodes write it.
    pub(crate) fn text_message(&self, text: &str) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), Value::String("text".into()));
        body.insert("content".into(), Value::String(text.into()));
        Value::Object(body)
    }

    /// A recipient may come from what the host stamped, never from what a
    /// sender wrote. Earlier recipes write `{{from_node}}` without a root.
    pub(crate) fn recipient(&self, to_node: Option<&str>) -> Result<String, String> {
        let template = to_node.unwrap_or("{{envelope.from_node}}");
        let template = Template::parse_with_bare_names(template)
            .map_err(|error| ["`to_node`: ", &error.to_string()].concat())?;
        for place in template.placeholders() {
            let stamped = matches!(place.name, "from_node" | "to_node");
            if place.root != Root::Envelope || !stamped {
                return Err("`to_node` may only hold {{envelope.from_node}} or \
                            {{envelope.to_node}}: a message must not choose who gets mail"
                    .into());
            }
        }
        let node = template.render(|place| self.scope.value(place.root, place.name));
        if node.is_empty() { Err("the event names no one to mail to".into()) } else { Ok(node) }
    }

    /// What an agent is told of the event, apart from the task. The host marks
    /// it as untrusted.
    pub(crate) fn wake_data(&self) -> Vec<Field> {
        let is_mail = self.envelope.trigger == "on_mail";
        let mut room = MOST_DATA_BYTES;
        let mut data = Vec::new();
        for field in &self.envelope.fields {
            let wanted = if is_mail {
                MAIL_FIELDS.contains(&field.name.as_str())
            } else {
                field.name != "body_json"
            };
            if wanted {
                push_cut(&mut data, &mut room, field.name.clone(), &field.value);
            }
        }
        push_cut(&mut data, &mut room, "verdict.action".into(), &self.verdict.action);
        push_cut(&mut data, &mut room, "verdict.reason".into(), &self.verdict.reason);
        for field in &self.verdict.fields {
            push_cut(&mut data, &mut room, ["verdict.", &field.name].concat(), &field.value);
        }
        data
    }
}

/// Adds a field as long as there is room, and says so when it had to be cut.
fn push_cut(data: &mut Vec<Field>, room: &mut usize, name: String, value: &str) {
    if value.len() <= *room {
        *room -= value.len();
        data.push(Field::new(name, value));
        return;
    }
    let mut end = *room;
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let kept = value.get(..end).unwrap_or_default();
    let total = value.len().to_string();
    data.push(Field::new(name, [kept, "... [cut, ", &total, " bytes in all]"].concat()));
    *room = 0;
}
