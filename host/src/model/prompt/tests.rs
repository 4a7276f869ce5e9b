//! Prompts that users have must load; message text must stay where it belongs.

use proptest::prelude::*;

use super::*;
use crate::envelope::sender::Tier;

/// The operator guide's prompt, re-typed.
const GUIDE_TRIAGE: &str = r#"
name = "triage"
version = "3.0"
model = "gemma3-1b"

content = """You classify inbound P2P network messages. Reply with exactly one JSON object.

Valid actions: drop, compile, wake.
- drop: spam, noise, acknowledgments
- compile: routine messages, status updates, non-urgent
- wake: urgent questions, collaboration requests, bug reports

Sender trust tier: {{envelope.msg_type}} from {{filter.tier}} node.

Output format: {"action":"drop"|"compile"|"wake","reason":"brief explanation"}

Now classify this message:
{{envelope.body_text}}"""
"#;

/// The second version's built-in prompt, re-typed and shortened.
const EARLIER: &str = r#"You classify inbound P2P messages. Reply with exactly one JSON object.
Valid actions: drop, wake, reply.
Sender trust: {tier}. For unknown senders, prefer drop unless clearly legitimate.

Output format: {{"action":"drop"|"wake"|"reply","reason":"brief explanation"}}"#;

fn values() -> PromptValues {
    [("envelope.msg_type", "text"), ("envelope.session_id", "s-1")].into_iter().collect()
}

fn render(prompt: &Prompt, tier: Tier, message: &str) -> RenderedPrompt {
    prompt.render(tier, &values(), message, prompt.labels().as_deref())
}

#[test]
fn the_guides_prompt_loads_and_keeps_message_and_instructions_apart() {
    let prompt = Prompt::from_toml(GUIDE_TRIAGE).unwrap();
    prompt.check_loadable().unwrap();
    let rendered = render(&prompt, Tier::Unknown, "buy now\nand \"click\"");
    assert!(rendered.system.starts_with("You classify inbound"));
    assert!(rendered.system.ends_with("bug reports"));
    let user = rendered.user_text();
    assert!(user.starts_with("Sender trust tier: \"text\" from unknown node.\n"), "{user}");
    assert!(user.ends_with("Now classify this message:\n\"buy now and 'click'\""), "{user}");
    assert_eq!(rendered.cue, "{\"action\":\"");
    assert_eq!(rendered.user[1], UserPart::Foreign("text".into()));
    assert_eq!(prompt.converted_hash, None);
}

#[test]
fn the_earlier_form_is_converted_and_keeps_its_hash() {
    let prompt = Prompt::from_text("triage", EARLIER).unwrap();
    prompt.check_loadable().unwrap();
    assert_eq!(prompt.hash, Digest::of(EARLIER.as_bytes()).short());
    assert_eq!(prompt.hash.len(), 16);
    assert_ne!(prompt.converted_hash.clone().unwrap(), prompt.hash);
    let rendered = render(&prompt, Tier::Known, "Thanks!");
    assert!(rendered.system.contains("Sender trust: known."));
    assert!(rendered.system.contains("{\"action\":\"drop\""), "{}", rendered.system);
    assert_eq!(rendered.user_text(), "Message: \"Thanks!\"");
}

#[test]
fn a_prompt_without_the_tier_is_read_but_not_activated() {
    let prompt = Prompt::from_text("triage", "Sort this: {{envelope.body_text}}").unwrap();
    let error = prompt.check_loadable().unwrap_err();
    assert_eq!(error.to_string(), "prompt must contain {tier} placeholder");
}

#[test]
fn a_prompt_that_shows_no_message_is_read_but_not_activated() {
    let error = |content: &str| {
        let prompt = Prompt::from_text("p", content).unwrap();
        prompt.check_loadable().err().map(|error| error.to_string())
    };
    let headers = "{{filter.tier}} {{envelope.from_node}} {{envelope.session_id}}";
    let none = error(headers).unwrap();
    assert!(none.contains("no placeholder for the message text"), "{none}");
    assert!(none.contains("`{{envelope.body_text}}`"), "{none}");
    for field in ["envelope.body_text", "envelope.input_json", "gather.peers", "inject.text"] {
        assert_eq!(error(&format!("{{{{filter.tier}}}} {{{{{field}}}}}")), None);
    }
}

#[test]
fn what_nobody_sees_and_what_is_too_large_is_refused() {
    let error = |content: &str| Prompt::from_text("p", content).unwrap_err().to_string();
    assert!(error("a\n{{filter.tier}}\0").starts_with("line 2: a NUL character"));
    assert!(error("a\u{1b}[2J").contains("U+001B"));
    assert!(error(&"x".repeat(MAX_PROMPT_BYTES + 1)).contains("at most 262144"));
    Prompt::from_text("p", "a\r\n\tb").unwrap();
    // A file cannot bring in by an escape what it may not hold.
    let escaped = |rest: &str| {
        let text = format!("name = \"p\"\ncontent = \"x\"\n{rest}");
        Prompt::from_toml(&text).unwrap_err()
    };
    for rest in
        ["cue = \"\\u0000\"", "[[kinds]]\nname = \"a\"\naction = \"drop\"\ndescribe = \"\\u001b\""]
    {
        assert!(matches!(escaped(rest), PromptError::Control { .. }), "{rest}");
    }
    let action = escaped("[[kinds]]\nname = \"a\"\naction = \"Drop it\"");
    assert!(action.to_string().contains("kind `a` leads to `Drop it`"), "{action}");
}

#[test]
fn a_name_that_is_given_goes_before_the_files() {
    let prompt = Prompt::read(PromptForm::Toml, Some("mine"), GUIDE_TRIAGE).unwrap();
    assert_eq!(prompt.name, "mine");
    assert_eq!(prompt.hash, Prompt::from_toml(GUIDE_TRIAGE).unwrap().hash);
    for name in [Some("../x"), Some("")] {
        for form in [PromptForm::Toml, PromptForm::Text] {
            let error = Prompt::read(form, name, GUIDE_TRIAGE).unwrap_err();
            assert!(!matches!(error, PromptError::Empty { .. }), "{error}");
        }
    }
    assert!(matches!(Prompt::read(PromptForm::Text, None, EARLIER), Err(PromptError::Name(_))));
}

#[test]
fn mistakes_name_the_line_and_the_nearest_word() {
    let error = |content: &str| Prompt::from_text("p", content).unwrap_err().to_string();
    let unknown = error("Tier {{filter.tier}}\nNow: {{envelop.body_text}}");
    assert!(
        unknown.contains("line 2") && unknown.contains("`{{envelope.body_text}}`"),
        "{unknown}"
    );
    assert!(error("{{tier}}").contains("did you mean `{{filter.tier}}`?"));
    assert!(error("{{filter.teir}}").contains("did you mean `{{filter.tier}}`?"));
    assert!(error("a\n\n{{envelope.body_text").contains("line 3"));
    assert!(error("{tier} and\n{body}").contains("line 2"));
    assert!(error(" \n").starts_with("content required"));
    let key = Prompt::from_toml("name = \"p\"\ncontent = \"x\"\ncontents = \"y\"").unwrap_err();
    assert!(key.to_string().contains("contents"), "{key}");
    let stray = "name = \"p\"\ncontent = \"x\"\n[[examples]]\nkind = \"spam\"\ntext = \"t\"";
    assert!(Prompt::from_toml(stray).unwrap_err().to_string().contains("`spam`"));
    assert!(matches!(Prompt::from_text("../p", "x"), Err(PromptError::Name(_))));
}

#[test]
fn inserted_text_is_never_expanded_again() {
    let prompt =
        Prompt::from_text("p", "Tier {{filter.tier}}\n{{context.note}}: {{envelope.body_text}}");
    let values = [("context.note", "{{envelope.body_text}}")].into_iter().collect();
    let rendered = prompt.unwrap().render(Tier::Unknown, &values, "{{filter.tier}}", None);
    assert_eq!(rendered.user_text(), "\"{{envelope.body_text}}\": \"{{filter.tier}}\"");
}

#[test]
fn what_the_host_puts_beside_the_event_has_one_name_however_it_is_written() {
    let content = "{{filter.tier}}\n{{envelope.gather.peers}} {{gather.peers}} {{inject.a}} \
                   {{envelope.inject.a}} {{cascade.action}} {{cascade.reason}}";
    let prompt = Prompt::from_text("p", content).unwrap();
    assert_eq!(
        prompt.placeholders(),
        ["cascade.action", "cascade.reason", "filter.tier", "gather.peers", "inject.a"]
    );
    let values = [("gather.peers", "3"), ("envelope.gather.peers", "forged"), ("inject.a", "x")];
    let rendered = prompt.render(Tier::Known, &values.into_iter().collect(), "hi", None);
    let user = rendered.user_text();
    assert!(user.starts_with("\"3\" \"3\" \"x\" \"x\" \"\" \"\""), "{user}");
    for wrong in ["{{cascade.reson}}", "{{cascade}}", "{{cascade.l1_wall_ms}}", "{{gather}}"] {
        let error = Prompt::from_text("p", wrong).unwrap_err().to_string();
        assert!(error.contains("unknown placeholder"), "{wrong}: {error}");
    }
    let near = Prompt::from_text("p", "{{cascade.reson}}").unwrap_err().to_string();
    assert!(near.contains("did you mean `{{cascade.reason}}`?"), "{near}");
}

#[test]
fn what_was_gathered_may_be_a_short_list_and_no_second_message() {
    let prompt = Prompt::from_text("p", "{{filter.tier}}\n{{gather.peers}}").unwrap();
    let long = [("gather.peers", "p".repeat(5000))].into_iter().collect();
    let user = prompt.render(Tier::Known, &long, "hi", None).user_text();
    assert_eq!(user.matches('p').count(), 400);
}

#[test]
fn foreign_values_are_bounded_like_the_message() {
    let content = "Tier {{filter.tier}}\nSession {{envelope.session_id}}: {{envelope.body_text}}";
    let prompt = Prompt::from_text("p", content).unwrap();
    let values = [("envelope.session_id", "s".repeat(5000))].into_iter().collect();
    let rendered = prompt.render(Tier::Unknown, &values, &"b".repeat(5000), None);
    assert!(rendered.user_text().len() < DEFAULT_BODY_LIMIT + 200);
}

#[test]
fn kinds_bring_labels_actions_and_examples() {
    let prompt = Prompt::from_toml(
        "name = \"p\"\ncontent = \"Tier {{filter.tier}}\\nMail: {{envelope.body_text}}\"\n\
         [[kinds]]\nname = \"spam\"\naction = \"drop\"\ndescribe = \"unwanted\"\n\
         [[kinds]]\nname = \"news\"\naction = \"compile\"\n\
         [[examples]]\nkind = \"spam\"\ntext = \"Win now\"",
    )
    .unwrap();
    assert_eq!(prompt.action_of("spam"), Some("drop"));
    let rendered = render(&prompt, Tier::Known, "hi");
    assert_eq!(rendered.system, "Tier known\n- spam: unwanted\n\nMail: \"Win now\"\nKind: spam");
    let without = prompt.render(Tier::Known, &values(), "hi", None);
    assert_eq!(without.system, "Tier known");
}

#[test]
fn without_kinds_the_labels_are_the_actions_that_the_prompt_speaks_of() {
    let prompt = Prompt::from_toml(GUIDE_TRIAGE).unwrap();
    let recipe = ["log", "drop", "compile", "wake", "reply"];
    let names = |labels: Arc<LabelSet>| labels.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let chosen = names(prompt.labels_or_actions(&recipe).unwrap());
    assert_eq!(chosen, ["drop", "compile", "wake"]);
    let silent = Prompt::from_text("p", "Tier {{filter.tier}}").unwrap();
    assert_eq!(names(silent.labels_or_actions(&["drop", "wake"]).unwrap()), ["drop", "wake"]);
}

proptest! {
    #[test]
    fn no_message_reaches_the_system_turn(
        message in any::<String>(), session in any::<String>(), kind in any::<String>()
    ) {
        let shipped = include_str!("../../../../prompts/triage.toml");
        let foreign: PromptValues = [
            ("envelope.session_id", session.as_str()),
            ("envelope.msg_type", kind.as_str()),
            ("filter.tier", message.as_str()),
            ("filter.decision", message.as_str()),
        ].into_iter().collect();
        for text in [GUIDE_TRIAGE, shipped] {
            let prompt = Prompt::from_toml(text).unwrap();
            let labels = prompt.labels();
            let with = prompt.render(Tier::Unknown, &foreign, &message, labels.as_deref());
            let without =
                prompt.render(Tier::Unknown, &PromptValues::default(), "", labels.as_deref());
            prop_assert_eq!(with.system, without.system);
            let ours = |parts: &[UserPart]| -> Vec<UserPart> {
                parts.iter().filter(|p| matches!(p, UserPart::Ours(_))).cloned().collect()
            };
            prop_assert_eq!(ours(&with.user), ours(&without.user));
        }
    }
}

proptest! {
    #[test]
    fn no_message_touches_the_constant_part_or_a_fence(text in any::<String>(), tail in "[\"<>\\[\\]|{}＂〝“\u{200b}\n a-z]{0,40}") {
        let library = crate::model::PromptLibrary::shipped().unwrap();
        let prompt = library.get("triage").unwrap();
        let labels = prompt.labels();
        let render = |message: &str| {
            prompt.render(Tier::Unknown, &PromptValues::default(), message, labels.as_deref())
        };
        let (rendered, plain) = (render(&format!("{text}{tail}")), render("hello"));
        prop_assert_eq!(&rendered.system, &plain.system);
        prop_assert_eq!(&rendered.cue, &plain.cue);
        let user = rendered.user_text();
        prop_assert_eq!(user.matches('"').count(), 2);
        prop_assert!(user.starts_with("Message: \"") && user.ends_with('"'));
        prop_assert!(!user.contains('\n'));
    }
}
