//! Between WIT and domain types. Into the guest: copied as they are. Out of
//! the guest: checked, because an answer is hostile input; a rule that is
//! broken becomes the text of [`GuestFault::BadAnswer`].
//!
//! [`GuestFault::BadAnswer`]: crate::stage::GuestFault::BadAnswer

use std::io::Write;

use crate::envelope::sender::Tier;
use crate::envelope::{self, Envelope, Field};
use crate::operation::{MAX_OPERATION_BYTES, MAX_OPERATIONS, Operation, WakeMode};
use crate::verdict::{FilterAnswer, Situation, Verdict};

use super::bindings::{filter, operations, types};

/// The longest reason, in characters: it is shown in tables and journaled.
pub const MAX_REASON_CHARS: usize = 2000;
/// The longest name of an action, in bytes; the same as of a recipe.
pub const MAX_ACTION_BYTES: usize = 64;

/// The rule that an answer breaks, as a sentence.
type Checked<T> = Result<T, String>;

pub(super) fn to_envelope(envelope: &Envelope) -> types::Envelope {
    types::Envelope {
        id: envelope.id.clone(),
        trigger: envelope.trigger.clone(),
        source: envelope.source.clone(),
        parent: envelope.parent.clone(),
        depth: envelope.depth,
        received_at: envelope.received_at.0,
        fields: to_fields(&envelope.fields),
    }
}

pub(super) fn to_situation(situation: &Situation) -> types::Situation {
    types::Situation {
        now: situation.now.0,
        seed: situation.seed,
        tier: match situation.tier {
            Tier::Team => types::Tier::Team,
            Tier::Known => types::Tier::Known,
            Tier::Unknown => types::Tier::Unknown,
            Tier::Blocked => types::Tier::Blocked,
        },
        context: to_fields(&situation.context),
        gathered: to_fields(&situation.gathered),
        config: situation.config.clone(),
    }
}

pub(super) fn to_verdict(verdict: &Verdict) -> types::Verdict {
    types::Verdict {
        action: verdict.action.clone(),
        reason: verdict.reason.clone(),
        confidence: verdict.confidence,
        fields: to_fields(&verdict.fields),
    }
}

fn to_fields(fields: &[Field]) -> Vec<types::Field> {
    fields
        .iter()
        .map(|field| types::Field { name: field.name.clone(), value: field.value.clone() })
        .collect()
}

pub(super) fn filter_answer(decision: filter::Decision) -> Checked<FilterAnswer> {
    Ok(match decision {
        filter::Decision::Pass => FilterAnswer::Pass,
        filter::Decision::Inject(injected) => {
            FilterAnswer::Inject { fields: fields("inject", injected)? }
        }
        filter::Decision::Decide(decided) => FilterAnswer::Decide { verdict: verdict(decided)? },
        filter::Decision::Skip(reason) => {
            FilterAnswer::Skip { reason: self::reason("skip", reason)? }
        }
    })
}

pub(super) fn hotwire_answer(answer: Option<types::Verdict>) -> Checked<Option<Verdict>> {
    answer.map(verdict).transpose()
}

fn verdict(verdict: types::Verdict) -> Checked<Verdict> {
    let types::Verdict { action, reason, confidence, fields } = verdict;
    if action.is_empty() || action.len() > MAX_ACTION_BYTES {
        return Err(format!(
            "verdict.action has {} bytes; it must have 1 to {MAX_ACTION_BYTES}",
            action.len()
        ));
    }
    if action.chars().any(char::is_control) {
        return Err("verdict.action holds a control character".to_owned());
    }
    if let Some(value) = confidence
        && !(0.0..=1.0).contains(&value)
    {
        return Err(format!("verdict.confidence is {value}; it must lie between 0 and 1"));
    }
    Ok(Verdict {
        action,
        reason: self::reason("verdict", reason)?,
        confidence,
        fields: self::fields("verdict", fields)?,
    })
}

fn reason(of: &str, reason: String) -> Checked<String> {
    let chars = reason.chars().count();
    if chars > MAX_REASON_CHARS {
        return Err(format!(
            "{of}: the reason has {chars} characters; {MAX_REASON_CHARS} are allowed"
        ));
    }
    no_nul(of, &reason)?;
    Ok(reason)
}

/// The bounds are those of an envelope, since that is what fields may become.
fn fields(of: &str, fields: Vec<types::Field>) -> Checked<Vec<Field>> {
    use envelope::limits::{MAX_ENVELOPE_BYTES, MAX_FIELDS, MAX_NAME_BYTES};
    if fields.len() > MAX_FIELDS {
        return Err(format!("{of}: {} fields; {MAX_FIELDS} are allowed", fields.len()));
    }
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find_map(|pair| match pair {
        [first, second] if first == second => Some(*first),
        _ => None,
    }) {
        return Err(format!("{of}: the field {twice:?} occurs twice"));
    }
    let mut bytes = 0_usize;
    for field in &fields {
        if field.name.is_empty() || field.name.len() > MAX_NAME_BYTES {
            return Err(format!(
                "{of}: a field name has {} bytes; it must have 1 to {MAX_NAME_BYTES}",
                field.name.len()
            ));
        }
        if field.name.chars().any(char::is_control) {
            return Err(format!("{of}: the field name {:?} holds a control character", field.name));
        }
        no_nul(of, &field.value)?;
        bytes = bytes.saturating_add(field.name.len()).saturating_add(field.value.len());
    }
    if bytes > MAX_ENVELOPE_BYTES {
        return Err(format!(
            "{of}: the fields have {bytes} bytes; {MAX_ENVELOPE_BYTES} are allowed"
        ));
    }
    Ok(fields.into_iter().map(|field| Field { name: field.name, value: field.value }).collect())
}

/// Text ends up in file names, C strings and terminals, all of which break at
/// a NUL.
fn no_nul(of: &str, text: &str) -> Checked<()> {
    if text.contains('\0') { Err(format!("{of}: a text holds a NUL character")) } else { Ok(()) }
}

pub(super) fn plan(plan: Vec<operations::Operation>) -> Checked<Vec<Operation>> {
    if plan.len() > MAX_OPERATIONS {
        return Err(format!(
            "the plan has {} operations; {MAX_OPERATIONS} are allowed",
            plan.len()
        ));
    }
    plan.into_iter()
        .enumerate()
        .map(|(index, proposed)| {
            let operation = operation(proposed);
            let of = format!("operation {} ({})", index + 1, operation.kind());
            check_operation(&of, operation)
        })
        .collect()
}

fn check_operation(of: &str, operation: Operation) -> Checked<Operation> {
    let mut meter = JsonMeter::default();
    // Writing to a counter fails only where a value has no JSON form.
    serde_json::to_writer(&mut meter, &operation)
        .map_err(|reason| format!("{of} has no JSON form: {reason}"))?;
    if meter.bytes > MAX_OPERATION_BYTES {
        return Err(format!(
            "{of} has {} bytes as JSON; {MAX_OPERATION_BYTES} are allowed",
            meter.bytes
        ));
    }
    if meter.holds_nul() {
        return Err(format!("{of}: a text holds a NUL character"));
    }
    Ok(operation)
}

/// Measures JSON without keeping it, and sees the escape that stands for NUL.
#[derive(Default)]
struct JsonMeter {
    bytes: usize,
    nuls: usize,
    /// How much of `\u0000` the last bytes were.
    matched: usize,
}

impl JsonMeter {
    const NUL: &[u8] = b"\\u0000";

    fn holds_nul(&self) -> bool {
        self.nuls > 0
    }
}

impl Write for JsonMeter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        for byte in bytes {
            // A backslash of the text itself is written as two; the second
            // must not start an escape.
            self.matched = match (self.matched, byte) {
                (0, b'\\') => 1,
                (1, b'u') => 2,
                (n @ 2..=5, b'0') => n + 1,
                _ => 0,
            };
            if self.matched == Self::NUL.len() {
                self.nuls += 1;
                self.matched = 0;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn operation(operation: operations::Operation) -> Operation {
    use operations::Operation as Wit;
    let all = |fields: Vec<types::Field>| {
        fields.into_iter().map(|field| Field { name: field.name, value: field.value }).collect()
    };
    match operation {
        Wit::Log(message) => Operation::Log { message },
        Wit::Drop(reason) => Operation::Drop { reason },
        Wit::Compile(op) => Operation::Compile {
            buffer: op.buffer,
            note: op.note,
            summon_threshold: op.summon_threshold,
            summon_keywords: op.summon_keywords,
        },
        Wit::Wake(op) => Operation::Wake {
            mode: match op.mode {
                operations::WakeMode::Respond => WakeMode::Respond,
                operations::WakeMode::Process => WakeMode::Process,
            },
            template: op.template,
            data: all(op.data),
            capability: op.capability,
            priority: op.priority,
        },
        Wit::Reply(op) => Operation::Reply { body: op.body },
        Wit::Mail(op) => {
            Operation::Mail { to_node: op.to_node, body_json: op.body_json, session: op.session }
        }
        Wit::Skill(op) => Operation::Skill {
            skill: op.skill,
            input_json: op.input_json,
            continue_as: op.continue_as,
        },
        Wit::SetContext(op) => Operation::SetContext {
            session: op.session,
            key: op.key,
            value: op.value,
            expires_in_s: op.expires_in_s,
        },
        Wit::SetFlag(op) => {
            Operation::SetFlag { key: op.key, value: op.value, expires_in_s: op.expires_in_s }
        }
        Wit::TripBreaker(op) => Operation::TripBreaker {
            target: op.target,
            reason: op.reason,
            expires_in_s: op.expires_in_s,
        },
        Wit::Trigger(op) => Operation::Trigger { trigger: op.trigger, fields: all(op.fields) },
        Wit::Answer(op) => Operation::Answer { code: op.code, body: op.body, reason: op.reason },
        Wit::Extension(op) => Operation::Extension { code: op.code, input_json: op.input_json },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit_verdict(action: &str, reason: &str, confidence: Option<f32>) -> types::Verdict {
        types::Verdict {
            action: action.to_owned(),
            reason: reason.to_owned(),
            confidence,
            fields: Vec::new(),
        }
    }

    fn field(name: &str, value: &str) -> types::Field {
        types::Field { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_verdict_within_the_rules_passes() {
        let answer = verdict(wit_verdict("drop", &"ä".repeat(2000), Some(1.0))).unwrap();
        assert_eq!(answer.action, "drop");
    }

    #[test]
    fn each_broken_rule_of_a_verdict_is_named() {
        for (broken, rule) in [
            (wit_verdict("", "", None), "verdict.action has 0 bytes"),
            (wit_verdict(&"a".repeat(65), "", None), "verdict.action has 65 bytes"),
            (wit_verdict("dr\u{1b}op", "", None), "control character"),
            (wit_verdict("drop", &"x".repeat(2001), None), "2001 characters"),
            (wit_verdict("drop", "a\0b", None), "NUL"),
            (wit_verdict("drop", "", Some(f32::NAN)), "verdict.confidence is NaN"),
            (wit_verdict("drop", "", Some(1.5)), "verdict.confidence is 1.5"),
        ] {
            let reason = verdict(broken).unwrap_err();
            assert!(reason.contains(rule), "{reason}");
        }
    }

    #[test]
    fn each_broken_rule_of_fields_is_named() {
        for (broken, rule) in [
            (vec![field("a", "1"), field("b", ""), field("a", "2")], "\"a\" occurs twice"),
            (vec![field("", "1")], "0 bytes"),
            (vec![field("a\n", "1")], "control character"),
            (vec![field("a", "1\0")], "NUL"),
            (vec![field("a", &"x".repeat(65 * 1024))], "65536 are allowed"),
            ((0..65).map(|n| field(&n.to_string(), "")).collect(), "65 fields"),
        ] {
            let reason = fields("inject", broken).unwrap_err();
            assert!(reason.contains(rule), "{reason}");
        }
    }

    #[test]
    fn each_broken_rule_of_a_plan_is_named() {
        let log = |text: &str| operations::Operation::Log(text.to_owned());
        assert_eq!(plan(vec![log("fine"); 32]).unwrap().len(), 32);
        for (broken, rule) in [
            (vec![log("x"); 33], "33 operations; 32 are allowed"),
            (vec![log("x"), log(&"x".repeat(65 * 1024))], "operation 2 (log) has"),
            (vec![log("a\0b")], "operation 1 (log): a text holds a NUL"),
        ] {
            let reason = plan(broken).unwrap_err();
            assert!(reason.contains(rule), "{reason}");
        }
    }

    #[test]
    fn text_that_only_looks_like_an_escaped_nul_passes() {
        plan(vec![operations::Operation::Log("\\u0000 and \\\\u0000".to_owned())]).unwrap();
    }
}
