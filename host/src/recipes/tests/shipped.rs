//! The recipes that a new home gets: they load without a warning, and their
//! grants allow what they need and nothing else.

use super::*;
use crate::grants;

const SHIPPED: [(&str, &str, &str); 4] = [
    (
        "mail-triage",
        include_str!("../../../../recipes-wasm/toml/mail-triage.toml"),
        include_str!("../../../../recipes-wasm/grants/mail-triage.toml"),
    ),
    (
        "health-check",
        include_str!("../../../../recipes-wasm/toml/health-check.toml"),
        include_str!("../../../../recipes-wasm/grants/health-check.toml"),
    ),
    (
        "log-watch",
        include_str!("../../../../recipes-wasm/toml/log-watch.toml"),
        include_str!("../../../../recipes-wasm/grants/log-watch.toml"),
    ),
    (
        "oom-recovery",
        include_str!("../../../../recipes-wasm/toml/oom-recovery.toml"),
        include_str!("../../../../recipes-wasm/grants/oom-recovery.toml"),
    ),
];

/// The kinds of the shipped prompt, with its own actions.
fn shipped_kinds() -> BTreeMap<String, String> {
    let prompt: toml::Table = include_str!("../../../../prompts/triage.toml").parse().unwrap();
    let text = |kind: &toml::Value, key: &str| kind[key].as_str().unwrap().to_owned();
    prompt["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| (text(kind, "name"), text(kind, "action")))
        .collect()
}

#[test]
fn shipped_recipes_load_without_a_warning() {
    let known =
        Known { prompts: BTreeMap::from([("triage".to_owned(), shipped_kinds())]), ..known() };
    for (name, recipe, _) in SHIPPED {
        let recipe = parse(name, recipe, &known).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert!(recipe.warnings.is_empty(), "{name}: {:?}", recipe.warnings);
    }
}

#[test]
fn shipped_grants_allow_what_the_recipes_ask_for_and_nothing_else() {
    let known =
        Known { prompts: BTreeMap::from([("triage".to_owned(), shipped_kinds())]), ..known() };
    for (name, recipe, grant) in SHIPPED {
        let recipe = parse(name, recipe, &known).unwrap();
        let grant = grants::parse(name, grant).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(grant.mode, recipe.mode, "{name}");
        let imports = match name {
            "mail-triage" => vec!["journal-read".to_owned()],
            "log-watch" => vec!["context-read".to_owned()],
            _ => Vec::new(),
        };
        let needs = grants::need::of_recipe(&recipe, &imports, &|_, _| grants::ANY.to_owned());
        let mut smallest = grants::Permissions::default();
        for need in &needs {
            assert_eq!(grant.allow(need), Ok(()), "{name}: {need:?}");
            smallest.add(need);
        }
        for kind in grants::HOURLY {
            smallest.raise_hourly(kind, grant.per_hour(kind).unwrap_or(0));
        }
        smallest.budget = grant.permissions.budget;
        assert_eq!(grant.permissions, smallest, "{name}");
    }
}
