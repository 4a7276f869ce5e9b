//! What is loaded after the folder changed.

use std::sync::Arc;

use super::*;
use crate::clock::TimestampMs;
use crate::envelope::{Envelope, Field};
use crate::grants::{self, Grant};
use crate::ids::Digest;
use crate::recipes::registry::{Candidate, GrantFile, LoadedFile, Registry, State, Terms};
use crate::stage::ComponentId;
use crate::strict_toml::Problem;

fn candidate(name: &str, text: &str) -> Result<Candidate, Vec<Problem>> {
    parse(name, text, &known()).map(|recipe| {
        let needs = grants::need::of_recipe(&recipe, &[], &|_, model| {
            model.unwrap_or("default").to_owned()
        });
        Candidate {
            recipe: Arc::new(recipe),
            components: BTreeMap::new(),
            needs: needs.into(),
            source: text.into(),
        }
    })
}

fn file(name: &str, text: &str) -> LoadedFile {
    file_under(name, text, "mode = \"automated\"")
}

/// A file under a grant that is bound to it.
fn file_under(name: &str, text: &str, grant: &str) -> LoadedFile {
    let content = candidate(name, text);
    let grant = match &content {
        Ok(candidate) => bound_to(name, candidate, grant),
        Err(_) => granted(name, grant),
    };
    LoadedFile { name: name.to_owned(), content, is_gone: false, grant, restored: Vec::new() }
}

fn binding(candidate: &Candidate) -> Digest {
    grants::binding::digest(&candidate.recipe.canonical, &[])
}

fn bound_to(name: &str, candidate: &Candidate, grant: &str) -> GrantFile {
    granted(name, &format!("recipe = \"sha256:{}\"\n{grant}", binding(candidate)))
}

fn apply(previous: &Registry, files: Vec<LoadedFile>) -> Registry {
    Registry::apply(previous, files, &Terms::default())
}

fn granted(name: &str, text: &str) -> GrantFile {
    match grants::parse(name, text) {
        Ok(grant) => GrantFile::Granted(Arc::new(grant), TimestampMs(1000)),
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
    assert_eq!(matching(&apply(&Registry::default(), files)), ["z", "b", "c", "a"]);
}

/// The file `text` under a grant that is bound to `granted_text`.
fn file_of_granted(name: &str, text: &str, granted_text: &str, grant: &str) -> LoadedFile {
    let bound = candidate(name, granted_text).unwrap();
    LoadedFile {
        name: name.to_owned(),
        content: candidate(name, text),
        is_gone: false,
        grant: bound_to(name, &bound, grant),
        restored: Vec::new(),
    }
}

const LOGS: &str =
    "mode = \"automated\"\n[trigger]\ntype = \"on_tick\"\n[evaluate]\ndefault_action = \"log\"\n";

fn drops() -> String {
    recipe("", "drop")
}

fn wakes() -> String {
    format!("{}[actions.wake]\n", recipe("", "wake"))
}

#[test]
fn a_broken_file_never_replaces_a_running_revision() {
    let first = apply(&Registry::default(), vec![file("x", LOGS)]);
    let digest = first.live("x").unwrap().digest;
    let broken = file_of_granted("x", "nonsense", LOGS, "mode = \"automated\"");
    let second = apply(&first, vec![broken]);
    assert_eq!(second.live("x").unwrap().digest, digest);
    assert_eq!(second.entry("x").unwrap().state, State::Live(Mode::Automated));
    assert!(second.list()[0].rejected[0].starts_with("recipes/x.toml:1:"), "{:?}", second.list());
    let third = apply(&second, vec![file("x", &drops())]);
    assert_ne!(third.live("x").unwrap().digest, digest);
    assert!(third.entry("x").unwrap().rejected.is_empty());
}

#[test]
fn a_broken_file_without_a_past_is_rejected_and_one_that_is_gone_takes_its_recipe_along() {
    let broken = apply(&Registry::default(), vec![file("x", "nonsense")]);
    assert!(
        matches!(&broken.entry("x").unwrap().state, State::Rejected(problems) if !problems.is_empty())
    );
    assert!(matching(&broken).is_empty());
    let good = apply(&broken, vec![file("x", LOGS)]);
    assert_eq!(matching(&good), ["x"]);
    assert!(apply(&good, Vec::new()).entry("x").is_none());
}

/// Unlike one that is broken, which its last good revision goes on for.
#[test]
fn a_guard_that_is_gone_runs_no_longer_and_lets_nothing_out() {
    let text = "[trigger]\ntype = \"on_mail_send\"\n[evaluate]\ndefault_action = \"pass\"\n";
    let grant = "mode = \"automated\"\n[operations]\nanswer = { codes = [\"pass\"] }\n";
    let question = Envelope { trigger: "on_mail_send".to_owned(), ..Envelope::blank() };
    let live = apply(&Registry::default(), vec![file_under("gate", text, grant)]);
    assert_eq!(live.silent_guard(&question), None);
    let gone = LoadedFile {
        content: Err(vec![Problem::in_file("recipes/gate.toml", "it is gone")]),
        is_gone: true,
        ..file_under("gate", text, grant)
    };
    let after = apply(&live, vec![gone]);
    assert!(matches!(after.entry("gate").unwrap().state, State::Rejected(_)));
    assert!(after.live("gate").is_none());
    assert_eq!(after.silent_guard(&question).unwrap(), "gate may answer this, and is rejected");
    let mail = Envelope { trigger: "on_mail".to_owned(), ..Envelope::blank() };
    assert!(after.matching(&mail).is_empty());
}

#[test]
fn the_lower_mode_holds_and_grants_hold_at_once() {
    let load =
        |previous: &Registry, grant: &str| apply(previous, vec![file_under("x", LOGS, grant)]);
    let live = load(&Registry::default(), "mode = \"supervised\"");
    assert_eq!(live.entry("x").unwrap().state, State::Live(Mode::Supervised));
    let absent = apply(&live, vec![LoadedFile { grant: GrantFile::Absent, ..file("x", LOGS) }]);
    let State::Suspended(reason) = &absent.entry("x").unwrap().state else { panic!() };
    assert_eq!(reason, "needs grant: thrall grant allow x");
    assert!(matching(&absent).is_empty());
    let broken = load(&live, "mode = 1");
    let State::Suspended(reason) = &broken.entry("x").unwrap().state else { panic!() };
    assert!(reason.contains("grants/x.toml:2:8"), "{reason}");
    let off = load(&live, "mode = \"disabled\"");
    assert_eq!(off.entry("x").unwrap().state, State::Disabled);
    assert_eq!(load(&off, "").entry("x").unwrap().state, State::Live(Mode::Manual));
    let capped = Terms { ceiling: Mode::Supervised, ..Terms::default() };
    let capped = Registry::apply(&live, vec![file("x", LOGS)], &capped);
    assert_eq!(capped.entry("x").unwrap().state, State::Live(Mode::Supervised));
}

#[test]
fn a_grant_that_names_no_revision_lets_nothing_run() {
    let unbound = LoadedFile { grant: granted("x", "mode = \"automated\""), ..file("x", LOGS) };
    let registry = apply(&Registry::default(), vec![unbound]);
    let State::Suspended(reason) = &registry.entry("x").unwrap().state else { panic!() };
    assert!(reason.contains("thrall grant allow x"), "{reason}");
}

#[test]
fn an_edit_inside_the_grant_is_followed_and_one_that_widens_waits_beside_the_granted_one() {
    let granted_one = apply(&Registry::default(), vec![file("x", LOGS)]);
    let granted_digest = granted_one.live("x").unwrap().digest;
    let inside = file_of_granted("x", &drops(), LOGS, "mode = \"automated\"");
    let followed = apply(&granted_one, vec![inside]);
    let followed_digest = followed.live("x").unwrap().digest;
    assert_ne!(followed_digest, granted_digest);

    let wider = file_of_granted("x", &wakes(), LOGS, "mode = \"automated\"");
    let waiting = apply(&followed, vec![wider.clone()]);
    assert_eq!(waiting.live("x").unwrap().digest, followed_digest, "the running one goes on");
    let why = waiting.entry("x").unwrap().waiting.clone().unwrap();
    assert_eq!(why.state, "suspended");
    assert!(
        why.reason.contains("wake = { per_hour = 1 }  # grants/x.toml, [operations]"),
        "{why:?}"
    );
    assert!(waiting.list()[0].waiting.is_some());

    // After a restart there is nothing in memory; what was live comes back.
    let restored =
        vec![(candidate("x", LOGS).unwrap(), Arc::clone(&granted_one.live("x").unwrap().grant))];
    let restarted = apply(&Registry::default(), vec![LoadedFile { restored, ..wider.clone() }]);
    assert_eq!(restarted.live("x").unwrap().digest, granted_digest);
    assert!(apply(&Registry::default(), vec![wider]).live("x").is_none(), "nothing to go back to");

    let allowed =
        file_under("x", &wakes(), "mode = \"automated\"\n[operations]\nwake = { per_hour = 1 }");
    assert!(apply(&waiting, vec![allowed]).entry("x").unwrap().waiting.is_none());
}

#[test]
fn what_decides_about_other_recipes_is_never_followed() {
    let first = apply(&Registry::default(), vec![file("x", LOGS)]);
    for head in ["stop = true", "priority = 1"] {
        let edited = file_of_granted("x", &recipe(head, "log"), LOGS, "mode = \"automated\"");
        let after = apply(&first, vec![edited]);
        assert_eq!(after.live("x").unwrap().digest, first.live("x").unwrap().digest, "{head}");
    }
    let exact = file_of_granted("x", &drops(), LOGS, "mode = \"automated\"\nfollow = \"exact\"");
    assert!(apply(&first, vec![exact]).entry("x").unwrap().waiting.is_some());
}

#[test]
fn other_events_than_were_granted_are_never_followed() {
    let mail = LOGS.replace("on_tick", "on_mail");
    let first = apply(&Registry::default(), vec![file("x", LOGS)]);
    let edited = file_of_granted("x", &mail, LOGS, "mode = \"automated\"");
    let after = apply(&first, vec![edited]);
    let why = after.entry("x").unwrap().waiting.clone().unwrap().reason;
    assert!(why.contains("from on_tick to on_mail"), "{why}");

    let stops = |pattern: &str| {
        format!(
            "stop = true\n{}",
            mail.replace(
                "type = \"on_mail\"",
                &format!(
                    "type = \"on_mail\"\nmatch_field = \"body_text\"\nmatch_pattern = \"{pattern}\""
                )
            )
        )
    };
    let narrow = apply(&Registry::default(), vec![file("x", &stops("^only this$"))]);
    let wide = file_of_granted("x", &stops("."), &stops("^only this$"), "mode = \"automated\"");
    let why = apply(&narrow, vec![wide]).entry("x").unwrap().waiting.clone().unwrap().reason;
    assert!(why.contains("for other events than before"), "{why}");
}

#[test]
fn the_trip_of_a_revision_that_was_replaced_is_not_forgotten() {
    let one = apply(&Registry::default(), vec![file("x", LOGS)]);
    let first = one.live("x").unwrap().digest;
    let two = apply(&one, vec![file("x", &drops())]);
    let second = two.live("x").unwrap().digest;
    let trip =
        |digest: Digest, at: u64| (("x".to_owned(), digest), ("why".to_owned(), TimestampMs(at)));
    // The first tripped long before the second was granted, which is at 1000.
    let terms = Terms {
        tripped: BTreeMap::from([trip(first, 500), trip(second, 2000)]),
        ..Terms::default()
    };
    let after = Registry::apply(&two, vec![file("x", &drops())], &terms);
    assert!(matches!(&after.entry("x").unwrap().state, State::Tripped(_)), "{:?}", after.list());
}

#[test]
fn a_tripped_revision_gives_way_to_the_last_good_one_under_both_grants() {
    let wide = "mode = \"automated\"\n[operations]\nwake = { per_hour = 5 }";
    let old = apply(&Registry::default(), vec![file_under("x", &wakes(), wide)]);
    let new_file = || file_under("x", LOGS, "mode = \"automated\"");
    let new = apply(&old, vec![new_file()]);
    let tripped_digest = new.live("x").unwrap().digest;
    let terms = Terms {
        tripped: BTreeMap::from([(
            ("x".to_owned(), tripped_digest),
            ("five failures".to_owned(), TimestampMs(2000)),
        )]),
        ..Terms::default()
    };
    let back = Registry::apply(&new, vec![new_file()], &terms);
    let running = back.live("x").unwrap();
    assert_eq!(running.digest, old.live("x").unwrap().digest);
    assert!(running.granted_then.is_some(), "what the present grant took away stays away");
    assert_eq!(back.entry("x").unwrap().waiting.as_ref().unwrap().state, "tripped");

    let alone = Registry::apply(&Registry::default(), vec![new_file()], &terms);
    assert!(matches!(&alone.entry("x").unwrap().state, State::Tripped(_)));

    let mut regranted = new_file();
    if let GrantFile::Granted(_, written) = &mut regranted.grant {
        *written = TimestampMs(3000);
    }
    let again = Registry::apply(&back, vec![regranted], &terms);
    assert_eq!(again.live("x").unwrap().digest, tripped_digest, "granted anew, tried again");
}

#[test]
fn an_earlier_revision_is_kept_for_what_matched_it_under_both_grants() {
    let old = apply(&Registry::default(), vec![file("x", LOGS)]);
    let old_digest = old.live("x").unwrap().digest;
    let new = apply(&old, vec![file_under("x", &drops(), "mode = \"manual\"")]);
    let kept = new.revision("x", &old_digest).unwrap();
    assert_eq!(kept.digest, old_digest);
    assert_eq!(kept.effective_mode, Mode::Manual, "the old grant alone does not hold");
    assert!(kept.granted_then.is_some());
    assert!(new.revision("x", &Digest::ZERO).is_none());
    let revoked = LoadedFile { grant: GrantFile::Absent, ..file("x", &drops()) };
    assert!(apply(&new, vec![revoked]).revision("x", &old_digest).is_none());
    let mut latest = new;
    for round in 0..10 {
        latest = apply(&latest, vec![file("x", &recipe(&format!("priority = {round}"), "log"))]);
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
        let candidate = Candidate { components, ..candidate("x", text).unwrap() };
        registry::Revision::new(candidate, Arc::new(grant), Mode::Automated)
    };
    let plain = recipe("", "log");
    let one = revision(&plain, 1, Grant::nothing("x"));
    let granted = grants::parse("x", "imports = [\"model\"]").unwrap();
    assert_eq!(one.digest, revision(&plain.replace("automated", "manual"), 1, granted).digest);
    assert_ne!(one.digest, revision(&plain, 2, Grant::nothing("x")).digest);
    assert_ne!(one.digest, revision(&recipe("", "drop"), 1, Grant::nothing("x")).digest);
    // Bundled components are the host's own: a new host breaks no grant.
    assert_eq!(one.binding, revision(&plain, 2, Grant::nothing("x")).binding);
}
