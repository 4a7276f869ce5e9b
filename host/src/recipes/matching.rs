//! Which events a trigger matches, whoever made them, and what a recipe sees of
//! one. Pure. A field that is absent matches nothing, not even a pattern that
//! matches the empty text.
//!
//! The groups of an on_log pattern are the one thing that two recipes see
//! differently in the same event: each sees those of its own pattern, made anew
//! from the line whenever it looks. Stored is the event without them.

use std::borrow::Cow;

use super::{FieldPattern, LogTrigger, TriggerSpec};
use crate::envelope::{Envelope, Field, log_line};

/// What all groups of a line may hold together; they may lie in one another.
const MAX_GROUP_BYTES: usize = 32 * 1024;
/// Of a value, in a reason.
const MAX_SHOWN_CHARS: usize = 80;

/// Whether a recipe with this trigger wants to see the event.
pub fn matches(spec: &TriggerSpec, envelope: &Envelope) -> bool {
    spec.kind == envelope.trigger
        && has_type(&spec.msg_types, envelope)
        && spec.event_pattern.as_deref().is_none_or(|glob| named(glob, envelope))
        && spec.log.as_ref().is_none_or(|log| takes_line(log, envelope))
        && spec.subscribe.as_ref().is_none_or(|names| subscribed(names, envelope))
        && spec
            .field_match
            .as_ref()
            .is_none_or(|wanted| field_matches(wanted, &seen_by(spec, envelope)))
        && spec.interval_s.is_none_or(|interval| begins_interval(interval, envelope))
}

/// Why a recipe with this trigger does not see the event, for a person; `None` if it
/// does. Which tick begins an interval is not asked: a rehearsal has no clock.
pub fn mismatch(spec: &TriggerSpec, envelope: &Envelope) -> Option<String> {
    let found = |name: &str| match envelope.field(name) {
        Some(value) => format!("{name} is {:?}", shown(value)),
        None => format!("{name} is absent"),
    };
    if spec.kind != envelope.trigger {
        return Some(format!("the trigger is {}, it waits for {}", envelope.trigger, spec.kind));
    }
    if !has_type(&spec.msg_types, envelope) {
        return Some(format!("{}, it takes {}", found("msg_type"), spec.msg_types.join(", ")));
    }
    if let Some(glob) = spec.event_pattern.as_deref().filter(|glob| !named(glob, envelope)) {
        return Some(format!("{}, its event_pattern is {glob:?}", found("event_name")));
    }
    if let Some(log) = spec.log.as_ref().filter(|log| !takes_line(log, envelope)) {
        return Some(if envelope.field(log_line::SOURCE_FILE) == Some(log.path.as_str()) {
            format!("{}, its pattern does not match", found(log_line::LINE))
        } else {
            format!("{}, it watches {:?}", found(log_line::SOURCE_FILE), log.path)
        });
    }
    if let Some(names) = spec.subscribe.as_ref().filter(|names| !subscribed(names, envelope)) {
        let name = found("event_name");
        return Some(format!("{name}, it subscribes to {:?}", names.as_str()));
    }
    let wanted = spec.field_match.as_ref()?;
    let seen = seen_by(spec, envelope);
    (!field_matches(wanted, &seen)).then(|| {
        let value = seen
            .field(&wanted.field)
            .map_or_else(|| "is absent".to_owned(), |value| format!("is {:?}", shown(value)));
        format!("{} {value}, match_pattern is {:?}", wanted.field, wanted.pattern.as_str())
    })
}

/// As much of a value as a sentence needs.
fn shown(value: &str) -> String {
    value.chars().take(MAX_SHOWN_CHARS).collect()
}

/// Whether a tick is the first one of an interval. Intervals are counted from
/// 1970, so that a restart neither repeats nor delays one.
fn begins_interval(interval_s: u64, envelope: &Envelope) -> bool {
    let at = envelope.received_at.0 / 1000;
    let since: u64 = envelope.text("elapsed_s").parse().unwrap_or(0);
    let number = |second: u64| second.checked_div(interval_s).unwrap_or(0);
    number(at) > number(at.saturating_sub(since))
}

fn takes_line(log: &LogTrigger, envelope: &Envelope) -> bool {
    envelope.field(log_line::SOURCE_FILE) == Some(log.path.as_str())
        && envelope.field(log_line::LINE).is_some_and(|line| log.takes(line))
}

fn subscribed(names: &regex::Regex, envelope: &Envelope) -> bool {
    envelope.field("event_name").is_some_and(|name| names.is_match(name))
}

/// The event as a recipe with this trigger sees it: with the groups of its own
/// pattern as `group_1` and so on, and by their names. A group that took no part
/// is absent, and so is what goes beyond [`MAX_GROUP_BYTES`].
pub fn seen_by<'e>(spec: &TriggerSpec, envelope: &'e Envelope) -> Cow<'e, Envelope> {
    let pattern = spec.log.as_ref().and_then(|log| log.pattern.as_ref());
    let (Some(pattern), Some(line)) = (pattern, envelope.field(log_line::LINE)) else {
        return Cow::Borrowed(envelope);
    };
    if pattern.captures_len() < 2 || envelope.trigger != log_line::TRIGGER {
        return Cow::Borrowed(envelope);
    }
    let groups: Vec<(usize, Option<&str>)> = pattern.capture_names().enumerate().skip(1).collect();
    let mut left = MAX_GROUP_BYTES;
    let mut found = Vec::new();
    if let Some(captures) = pattern.captures(line) {
        for (number, name) in &groups {
            let Some(group) = captures.get(*number) else { continue };
            let names = [Some(format!("group_{number}")), name.map(str::to_owned)];
            for name in names.into_iter().flatten().filter(|_| group.len() <= left) {
                found.push(Field::new(name, group.as_str()));
            }
            left = left.saturating_sub(group.len());
        }
    }
    let is_group = |field: &Field| {
        groups.iter().any(|(number, name)| {
            *name == Some(field.name.as_str()) || field.name == format!("group_{number}")
        })
    };
    let mut fields: Vec<Field> =
        envelope.fields.iter().filter(|field| !is_group(field)).cloned().collect();
    fields.extend(found);
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    Cow::Owned(Envelope { fields, ..envelope.clone() })
}

fn has_type(wanted: &[String], envelope: &Envelope) -> bool {
    wanted.is_empty()
        || envelope.field("msg_type").is_some_and(|found| wanted.iter().any(|one| one == found))
}

fn named(glob: &str, envelope: &Envelope) -> bool {
    envelope.field("event_name").is_some_and(|name| glob_matches(glob, name))
}

fn field_matches(wanted: &FieldPattern, envelope: &Envelope) -> bool {
    envelope.field(&wanted.field).is_some_and(|value| wanted.pattern.is_match(value))
}

/// `*` any text, `?` any character, `[a-z]` and `[!a-z]` one of a set; a `[`
/// that is not closed stands for itself. Case matters. Takes at most the
/// product of both lengths, whatever the pattern.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut in_text) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(in_text) {
        if glob.get(at) == Some(&'*') {
            retry = Some((at + 1, in_text));
            at += 1;
        } else if let Some(next) = one_matches(&glob, at, *letter) {
            at = next;
            in_text += 1;
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            at = after_star;
            in_text = from + 1;
        } else {
            return false;
        }
    }
    glob.iter().skip(at).all(|left| *left == '*')
}

/// The place after the element at `at`, if that element takes the letter.
fn one_matches(glob: &[char], at: usize, letter: char) -> Option<usize> {
    match glob.get(at)? {
        '?' => Some(at + 1),
        '[' => match set_end(glob, at) {
            Some(end) => set_takes(glob.get(at + 1..end)?, letter).then_some(end + 1),
            None => (letter == '[').then_some(at + 1),
        },
        plain => (*plain == letter).then_some(at + 1),
    }
}

/// Where a set's `]` stands. One that comes first belongs to the set.
fn set_end(glob: &[char], at: usize) -> Option<usize> {
    let inside = if glob.get(at + 1) == Some(&'!') { at + 2 } else { at + 1 };
    let close = glob.iter().skip(inside + 1).position(|c| *c == ']')?;
    Some(inside + 1 + close)
}

fn set_takes(set: &[char], letter: char) -> bool {
    let (negated, mut rest) = match set {
        ['!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [low, '-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&letter);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == letter;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::TimestampMs;
    use crate::envelope::Field;

    fn event(trigger: &str, fields: &[(&str, &str)]) -> Envelope {
        Envelope {
            id: "1".to_owned(),
            trigger: trigger.to_owned(),
            source: "test".to_owned(),
            parent: None,
            depth: 0,
            received_at: TimestampMs(0),
            root: None,
            lineage: Vec::new(),
            fields: fields.iter().map(|(name, value)| Field::new(*name, *value)).collect(),
        }
    }

    fn trigger(kind: &str) -> TriggerSpec {
        TriggerSpec {
            kind: kind.to_owned(),
            msg_types: Vec::new(),
            event_pattern: None,
            field_match: None,
            interval_s: None,
            deadline_ms: None,
            log: None,
            subscribe: None,
        }
    }

    fn on_log(pattern: &str) -> TriggerSpec {
        let pattern = (!pattern.is_empty()).then(|| regex::Regex::new(pattern).unwrap());
        let log = LogTrigger { path: "/var/log/a".to_owned(), pattern };
        TriggerSpec { log: Some(log), ..trigger("on_log") }
    }

    fn line(line: &str) -> Envelope {
        let fields = log_line::fields("/var/log/a", line, false);
        Envelope { fields, ..event("on_log", &[]) }
    }

    #[test]
    fn a_line_is_matched_by_its_file_and_its_pattern() {
        assert!(matches(&on_log("ERROR"), &line("an ERROR")));
        assert!(!matches(&on_log("ERROR"), &line("all is well")));
        assert!(matches(&on_log(""), &line("")), "without a pattern every line");
        let other = event("on_log", &[("line", "an ERROR"), ("source_file", "/var/log/b")]);
        assert!(!matches(&on_log("ERROR"), &other));
        assert!(!matches(&on_log(""), &event("on_log", &[("source_file", "/var/log/a")])));
    }

    #[test]
    fn each_recipe_sees_the_groups_of_its_own_pattern() {
        let event = line("pool 7 of db is full");
        let one = on_log(r"pool (?<pool>\d+) of (\w+)( twice)?");
        let seen = seen_by(&one, &event);
        assert_eq!(
            (seen.text("group_1"), seen.text("pool"), seen.text("group_2")),
            ("7", "7", "db")
        );
        assert_eq!(seen.field("group_3"), None, "it took no part");
        assert_eq!(seen.text("line"), "pool 7 of db is full");
        let names: Vec<&str> = seen.fields.iter().map(|field| field.name.as_str()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let other = seen_by(&on_log("is (full)"), &event).into_owned();
        assert_eq!((other.text("group_1"), other.field("pool")), ("full", None));
        let with_field = |pattern: &str| {
            let pattern = regex::Regex::new(pattern).unwrap();
            let field_match = Some(FieldPattern { field: "pool".to_owned(), pattern });
            TriggerSpec { field_match, ..one.clone() }
        };
        assert!(matches(&with_field("7"), &event) && !matches(&with_field("8"), &event));
        assert_eq!(*seen_by(&on_log(""), &event), event);
        assert_eq!(*seen_by(&trigger("on_log"), &event), event);
    }

    #[test]
    fn groups_are_the_hosts_and_bounded() {
        let mut forged = line("pool 7");
        forged.fields.insert(0, Field::new("group_2", "forged"));
        forged.fields.push(Field::new("who", "forged"));
        let seen = seen_by(&on_log("pool (.)(?<who> x)?"), &forged).into_owned();
        assert_eq!(
            (seen.text("group_1"), seen.field("group_2"), seen.field("who")),
            ("7", None, None)
        );
        let nested = format!("{}.*{}", "(".repeat(32), ")".repeat(32));
        let long = line(&"x".repeat(log_line::MAX_LINE_BYTES));
        let seen = seen_by(&on_log(&nested), &long).into_owned();
        let bytes: usize = seen.fields.iter().map(|field| field.value.len()).sum();
        assert!(bytes <= MAX_GROUP_BYTES + 2 * log_line::MAX_LINE_BYTES, "{bytes}");
        assert_eq!(seen.text("group_1").len(), log_line::MAX_LINE_BYTES);
    }

    #[test]
    fn the_bus_is_matched_by_the_events_name() {
        let subscribe = Some(regex::Regex::new(r"^credit\.").unwrap());
        let spec = TriggerSpec { subscribe, ..trigger("on_bus") };
        assert!(matches(&spec, &event("on_bus", &[("event_name", "credit.change")])));
        assert!(!matches(&spec, &event("on_bus", &[("event_name", "task.credit.x")])));
        assert!(!matches(&spec, &event("on_bus", &[])));
        assert!(!matches(&spec, &event("on_event", &[("event_name", "credit.change")])));
    }

    #[test]
    fn a_tick_begins_each_interval_once() {
        let spec = TriggerSpec { interval_s: Some(300), ..trigger("on_tick") };
        let fired: Vec<u64> = (0..30)
            .map(|minute| minute * 60)
            .filter(|second| {
                let tick = event("on_tick", &[("elapsed_s", "60")]);
                matches(&spec, &Envelope { received_at: TimestampMs(second * 1000), ..tick })
            })
            .collect();
        assert_eq!(fired, [300, 600, 900, 1200, 1500]);
        let late = event("on_tick", &[("elapsed_s", "1000")]);
        assert!(matches(&spec, &Envelope { received_at: TimestampMs(1_150_000), ..late }));
    }

    #[test]
    fn a_reason_is_there_exactly_where_nothing_matches() {
        let word = |pattern: &str| regex::Regex::new(pattern).unwrap();
        let field_match =
            |field: &str| Some(FieldPattern { field: field.to_owned(), pattern: word("spam") });
        let specs = [
            TriggerSpec { msg_types: vec!["text".to_owned()], ..trigger("on_mail") },
            TriggerSpec { field_match: field_match("body_text"), ..trigger("on_mail") },
            TriggerSpec { event_pattern: Some("credit.*".to_owned()), ..trigger("on_event") },
            TriggerSpec { subscribe: Some(word("^credit")), ..trigger("on_bus") },
            TriggerSpec { field_match: field_match("what"), ..on_log("is (?<what>.*)") },
            on_log("ERROR"),
        ];
        let events = [
            event("on_mail", &[]),
            event("on_mail", &[("msg_type", "text"), ("body_text", "some spam")]),
            event("on_mail", &[("msg_type", "offer"), ("body_text", "news")]),
            event("on_event", &[("event_name", "credit.change")]),
            event("on_bus", &[("event_name", "credit.change")]),
            event("on_bus", &[("event_name", "peer")]),
            event("on_log", &[("line", "ERROR: this is spam")]),
            line("ERROR: this is spam"),
            line("this is well"),
        ];
        for spec in &specs {
            for event in &events {
                let reason = mismatch(spec, event);
                assert_eq!(reason.is_none(), matches(spec, event), "{spec:?} {event:?} {reason:?}");
            }
        }
        let said = mismatch(&on_log("x"), &event("on_mail", &[])).unwrap();
        assert_eq!(said, "the trigger is on_mail, it waits for on_log");
        let said = mismatch(&specs[0], &events[2]).unwrap();
        assert_eq!(said, "msg_type is \"offer\", it takes text");
    }

    #[test]
    fn mail_is_matched_by_type_exactly() {
        let spec = TriggerSpec { msg_types: vec!["text".to_owned()], ..trigger("on_mail") };
        assert!(matches(&spec, &event("on_mail", &[("msg_type", "text")])));
        assert!(!matches(&spec, &event("on_mail", &[("msg_type", "Text")])));
        assert!(!matches(&spec, &event("on_mail", &[])));
        assert!(!matches(&spec, &event("on_tick", &[("msg_type", "text")])));
        assert!(matches(&trigger("on_mail"), &event("on_mail", &[("msg_type", "offer")])));
    }

    #[test]
    fn an_absent_field_never_matches() {
        let pattern =
            FieldPattern { field: "reason".to_owned(), pattern: regex::Regex::new("").unwrap() };
        let spec = TriggerSpec { field_match: Some(pattern), ..trigger("on_event") };
        assert!(!matches(&spec, &event("on_event", &[])));
        assert!(matches(&spec, &event("on_event", &[("reason", "")])));
        let any = TriggerSpec { event_pattern: Some("*".to_owned()), ..trigger("on_event") };
        assert!(!matches(&any, &event("on_event", &[])));
    }

    #[test]
    fn what_recipes_trigger_is_matched_by_its_name_and_is_no_event_of_a_source() {
        let spec =
            TriggerSpec { event_pattern: Some("follow-*".to_owned()), ..trigger("on_action") };
        assert!(matches(&spec, &event("on_action", &[("event_name", "follow-up")])));
        assert!(!matches(&spec, &event("on_action", &[("event_name", "report")])));
        assert!(!matches(&spec, &event("on_event", &[("event_name", "follow-up")])));
        assert!(matches(&trigger("on_action"), &event("on_action", &[("event_name", "report")])));
    }

    #[test]
    fn globs_read_as_in_a_shell() {
        let cases = [
            ("credit.*", "credit.change", true),
            ("credit.*", "xcredit.change", false),
            ("*.failed", "task.failed", true),
            ("*.failed", "task.failed.again", false),
            ("a*b*c", "a-b-b-c", true),
            ("task.?", "task.a", true),
            ("task.?", "task.", false),
            ("v[0-9]", "v7", true),
            ("v[!0-9]", "v7", false),
            ("v[]x]", "v]", true),
            ("v[", "v[", true),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
            ("Ü*", "Über", true),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(glob_matches(glob, text), expected, "{glob:?} on {text:?}");
        }
    }

    #[test]
    fn a_hostile_name_cannot_stall_a_glob() {
        let glob = "*a".repeat(100) + "b";
        assert!(!glob_matches(&glob, &"a".repeat(20_000)));
    }

    proptest! {
        #[test]
        fn a_text_without_signs_matches_itself(text in "[a-zA-Z.]{0,20}", more in ".{0,10}") {
            prop_assert!(glob_matches(&text, &text));
            let prefix = format!("{text}*");
            let longer = format!("{text}{more}");
            prop_assert!(glob_matches(&prefix, &longer));
        }

        #[test]
        fn any_glob_ends(glob in ".{0,20}", text in ".{0,40}") {
            glob_matches(&glob, &text);
        }
    }
}
