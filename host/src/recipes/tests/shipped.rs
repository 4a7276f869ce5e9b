//! The recipes that a new home gets: they load without a warning, say why they
//! are there, are switched on only where nothing can be hurt, and their grants
//! allow what they need and nothing else.

use std::path::{Path, PathBuf};

use super::*;
use crate::grants;

/// Each with the mode in which it is granted and what its components import.
const SHIPPED: [(&str, Mode, &[&str]); 16] = [
    ("ack-noise", Mode::Disabled, &[]),
    ("cluster-probe", Mode::Automated, &[]),
    ("credit-warning", Mode::Automated, &[]),
    ("faq-responder", Mode::Manual, &[]),
    ("health-check", Mode::Automated, &[]),
    ("log-watch", Mode::Automated, &["context-read"]),
    ("mail-digest", Mode::Automated, &[]),
    ("mail-triage", Mode::Automated, &["journal-read"]),
    ("oom-recovery", Mode::Automated, &[]),
    ("outbound-guard", Mode::Manual, &[]),
    ("peer-id-change", Mode::Automated, &["context-read"]),
    ("queue-backpressure", Mode::Automated, &[]),
    ("repeat-offender", Mode::Disabled, &["journal-read"]),
    ("skill-gate", Mode::Manual, &[]),
    ("stale-peer", Mode::Automated, &["context-read"]),
    ("task-failures", Mode::Automated, &[]),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes-wasm").join(name)
}

fn text(kind: &str, name: &str) -> String {
    std::fs::read_to_string(folder(kind).join(format!("{name}.toml"))).unwrap()
}

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

fn shipped(name: &str) -> Recipe {
    let known =
        Known { prompts: BTreeMap::from([("triage".to_owned(), shipped_kinds())]), ..known() };
    parse(name, &text("toml", name), &known).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_folders_hold_these_and_no_others() {
    for kind in ["toml", "grants"] {
        let mut files: Vec<String> = std::fs::read_dir(folder(kind))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, SHIPPED.map(|(name, ..)| name), "{kind}");
    }
}

#[test]
fn shipped_recipes_load_without_a_warning_and_begin_with_why() {
    for (name, ..) in SHIPPED {
        let recipe = shipped(name);
        assert!(recipe.warnings.is_empty(), "{name}: {:?}", recipe.warnings);
        let why = text("toml", name).lines().take_while(|line| line.starts_with('#')).count();
        assert!(why >= 2, "{name} does not say why it is there");
    }
}

#[test]
fn what_stops_or_answers_is_switched_on_by_the_operator() {
    for (name, granted, _) in SHIPPED {
        let recipe = shipped(name);
        assert_eq!(recipe.mode, Mode::Automated, "{name}: the grant says the rest");
        let grant = grants::parse(name, &text("grants", name)).unwrap();
        assert_eq!(grant.mode, granted, "{name}");
        // mail-triage has always been on, and its reply is a receipt.
        let answers = grant.permissions.operations.answer.is_some()
            || grant.permissions.operations.reply.is_some()
            || recipe.stop;
        assert!(!answers || granted < Mode::Automated || name == "mail-triage", "{name}");
        if granted < Mode::Automated {
            let how = format!("thrall grant allow {name} --mode");
            assert!(text("toml", name).contains(&how), "{name} does not say how to switch it on");
        }
    }
}

#[test]
fn shipped_grants_allow_what_the_recipes_ask_for_and_nothing_else() {
    for (name, _, imports) in SHIPPED {
        let grant = grants::parse(name, &text("grants", name))
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let imports: Vec<String> = imports.iter().map(|import| (*import).to_owned()).collect();
        let needs =
            grants::need::of_recipe(&shipped(name), &imports, &|_, _| grants::ANY.to_owned());
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
