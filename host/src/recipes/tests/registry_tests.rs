//! What is loaded after the folder changed.

use std::sync::Arc;

use super::*;
use crate::clock::TimestampMs;
use crate::envelope::{Envelope, Field};
use crate::grants::{self, Grant};
use crate::ids::Digest;
use crate::recipes::registry::{Candidate, GrantFile, LoadedFile, Registry, State};
use crate::stage::ComponentId;

fn file(name: &str, text: &str) -> LoadedFile {
    let content = parse(name, text, &known())
        .map(|recipe| Candidate { recipe: Arc::new(recipe), components: BTreeMap::new() });
    LoadedFile { name: name.to_owned(), content, grant: granted(name, "mode = \"automated\"") }
}

fn granted(name: &str, text: &str) -> GrantFile {
    match grants::parse(name, text) {
        Ok(grant) => GrantFile::Granted(Arc::new(grant)),
        Err(problems) => GrantFile::Broken(problems),
    }
}

fn recipe(head: &str, action: &str) -> String {
    format!(
        "mode = \"automated\"\n{head}\n[trigger]\ntype = \"on_tick\"\n[evaluate]\ndefault_action = \"{action}\"\n"
    )
}

fn tick() -> Envelope {
    Envelope {
        id: "1".to_owned(),
        trigger: "on_tick".to_owned(),
        source: "tick".to_owned(),
        parent: None,
        depth: 0,
        received_at: TimestampMs(0),
        root: None,
        lineage: Vec::new(),
        fields: vec![Field::new("tick", "1")],
    }
}

fn matching(registry: &Registry) -> Vec<String> {
    registry.matching(&tick()).iter().map(|revision| revision.recipe.name.clone()).collect()
}

#[test]
fn recipes_run_by_priority_and_then_by_name() {
    let files = vec![
        file("c", &recipe("", "log")),
        file("b", &recipe("", "log")),
        file("a", &recipe("priority = -1", "log")),
        file("z", &recipe("priority = 5", "log")),
        file("mail", MAIL_TRIAGE),
    ];
    assert_eq!(matching(&Registry::apply(&Registry::default(), files)), ["z", "b", "c", "a"]);
}

#[test]
fn a_broken_file_never_replaces_a_running_revision() {
    let first = Registry::apply(&Registry::default(), vec![file("x", &recipe("", "log"))]);
    let digest = first.live("x").unwrap().digest;
    let second = Registry::apply(&first, vec![file("x", "nonsense")]);
    assert_eq!(second.live("x").unwrap().digest, digest);
    assert_eq!(second.entry("x").unwrap().state, State::Live(Mode::Automated));
    assert!(second.list()[0].rejected[0].starts_with("recipes/x.toml:1:"), "{:?}", second.list());
    let third = Registry::apply(&second, vec![file("x", &recipe("", "drop"))]);
    assert_ne!(third.live("x").unwrap().digest, digest);
    assert!(third.entry("x").unwrap().rejected.is_empty());
}

#[test]
fn a_broken_file_without_a_past_is_rejected_and_one_that_is_gone_takes_its_recipe_along() {
    let broken = Registry::apply(&Registry::default(), vec![file("x", "nonsense")]);
    assert!(
        matches!(&broken.entry("x").unwrap().state, State::Rejected(problems) if !problems.is_empty())
    );
    assert!(matching(&broken).is_empty());
    let good = Registry::apply(&broken, vec![file("x", &recipe("", "log"))]);
    assert_eq!(matching(&good), ["x"]);
    assert!(Registry::apply(&good, Vec::new()).entry("x").is_none());
}

#[test]
fn the_lower_mode_holds_and_grants_hold_at_once() {
    let load = |previous: &Registry, grant: GrantFile| {
        Registry::apply(previous, vec![LoadedFile { grant, ..file("x", &recipe("", "log")) }])
    };
    let live = load(&Registry::default(), granted("x", "mode = \"supervised\""));
    assert_eq!(live.entry("x").unwrap().state, State::Live(Mode::Supervised));
    let absent = load(&live, GrantFile::Absent);
    let State::Suspended(reason) = &absent.entry("x").unwrap().state else { panic!() };
    assert_eq!(reason, "needs grant: write grants/x.toml");
    assert!(matching(&absent).is_empty());
    let broken = load(&live, granted("x", "mode = 1"));
    let State::Suspended(reason) = &broken.entry("x").unwrap().state else { panic!() };
    assert!(reason.contains("grants/x.toml:1:8"), "{reason}");
    let off = load(&live, granted("x", "mode = \"disabled\""));
    assert_eq!(off.entry("x").unwrap().state, State::Disabled);
    assert_eq!(load(&off, granted("x", "")).entry("x").unwrap().state, State::Live(Mode::Manual));
}

#[test]
fn an_earlier_revision_is_kept_for_what_matched_it_under_the_present_grant() {
    let old = Registry::apply(&Registry::default(), vec![file("x", &recipe("", "log"))]);
    let old_digest = old.live("x").unwrap().digest;
    let narrower =
        LoadedFile { grant: granted("x", "mode = \"manual\""), ..file("x", &recipe("", "drop")) };
    let new = Registry::apply(&old, vec![narrower]);
    let kept = new.revision("x", &old_digest).unwrap();
    assert_eq!(kept.digest, old_digest);
    assert_eq!(kept.effective_mode, Mode::Manual, "the old grant is gone");
    assert!(new.revision("x", &Digest::ZERO).is_none());
    let revoked = LoadedFile { grant: GrantFile::Absent, ..file("x", &recipe("", "drop")) };
    assert!(Registry::apply(&new, vec![revoked]).revision("x", &old_digest).is_none());
    let mut latest = new;
    for round in 0..10 {
        latest = Registry::apply(
            &latest,
            vec![file("x", &recipe(&format!("priority = {round}"), "log"))],
        );
    }
    assert!(latest.revision("x", &old_digest).is_none(), "only the last few are kept");
}

#[test]
fn the_revision_covers_components_but_neither_mode_nor_grant() {
    let revision = |text: &str, component: u8, grant: Grant| {
        let components = BTreeMap::from([(
            ComponentSource::Bundled("declarative-rules".to_owned()),
            ComponentId(Digest([component; 32])),
        )]);
        registry::Revision::new(Arc::new(good(text)), components, Arc::new(grant)).digest
    };
    let plain = recipe("", "log");
    let digest = revision(&plain, 1, Grant::nothing("x"));
    assert_eq!(
        digest,
        revision(
            &plain.replace("automated", "manual"),
            1,
            grants::parse("x", "imports = [\"model\"]").unwrap()
        )
    );
    assert_ne!(digest, revision(&plain, 2, Grant::nothing("x")));
    assert_ne!(digest, revision(&recipe("", "drop"), 1, Grant::nothing("x")));
}
