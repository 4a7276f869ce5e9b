//! Reads one envelope from JSON: the present form and the v2
//! form of the earlier thrall (`from_node`, `body`, `message_type` at the top).
//! Bounds are checked here, so that nothing beyond them goes any further. The
//! host's own stamps (source, time, a missing id) are put on by the caller.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Field, body, limits, log_line};
use crate::ids::nearest;

/// An envelope as its source sent it, checked, not yet stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub id: Option<String>,
    pub trigger: String,
    pub fields: Vec<Field>,
}

/// Why an event is refused. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("envelope is {bytes} bytes, the limit is {limit}: shorten the body or send a reference", limit = limits::MAX_ENVELOPE_BYTES)]
    TooLarge { bytes: usize },
    #[error("not valid UTF-8 at byte {at}: envelopes are UTF-8 JSON")]
    NotUtf8 { at: usize },
    #[error("not valid JSON: {0}")]
    NotJson(String),
    #[error("JSON nests deeper than {limit} levels", limit = limits::MAX_JSON_DEPTH)]
    TooDeep,
    #[error("{0}")]
    Malformed(String),
}

impl Refusal {
    /// A short stable word for counters and machine-readable answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson(_) => "not_json",
            Self::TooDeep => "too_deep",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// The longest JSON text that is parsed at all: escapes can make a legal
/// envelope up to six times longer than its fields.
pub const MAX_JSON_BYTES: usize = limits::MAX_ENVELOPE_BYTES * 6 + 4096;

const KEYS: [&str; 3] = ["id", "trigger", "fields"];
const V2_KEYS: [&str; 7] =
    ["id", "from_node", "to_node", "body", "message_type", "msg_type", "session_id"];

/// Reads one envelope.
///
/// # Errors
/// A [`Refusal`] that names the bound or the key at fault.
pub fn parse(bytes: &[u8]) -> Result<Draft, Refusal> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err(Refusal::TooLarge { bytes: bytes.len() });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| Refusal::NotUtf8 { at: error.valid_up_to() })?;
    if nests_too_deep(text) {
        return Err(Refusal::TooDeep);
    }
    serde_json::from_str::<UniqueKeys>(text)
        .map_err(|error| Refusal::NotJson(error.to_string()))?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| Refusal::NotJson(error.to_string()))?;
    from_value(value)
}

/// Reads any JSON and keeps nothing, but refuses an object with two members of
/// one name: serde_json would silently keep the last, and a filter and a
/// reader further on could each believe in another one.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated member names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<UniqueKeys>()?;
            if let Some(repeated) = seen.replace(name) {
                return Err(serde::de::Error::custom(format!("member {repeated:?} stands twice")));
            }
        }
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UniqueKeys, A::Error> {
        while seq.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }
}

/// Reads one envelope from JSON that was parsed already (HTTP, dry run).
///
/// # Errors
/// As [`parse`].
pub fn from_value(value: Value) -> Result<Draft, Refusal> {
    let Value::Object(object) = value else {
        return Err(Refusal::Malformed("an envelope is a JSON object".to_owned()));
    };
    let is_v2 = !object.contains_key("trigger") && object.contains_key("from_node");
    let draft = if is_v2 { from_v2(&object)? } else { from_current(&object)? };
    check_bounds(&draft)?;
    Ok(draft)
}

fn from_current(object: &Map<String, Value>) -> Result<Draft, Refusal> {
    check_keys(object, &KEYS)?;
    let trigger = match object.get("trigger") {
        Some(Value::String(trigger)) => trigger.clone(),
        Some(_) => return Err(Refusal::Malformed("\"trigger\" must be a string".to_owned())),
        None => {
            return Err(Refusal::Malformed(
                "\"trigger\" is missing, for example \"on_mail\"".to_owned(),
            ));
        }
    };
    let given = match object.get("fields") {
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            return Err(Refusal::Malformed("\"fields\" must be an object of strings".to_owned()));
        }
        None => return Err(Refusal::Malformed("\"fields\" is missing".to_owned())),
    };
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in given {
        if trigger == "on_mail" && name == "body" {
            continue;
        }
        fields.insert(name.clone(), field_value(name, value)?);
    }
    if trigger == "on_mail" {
        complete_mail(&mut fields, given.get("body"));
    } else if trigger == log_line::TRIGGER {
        log_line::complete(&mut fields);
    }
    Ok(Draft { id: optional_id(object)?, trigger, fields: into_fields(fields) })
}

fn from_v2(object: &Map<String, Value>) -> Result<Draft, Refusal> {
    check_keys(object, &V2_KEYS)?;
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for name in ["from_node", "to_node", "session_id"] {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            fields.insert(name.to_owned(), field_value(name, value)?);
        }
    }
    if let Some(value) = object.get("message_type").or_else(|| object.get("msg_type")) {
        fields.insert("msg_type".to_owned(), field_value("message_type", value)?);
    }
    complete_mail(&mut fields, Some(object.get("body").unwrap_or(&Value::Null)));
    Ok(Draft {
        id: optional_id(object)?,
        trigger: "on_mail".to_owned(),
        fields: into_fields(fields),
    })
}

/// Puts in what every mail has: `body_text` and `body_json` from a `body` of
/// any shape, and `text` for an empty type.
fn complete_mail(fields: &mut BTreeMap<String, String>, body_value: Option<&Value>) {
    if let Some(body_value) = body_value {
        fields.entry("body_text".to_owned()).or_insert_with(|| body::body_text(body_value));
        fields.entry("body_json".to_owned()).or_insert_with(|| body_value.to_string());
    } else if let Some(text) = fields.get("body_text") {
        let parsed = body::body_text(&Value::String(text.clone()));
        fields.insert("body_text".to_owned(), parsed);
    }
    let msg_type = fields.entry("msg_type".to_owned()).or_default();
    if msg_type.trim().is_empty() {
        "text".clone_into(msg_type);
    }
}

/// Values are strings; a number or a boolean is written as JSON writes it.
fn field_value(name: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(Refusal::Malformed(format!(
            "field {name:?} must be a string: put nested data in as JSON text"
        ))),
    }
}

fn optional_id(object: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match object.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(Refusal::Malformed("\"id\" must be a string".to_owned())),
    }
}

fn check_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    let Some(unknown) = object.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let hint = nearest(unknown, known.iter().copied()).map_or_else(
        || format!("an envelope has {}", known.join(", ")),
        |word| format!("did you mean {word:?}?"),
    );
    Err(Refusal::Malformed(format!("unknown key {unknown:?}: {hint}")))
}

fn into_fields(fields: BTreeMap<String, String>) -> Vec<Field> {
    fields.into_iter().map(|(name, value)| Field { name, value }).collect()
}

fn check_bounds(draft: &Draft) -> Result<(), Refusal> {
    let bytes = draft.fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    if bytes > limits::MAX_ENVELOPE_BYTES {
        return Err(Refusal::TooLarge { bytes });
    }
    if draft.fields.len() > limits::MAX_FIELDS {
        return Err(Refusal::Malformed(format!(
            "{} fields, the limit is {}",
            draft.fields.len(),
            limits::MAX_FIELDS
        )));
    }
    let id_len = draft.id.as_ref().map_or(0, String::len);
    if id_len > limits::MAX_ID_BYTES {
        return Err(Refusal::Malformed(format!(
            "\"id\" is {id_len} bytes, the limit is {}",
            limits::MAX_ID_BYTES
        )));
    }
    if !is_plain_name(&draft.trigger) {
        return Err(Refusal::Malformed(format!(
            "trigger {:?} is not a name: use letters, digits, `_`",
            draft.trigger
        )));
    }
    match draft.fields.iter().find(|field| !is_plain_name(&field.name)) {
        Some(field) => Err(Refusal::Malformed(format!(
            "field name {:?} is not a name: use letters, digits, `_`, `-`, `.`, at most {} bytes",
            field.name.chars().take(64).collect::<String>(),
            limits::MAX_NAME_BYTES
        ))),
        None => Ok(()),
    }
}

/// Whether a text may name a field or a trigger.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::MAX_NAME_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Counts brackets outside strings. serde_json has a recursion limit of its
/// own (128); this one is lower and gives a refusal with a name.
fn nests_too_deep(text: &str) -> bool {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limits::MAX_JSON_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(draft: &'a Draft, name: &str) -> Option<&'a str> {
        draft.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    #[test]
    fn both_forms_give_the_same_mail() {
        let new = parse(br#"{"trigger":"on_mail","fields":{"from_node":"aa","body":{"content":"hi"},"msg_type":""}}"#).unwrap();
        let old =
            parse(br#"{"from_node":"aa","body":{"content":"hi"},"message_type":"text"}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(text(&new, "body_text"), Some("hi"));
        assert_eq!(text(&new, "msg_type"), Some("text"));
        assert_eq!(text(&new, "session_id"), None);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = parse(br#"{"trigger":"on_mail","feilds":{}}"#).unwrap_err().to_string();
        assert!(error.contains("\"fields\""), "{error}");
    }

    #[test]
    fn bounds_are_refused_with_a_code() {
        let huge =
            format!(r#"{{"trigger":"on_mail","fields":{{"body_text":"{}"}}}}"#, "x".repeat(70_000));
        let deep = format!(
            r#"{{"trigger":"on_mail","fields":{{"body":{}1{}}}}}"#,
            "[".repeat(60),
            "]".repeat(60)
        );
        let cases: [(&[u8], &str); 7] = [
            (br#"{"trigger":"on_mail","fields":{"a":"1","a":"2"}}"#, "not_json"),
            (huge.as_bytes(), "too_large"),
            (b"{\"trigger\":\"on_mail\",\"fields\":{\"body_text\":\"\xff\"}}", "not_utf8"),
            (b"{\"trigger\":", "not_json"),
            (deep.as_bytes(), "too_deep"),
            (br#"{"trigger":"on_mail","fields":{"a":[1]}}"#, "malformed"),
            (br#"{"trigger":"../x","fields":{}}"#, "malformed"),
        ];
        for (bytes, code) in cases {
            assert_eq!(parse(bytes).unwrap_err().code(), code);
        }
    }
}
