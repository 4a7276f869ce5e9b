use super::*;

fn render(text: &str) -> String {
    Template::parse(text).unwrap().render(|place| match (place.root, place.name) {
        (Root::Envelope, "body_text") => Some("say {{filter.tier}}".into()),
        (Root::Filter, "tier") => Some("known".into()),
        (Root::Gather, "node.status") => Some("up".into()),
        (Root::Verdict, "reason") => Some("spam".into()),
        _ => None,
    })
}

fn error(text: &str) -> String {
    Template::parse(text).unwrap_err().to_string()
}

#[test]
fn values_stand_where_their_placeholders_stood() {
    assert_eq!(render("a {{filter.tier}} b {{ verdict.reason }}!"), "a known b spam!");
    assert_eq!(render("no placeholder, but { and } and }}"), "no placeholder, but { and } and }}");
    assert_eq!(render(""), "");
}

#[test]
fn inserted_text_is_never_expanded_again() {
    assert_eq!(render("{{envelope.body_text}}"), "say {{filter.tier}}");
    assert!(error("{{{{filter.tier}}").contains("is no placeholder"));
}

#[test]
fn an_absent_value_is_empty() {
    assert_eq!(render("[{{context.nothing}}]"), "[]");
}

#[test]
fn older_names_mean_the_same() {
    assert_eq!(render("{{eval.reason}}"), "spam");
    assert_eq!(render("{{envelope.gather.node.status}}"), "up");
}

#[test]
fn placeholders_are_listed_in_order() {
    let template = Template::parse("{{envelope.a}} {{gather.b.c}}").unwrap();
    let places: Vec<_> = template.placeholders().map(|p| (p.root, p.name)).collect();
    assert_eq!(places, [(Root::Envelope, "a"), (Root::Gather, "b.c")]);
}

#[test]
fn an_unknown_root_is_named_with_its_place_and_the_nearest_word() {
    assert_eq!(
        error("first\nthen {{envelop.body_text}}"),
        "line 2, column 6: nothing is called `envelop`; did you mean `envelope`?"
    );
    assert!(error("{{wallet.balance}}").contains("begins with envelope, filter"));
}

#[test]
fn malformed_placeholders_are_refused() {
    assert_eq!(error("über {{envelope.x"), "line 1, column 6: `{{` without `}}`");
    assert_eq!(
        error("{{envelope}}"),
        "line 1, column 1: `{{envelope}}` lacks a name; write {{envelope.name}}"
    );
    for text in [
        "{{}}",
        "{{ }}",
        "{{.x}}",
        "{{envelope.}}",
        "{{envelope..x}}",
        "{{a b.c}}",
        "{{{filter.tier}}}",
    ] {
        assert!(error(text).contains("is no placeholder"), "{text}: {}", error(text));
    }
}

#[test]
fn bare_names_are_fields_only_where_allowed() {
    assert!(Template::parse("{{from_node}}").is_err());
    let template = Template::parse_with_bare_names("probe:{{from_node}}:{{filter.tier}}").unwrap();
    let places: Vec<_> = template.placeholders().map(|p| (p.root, p.name)).collect();
    assert_eq!(places, [(Root::Envelope, "from_node"), (Root::Filter, "tier")]);
    assert!(Template::parse_with_bare_names("{{wallet.balance}}").is_err());
}
