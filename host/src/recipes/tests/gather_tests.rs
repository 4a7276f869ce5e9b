//! What recipes gather, as their files say it.

use super::*;

fn tick(gather: &str, rest: &str) -> String {
    let evaluate = if rest.contains("[evaluate") { "" } else { "[evaluate]\n" };
    format!("{gather}\n[trigger]\ntype = \"on_tick\"\n{evaluate}{rest}")
}

fn seen(recipe: &Recipe) -> Vec<(&str, String)> {
    recipe.gather.iter().map(|one| (one.name.as_str(), one.source.to_string())).collect()
}

#[test]
fn facts_are_gathered_by_name_and_pattern_each_once() {
    let recipe = good(&tick(
        r#"gather = ["peer_count", "status.*", "probe_*", "action_counts", "skill_inventory"]"#,
        "[[evaluate.rules]]\nfield = \"gather.peer_count\"\npattern = \"^[0-1]$\"\n\
         [actions.log]\nmessage = \"{{gather.uptime}} {{envelope.gather.probe_entropy}}\"\n",
    ));
    assert!(recipe.warnings.is_empty(), "{:?}", recipe.warnings);
    let journal = "journal recent 86400 s".to_owned();
    assert_eq!(
        seen(&recipe),
        [
            ("peer_count", "cockpit status".to_owned()),
            ("skill_count", "cockpit status".to_owned()),
            ("uptime", "cockpit status".to_owned()),
            ("node_version", "cockpit status".to_owned()),
            ("probe_entropy", journal.clone()),
            ("probe_unique_peers", journal.clone()),
            ("action_counts", journal),
            ("skill_inventory", "cockpit skills".to_owned()),
        ]
    );
    // One question for all of them: as long as the longest needs.
    let few = good(&tick("gather = [\"recent_actions\"]", ""));
    let many = good(&tick("gather = [\"recent_actions\", \"probe_entropy\"]", ""));
    let limits = |recipe: &Recipe| {
        let limit = |one: &GatherSpec| match &one.source {
            GatherSource::Journal(ask) => ask.limit,
            other => panic!("{other}"),
        };
        recipe.gather.iter().map(limit).collect::<Vec<_>>()
    };
    assert_eq!((limits(&few), limits(&many)), (vec![5], vec![200, 200]));
}

#[test]
fn a_fact_that_is_none_is_refused_with_the_nearest_or_the_reason() {
    for (word, words) in [
        ("peer_cuont", "did you mean \"peer_count\"?"),
        ("peers", "did you mean \"peers.*\"?"),
        ("status.x", "gather knows no fact \"status.x\""),
        ("daily_spend", "cannot be had: this thrall holds no wallet"),
        ("wallet.*", "holds no wallet"),
        ("recent_settlements", "route = \"settlements\""),
        ("knowledge.music", "knowledge packs are not in this version"),
        ("*nothing*", "gather knows no fact"),
        ("", "gather knows no fact \"\""),
    ] {
        let problem = only_problem(&tick(&format!("gather = [{word:?}]"), ""));
        assert!(problem.contains(words), "{word}: {problem}");
        assert!(problem.starts_with("recipes/x.toml:1:11:"), "{problem}");
    }
    let left_out = good(&tick("gather = [\"recent_*\"]", ""));
    assert!(left_out.warnings[0].contains("leaves recent_settlements out"), "{left_out:?}");
    let number = only_problem(&tick("gather = [1]", ""));
    assert!(number.contains("gather is a whole number: expected names of facts"), "{number}");
    let unknown =
        tick("gather = [\"peer_count\"]", "[actions.log]\nmessage = \"{{gather.uptime}}\"\n");
    assert!(only_problem(&unknown).contains("gather.uptime cannot be resolved"));
}

#[test]
fn names_and_tables_stand_in_one_list() {
    let recipe = good(&tick(
        r#"gather = ["peer_count", { name = "why", source = "static", value = "because" }]"#,
        "[actions.log]\nmessage = \"{{gather.why}} {{gather.peer_count}}\"\n",
    ));
    assert_eq!(recipe.gather.len(), 2);
    for again in [
        "{ name = \"peer_count\", source = \"static\", value = 1 }, \"peer_count\"",
        "\"peer_count\", { name = \"peer_count\", source = \"static\", value = 1 }",
    ] {
        let problem = only_problem(&tick(&format!("gather = [{again}]"), ""));
        assert!(problem.contains("two [[gather]] entries are called \"peer_count\""), "{problem}");
    }
}

#[test]
fn every_source_has_its_own_keys() {
    let recipe = good(&tick(
        r#"
        gather = [
          { name = "peers-min", source = "status", pointer = "/limits/min_peers" },
          { name = "status", source = "status" },
          { name = "offers", source = "cockpit", route = "skills", pointer = "/network", max_bytes = 900 },
          { name = "woken", source = "journal", what = "count", action = "summon", since = "7d", recipe = "mail-triage" },
          { name = "last", source = "journal", what = "recent", limit = 3 },
          { name = "mood", source = "context", key = "mood" },
          { name = "oom", source = "flag", key = "oom:count" },
          { name = "list", source = "static", value = [1, "two"] },
          { name = "log", source = "file", path = "/var/log/x" },
        ]
        "#,
        "",
    ));
    assert!(recipe.warnings.is_empty(), "{:?}", recipe.warnings);
    let sources: Vec<String> = seen(&recipe).into_iter().map(|(_, source)| source).collect();
    assert_eq!(
        sources,
        [
            "cockpit status",
            "cockpit status",
            "cockpit skills",
            "journal count 604800 s recipe=mail-triage action=wake",
            "journal recent 86400 s",
            "context mood",
            "flag oom:count",
            "static",
            "file /var/log/x",
        ]
    );
    assert_eq!(recipe.gather[7].source, GatherSource::Static("[1,\"two\"]".to_owned()));
    assert_eq!(recipe.gather[2].max_bytes, 900);
    for (entry, words) in [
        ("source = \"cockpit\"", "[[gather]] lacks route: expected route = one of status, "),
        (
            "source = \"cockpit\", route = \"secrets\"",
            "route is \"secrets\": expected one of status",
        ),
        ("source = \"cockpit\", route = \"statsu\"", "did you mean \"status\"?"),
        (
            "source = \"status\", route = \"peers\"",
            "unknown key \"route\" in [[gather]]: it belongs to source = \"cockpit\"",
        ),
        ("source = \"status\", pointer = \"limits\"", "a JSON pointer such as"),
        ("source = \"status\", pointer = \"/{{envelope.tick}}\"", "a JSON pointer such as"),
        ("source = \"status\", endpoint = \"/api/status\"", "name one of the fixed routes"),
        ("source = \"journal\"", "[[gather]] lacks what"),
        ("source = \"journal\", what = \"last\"", "expected one of count, recent"),
        ("source = \"journal\", what = \"count\", since = \"1w\"", "\"24h\" or \"7d\""),
        ("source = \"journal\", what = \"count\", since = \"31d\"", "at most \"30d\""),
        ("source = \"journal\", what = \"count\", limit = 201", "from 1 to 200"),
        ("source = \"journal\", what = \"count\", recipe = \"../x\"", "[[gather]] recipe is"),
        ("source = \"context\"", "[[gather]] lacks key"),
        ("source = \"context\", key = \"\"", "the name of one key"),
        ("source = \"flag\", key = \"*\"", "the name of one key"),
        ("source = \"flag\", key = \"{{envelope.tick}}\"", "the name of one key"),
        ("source = \"static\"", "[[gather]] lacks value"),
        ("source = \"static\", value = 1, path = \"/x\"", "it belongs to source = \"file\""),
        ("source = \"memory\"", "there is no memory beside the journal"),
        ("source = \"punchhole\"", "another plugin's data is not read"),
        ("source = \"peer\"", "did you mean \"peers\"?"),
    ] {
        let problem = only_problem(&tick(&format!("gather = [{{ name = \"n\", {entry} }}]"), ""));
        assert!(problem.contains(words), "{entry}: {problem}");
    }
}

#[test]
fn what_is_gathered_is_what_has_to_be_granted() {
    use crate::grants::{ContextScope, JournalScope, Need, need};
    let recipe = good(
        "gather = [\"peer_count\", { name = \"a\", source = \"journal\", what = \"count\", recipe = \"y\" }, \
         { name = \"b\", source = \"context\", key = \"k\" }, { name = \"c\", source = \"flag\", key = \"oom:x\" }, \
         { name = \"d\", source = \"static\", value = \"v\" }]\n[trigger]\ntype = \"on_mail\"\n",
    );
    let needs = need::of_recipe(&recipe, &[], &|_, _| "m".to_owned());
    for wanted in [
        Need::Import("cockpit-read".into()),
        Need::CockpitRoute("status".into()),
        Need::Import("journal-read".into()),
        Need::Journal(JournalScope::Sender),
        Need::Import("context-read".into()),
        Need::Context(ContextScope::Session),
        Need::Flag("oom:x".into()),
    ] {
        assert!(needs.contains(&wanted), "{wanted:?} in {needs:?}");
    }
    let own = good(&tick("gather = [\"journal.*\"]", ""));
    let needs = need::of_recipe(&own, &[], &|_, _| "m".to_owned());
    assert_eq!(
        needs.iter().filter(|need| matches!(need, Need::Journal(JournalScope::Own))).count(),
        4
    );
}
