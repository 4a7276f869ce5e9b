//! Every key does something; what is added is allowed and nothing else; what is
//! written reads back; denials are lines to paste.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::stage::World;

const NODE: &str = "d9196be699447a12d9196be699447a12d9196be699447a12d9196be699447a12";

fn grant(text: &str) -> Grant {
    parse("x", text).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"))
}

fn messages(text: &str) -> Vec<String> {
    parse("x", text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn name(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn skill(input: &[(&str, &str)], bytes: u32) -> Need<'static> {
    Need::Skill {
        name: Cow::Borrowed("knarr-mail"),
        input: input.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        bytes,
    }
}

fn reply(to: ReplyTo, body: ReplyBody) -> Need<'static> {
    Need::Reply { to, body }
}

/// A key, two grants that differ in it alone, and what the difference is about:
/// something that the first allows and the second does not.
type Flip = (&'static str, String, String, Box<dyn Fn(&Grant) -> bool>);

fn flip(
    key: &'static str,
    with: &str,
    without: &str,
    differs: impl Fn(&Grant) -> bool + 'static,
) -> Flip {
    (key, with.to_owned(), without.to_owned(), Box::new(differs))
}

fn need(key: &'static str, with: &str, without: &str, need: Need<'static>) -> Flip {
    flip(key, with, without, move |grant| grant.allow(&need).is_ok())
}

fn authority(grant: &Grant) -> Authority {
    Authority::new(Arc::new(grant.clone()), Vec::new())
}

/// One row for each key that exists. A new key without a row fails the test
/// below.
fn flips() -> Vec<Flip> {
    let hourly = |kind: &'static str| move |grant: &Grant| grant.per_hour(kind) == Some(6);
    let reply_line = |to: &str, body: &str, n: u32| {
        format!("[operations]\nreply = {{ to = \"{to}\", body = \"{body}\", per_hour = {n} }}")
    };
    let skill_line = |input: &str, bytes: u32| {
        format!("[operations.skill.knarr-mail]\ninput = {{ {input} }}\nmax_input_bytes = {bytes}")
    };
    let mail =
        |node: &str, n: u32| format!("[operations]\nmail = {{ nodes = [{node}], per_hour = {n} }}");
    let own = format!("\"{NODE}\"");
    vec![
        flip("recipe", &format!("recipe = \"sha256:{}\"", Digest::of(b"a")), "", |grant| {
            let offered = binding::Offered {
                binding: Digest::of(b"a"),
                has_own_components: true,
                priority: 0,
                stop: false,
                trigger: "on_mail",
                reach: Digest::ZERO,
                needs: &[],
            };
            binding::cover(grant, &offered, None) == binding::Cover::Bound
        }),
        flip(
            "follow",
            &format!("recipe = \"sha256:{}\"\nfollow = \"same-or-narrower\"", Digest::of(b"a")),
            &format!("recipe = \"sha256:{}\"\nfollow = \"exact\"", Digest::of(b"a")),
            |grant| {
                let offered = |text: &[u8]| binding::Offered {
                    binding: Digest::of(text),
                    has_own_components: true,
                    priority: 0,
                    stop: false,
                    trigger: "on_mail",
                    reach: Digest::ZERO,
                    needs: &[],
                };
                let cover = binding::cover(grant, &offered(b"b"), Some(&offered(b"a")));
                cover == binding::Cover::Followed
            },
        ),
        flip("mode", "mode = \"automated\"", "mode = \"manual\"", |grant| grant.mode.acts()),
        need("imports", "imports = [\"model\"]", "", Need::Import(name("model"))),
        flip("shared", "shared = [\"flags\"]", "", |grant| authority(grant).shares("flags")),
        need(
            "reads.journal.scope",
            "[reads]\njournal = { scope = \"sender\" }",
            "[reads]\njournal = { scope = \"own\" }",
            Need::Journal(JournalScope::Sender),
        ),
        need(
            "reads.context.scope",
            "[reads]\ncontext = { scope = \"all\" }",
            "[reads]\ncontext = { scope = \"session\" }",
            Need::Context(ContextScope::All),
        ),
        need(
            "reads.flags.prefixes",
            "[reads]\nflags = { prefixes = [\"oom:\"] }",
            "[reads]\nflags = { prefixes = [\"other:\"] }",
            Need::Flag(name("oom:count")),
        ),
        need(
            "reads.breakers.targets",
            "shared = [\"breakers\"]\n[reads]\nbreakers = { targets = [\"skill:x\"] }",
            "shared = [\"breakers\"]\n[reads]\nbreakers = { targets = [] }",
            Need::Breaker(name("skill:x")),
        ),
        need(
            "reads.cockpit.routes",
            "[reads]\ncockpit = { routes = [\"status\"] }",
            "[reads]\ncockpit = { routes = [\"peers\"] }",
            Need::CockpitRoute(name("status")),
        ),
        need(
            "reads.model.prompts",
            "[reads]\nmodel = { prompts = [\"triage\"], models = [] }",
            "[reads]\nmodel = { prompts = [\"other\"], models = [] }",
            Need::Prompt(name("triage")),
        ),
        need(
            "reads.model.models",
            "[reads]\nmodel = { prompts = [], models = [\"*\"] }",
            "[reads]\nmodel = { prompts = [], models = [\"small\"] }",
            Need::Model(name("gemma3-1b")),
        ),
        need(
            "reads.gather.files",
            "[reads]\ngather = { files = [\"/var/log/a\"] }",
            "[reads]\ngather = { files = [\"/var/log/b\"] }",
            Need::GatherFile(name("/var/log/a")),
        ),
        need(
            "operations.compile.buffers",
            "[operations]\ncompile = { buffers = [\"a\"] }",
            "[operations]\ncompile = { buffers = [\"b\"] }",
            Need::Compile(name("a")),
        ),
        flip(
            "operations.wake.per_hour",
            "[operations]\nwake = { per_hour = 6 }",
            "[operations]\nwake = { per_hour = 5 }",
            hourly("wake"),
        ),
        need(
            "operations.reply.to",
            &reply_line("origin", "any", 6),
            &reply_line("sender", "any", 6),
            reply(ReplyTo::Origin, ReplyBody::Template),
        ),
        need(
            "operations.reply.body",
            &reply_line("sender", "model", 6),
            &reply_line("sender", "template", 6),
            reply(ReplyTo::Sender, ReplyBody::Model),
        ),
        flip(
            "operations.reply.per_hour",
            &reply_line("sender", "any", 6),
            &reply_line("sender", "any", 5),
            hourly("reply"),
        ),
        need("operations.mail.nodes", &mail(&own, 6), &mail("", 6), Need::Mail(name(NODE))),
        flip("operations.mail.per_hour", &mail(&own, 6), &mail(&own, 5), hourly("mail")),
        need(
            "operations.skill.NAME.input",
            &skill_line("action = [\"poll\"]", 100),
            &skill_line("action = [\"send\"]", 100),
            skill(&[("action", "poll")], 17),
        ),
        need(
            "operations.skill.NAME.max_input_bytes",
            &skill_line("action = [\"poll\"]", 17),
            &skill_line("action = [\"poll\"]", 16),
            skill(&[("action", "poll")], 17),
        ),
        need(
            "operations.set-context.scope",
            "[operations]\nset-context = { scope = \"all\" }",
            "[operations]\nset-context = { scope = \"session\" }",
            Need::SetContext(ContextScope::All),
        ),
        need(
            "operations.set-flag.prefixes",
            "[operations]\nset-flag = { prefixes = [\"oom:\"] }",
            "[operations]\nset-flag = { prefixes = [\"b:\"] }",
            Need::SetFlag(name("oom:count")),
        ),
        need(
            "operations.trip-breaker.targets",
            "[operations]\ntrip-breaker = { targets = [\"skill:x\"] }",
            "[operations]\ntrip-breaker = { targets = [\"skill:y\"] }",
            Need::TripBreaker(name("skill:x")),
        ),
        need(
            "operations.trigger.kinds",
            "[operations]\ntrigger = { kinds = [\"next\"] }",
            "[operations]\ntrigger = { kinds = [\"other\"] }",
            Need::Trigger(name("next")),
        ),
        need(
            "operations.answer.codes",
            "[operations]\nanswer = { codes = [\"block\"] }",
            "[operations]\nanswer = { codes = [\"pass\"] }",
            Need::Answer(name("block")),
        ),
        flip("budget.model_calls_per_day", "[budget]\nmodel_calls_per_day = 7", "", |grant| {
            authority(grant).model_calls_per_day() == [("x", 7)]
        }),
        flip("budget.model_tokens_per_run", "[budget]\nmodel_tokens_per_run = 7", "", |grant| {
            authority(grant).model_tokens_per_run() == 7
        }),
        flip("budget.host_calls_per_run", "[budget]\nhost_calls_per_run = 7", "", |grant| {
            authority(grant).host_calls_per_run() == 7
        }),
        flip("limits.memory_mib", "[limits]\nmemory_mib = 32", "", |grant| {
            authority(grant).limits(World::Hotwire).memory_bytes == 32 << 20
        }),
        flip("limits.fuel", "[limits]\nfuel = 2_000_000", "", |grant| {
            authority(grant).limits(World::Action).fuel == 2_000_000
        }),
    ]
}

#[test]
fn every_key_that_exists_changes_what_is_allowed() {
    let flips = flips();
    for (key, with, without, holds) in &flips {
        assert!(holds(&grant(with)), "{key}: {with}");
        assert!(!holds(&grant(without)), "{key}: {without}");
        assert_ne!(grant(with).digest, grant(without).digest, "{key} is part of the digest");
    }
    let tested: BTreeSet<String> = flips.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(tested, keys().into_iter().collect(), "a key without a row, or a row without a key");
}

#[test]
fn nothing_is_granted_that_is_not_written() {
    let empty = grant("");
    assert_eq!(empty, Grant::nothing("x"));
    for (key, with, _, _) in flips() {
        if key.starts_with("operations") {
            let granted = grant(&with);
            assert_ne!(granted.permissions.operations, empty.permissions.operations);
        }
    }
    assert!(empty.allow(&Need::Wake).is_err() && empty.allow(&Need::Compile(name("a"))).is_err());
    assert!(empty.allow(&Need::Journal(JournalScope::Own)).is_ok(), "behind a closed import");
    assert!(empty.allow(&Need::Import(name("journal-read"))).is_err());
    let shared = grant("shared = [\"flags\"]");
    assert!(empty.allow(&Need::Flag(name("k"))).is_ok(), "its own");
    assert!(shared.allow(&Need::Flag(name("k"))).is_err(), "others' as well: named or not at all");
}

#[test]
fn a_denial_is_a_line_that_can_be_pasted() {
    let none = Grant::nothing("x");
    let denied = |grant: &Grant, need: &Need<'_>| grant.allow(need).unwrap_err().to_string();
    assert_eq!(
        denied(&none, &Need::Import(name("model"))),
        "imports = [\"model\"]  # grants/x.toml"
    );
    let some = grant("[operations]\ncompile = { buffers = [\"a\"] }");
    assert_eq!(
        denied(&some, &Need::Compile(name("b"))),
        "compile = { buffers = [\"a\", \"b\"] }  # grants/x.toml, [operations]"
    );
    for (_, _, without, _) in flips() {
        let narrow = grant(&without);
        for need in all_needs() {
            let Err(denial) = narrow.allow(&need) else { continue };
            let table = denial.table.map_or_else(String::new, |table| format!("[{table}]\n"));
            // Pasted in the place of the line that is there.
            let mut wide = narrow.permissions.clone();
            wide.add(&need);
            assert!(
                to_toml(&Grant::new("x", None, None, Mode::Manual, wide)).contains(&denial.line)
            );
            assert!(
                parse("x", &format!("{table}{}", denial.line)).is_ok(),
                "{denial} does not read back"
            );
        }
    }
    let never = Need::Never(name("no grant allows that"));
    assert_eq!(denied(&none, &never), "no grant allows that");
}

fn all_needs() -> Vec<Need<'static>> {
    vec![
        Need::Import(name("model")),
        Need::Shared(name("flags")),
        Need::Journal(JournalScope::All),
        Need::Context(ContextScope::All),
        Need::Flag(name("a:b")),
        Need::Breaker(name("skill:x")),
        Need::CockpitRoute(name("status")),
        Need::Prompt(name("p")),
        Need::Model(name("m")),
        Need::GatherFile(name("/a/b")),
        Need::Compile(name("buffer")),
        Need::Wake,
        reply(ReplyTo::Origin, ReplyBody::Any),
        Need::Mail(name(NODE)),
        skill(&[("action", "\"quoted\"\n"), ("n", "1")], 30),
        skill(&[], 2),
        Need::SetContext(ContextScope::All),
        Need::SetFlag(name("a:b")),
        Need::TripBreaker(name("skill:x")),
        Need::Trigger(name("next")),
        Need::Answer(name("pass")),
    ]
}

#[test]
fn a_chain_of_recipes_can_do_no_more_than_each_of_them() {
    let own = grant(
        "imports = [\"model\"]\n[operations]\nwake = { per_hour = 9 }\n[budget]\nhost_calls_per_run = 9\n[limits]\nmemory_mib = 32",
    );
    let parent =
        parse("parent", "[operations]\nwake = { per_hour = 2 }\n[budget]\nhost_calls_per_run = 3")
            .unwrap();
    let chain = Authority::new(Arc::new(own.clone()), vec![Arc::new(parent)]);
    assert!(chain.allow(&Need::Wake).is_ok());
    let denial = chain.allow(&Need::Import(name("model"))).unwrap_err();
    assert_eq!(denial.to_string(), "imports = [\"model\"]  # grants/parent.toml");
    assert_eq!(chain.host_calls_per_run(), 3);
    assert_eq!(chain.limits(World::Filter).memory_bytes, 16 << 20);
    assert_eq!(chain.hourly("wake"), [("x", 9), ("parent", 2)]);
    assert_ne!(chain.digest(), own.digest);
    let gone = Authority::new(Arc::new(own), vec![Arc::new(Grant::nothing("gone"))]);
    assert!(gone.allow(&Need::Wake).is_err(), "a recipe that is gone allows nothing");
}

#[test]
fn a_name_that_means_everything_cannot_be_asked_for() {
    use crate::operation::Operation;
    use crate::stage::HostRequest;
    let at = need::Situation { recipe: "x", session: "s", from_node: "n", is_descendant: false };
    let is_never = |needs: Vec<Need<'_>>| needs.iter().any(|need| matches!(need, Need::Never(_)));
    for name in ["*", ""] {
        let route = HostRequest::CockpitGet { route: name.to_owned(), params: String::new() };
        assert!(is_never(need::of_request(&route, at, None)));
        let flag = Operation::SetFlag { key: name.to_owned(), value: None, expires_in_s: None };
        assert!(is_never(need::of_operation(&flag, at, ReplyBody::Any)));
    }
    let skill = Operation::Skill {
        skill: "s".to_owned(),
        input_json: r#"{"a": "*"}"#.to_owned(),
        continue_as: None,
    };
    let mut planned = Permissions::default();
    for need in need::of_operation(&skill, at, ReplyBody::Any) {
        planned.add(&need);
    }
    assert!(!planned.operations.skill["s"].input["a"].contains(ANY), "{planned:?}");
}

#[test]
fn an_own_component_given_up_is_no_way_out_of_exact() {
    let with = binding::Offered {
        binding: Digest::of(b"with"),
        has_own_components: true,
        priority: 0,
        stop: false,
        trigger: "on_mail",
        reach: Digest::ZERO,
        needs: &[],
    };
    let without =
        binding::Offered { binding: Digest::of(b"without"), has_own_components: false, ..with };
    let grant = grant(&format!("recipe = \"sha256:{}\"", Digest::of(b"with")));
    let cover = binding::cover(&grant, &without, Some(&with));
    assert!(matches!(cover, binding::Cover::Waits(_)), "{cover:?}");
}

#[test]
fn free_text_beside_wide_reads_is_a_leak() {
    let leaks = |text: &str| leaks::warnings("x", &grant(text).permissions);
    let wide = "imports = [\"journal-read\"]\n[reads]\njournal = { scope = \"all\" }\n";
    let mail = format!("[operations]\nmail = {{ nodes = [\"{NODE}\"], per_hour = 1 }}");
    assert!(leaks(wide).is_empty() && leaks(&mail).is_empty());
    let both = leaks(&format!("{wide}{mail}"));
    assert_eq!(
        both,
        ["LEAK grants/x.toml: mail may hold free text, beside journal rows of scope all"]
    );
    let reply = "[operations]\nreply = { to = \"sender\", body = \"any\", per_hour = 1 }";
    assert_eq!(leaks(&format!("{wide}{reply}")).len(), 1);
    assert!(leaks(&format!("{wide}{}", reply.replace("any", "template"))).is_empty());
    let skill = "[operations.skill.s]\ninput = { text = [\"*\"] }\nmax_input_bytes = 9";
    assert!(leaks(&format!("{wide}{skill}"))[0].contains("skill s"));
}

#[test]
fn mistakes_are_named_with_their_place_and_the_nearest_word() {
    let found = messages("import = []\nmode = \"auto\"\n[operations]\nsummon = {}\nwakes = {}\n");
    assert!(found[0].starts_with("grants/x.toml:1:1: unknown key \"import\""), "{found:?}");
    assert!(found[1].contains("disabled, manual, supervised, automated"), "{found:?}");
    assert!(found[2].contains("the operation is called wake"), "{found:?}");
    assert!(found[3].ends_with("did you mean \"wake\"?"), "{found:?}");
    for (text, what) in [
        ("recipe = \"abc\"", "thrall grant allow"),
        ("operations = [\"wake\"]", "[operations]"),
        ("[operations]\nwake = {}", "per_hour = 6"),
        (
            "[operations]\nreply = { to = \"sender\", per_hour = 1 }",
            "body = one of template, model, any",
        ),
        ("[operations]\nmail = { nodes = [\"abc\"], per_hour = 1 }", "whole node ids"),
        ("[operations]\nextension = { codes = [\"x\"] }", "knows no extension"),
        ("[operations]\nlog = {}", "needs no grant"),
        ("[reads]\ngather = { files = [\"../x\"] }", "whole paths"),
        ("[reads]\ngather = { files = [\"/a/../b\"] }", "whole paths"),
        ("[reads]\ngather = { files = [\"/a/\"] }", "whole paths"),
        ("[limits]\nmemory_mib = 129", "1 to 128"),
        ("[budget]\nhost_calls_per_run = 65", "0 to 64"),
        ("shared = [\"all\"]", "context, flags, breakers"),
        ("[operations.skill.\"*\"]\nmax_input_bytes = 2", "granted by its name"),
    ] {
        assert!(
            messages(text).iter().any(|message| message.contains(what)),
            "{text}: {:?}",
            messages(text)
        );
    }
}

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b:c", "oom:", "x\"y", "line\nbreak", "Ü"])
        .prop_map(str::to_owned)
}

fn some_need() -> impl Strategy<Value = Need<'static>> {
    let input = prop::collection::btree_map(words(), words(), 0..3);
    prop_oneof![
        prop::sample::select(INTERFACES.to_vec()).prop_map(|one| Need::Import(name(one))),
        words().prop_map(|one| Need::Flag(Cow::Owned(one))),
        words().prop_map(|one| Need::CockpitRoute(Cow::Owned(one))),
        words().prop_map(|one| Need::Prompt(Cow::Owned(one))),
        words().prop_map(|one| Need::Model(Cow::Owned(one))),
        prop::sample::select(JournalScope::ALL.to_vec()).prop_map(Need::Journal),
        prop::sample::select(ContextScope::ALL.to_vec()).prop_map(Need::Context),
        prop::sample::select(vec!["a", "b-c", "d_e"]).prop_map(|one| Need::Compile(name(one))),
        Just(Need::Wake),
        (
            prop::sample::select(ReplyTo::ALL.to_vec()),
            prop::sample::select(ReplyBody::ALL.to_vec())
        )
            .prop_map(|(to, body)| Need::Reply { to, body }),
        Just(Need::Mail(name(NODE))),
        (words(), input, 2u32..100).prop_map(|(one, input, bytes)| Need::Skill {
            name: Cow::Owned(one),
            input,
            bytes
        }),
        words().prop_map(|one| Need::SetFlag(Cow::Owned(one))),
        words().prop_map(|one| Need::TripBreaker(Cow::Owned(one))),
        prop::sample::select(ContextScope::ALL.to_vec()).prop_map(Need::SetContext),
    ]
}

proptest! {
    /// Whatever is added is allowed afterwards, and what was allowed stays so.
    #[test]
    fn adding_a_need_allows_it_and_takes_nothing(needs in prop::collection::vec(some_need(), 0..12)) {
        let mut permissions = Permissions::default();
        for (index, need) in needs.iter().enumerate() {
            permissions.add(need);
            for earlier in needs.iter().take(index + 1) {
                prop_assert!(permissions.allows(earlier), "{earlier:?}");
            }
        }
        let unused = Need::Trigger(name("never-added"));
        prop_assert!(!permissions.allows(&unused));
    }

    /// What is written reads back as the same grant.
    #[test]
    fn a_written_grant_reads_back(needs in prop::collection::vec(some_need(), 0..12), calls in 0u32..=64) {
        let mut permissions = Permissions::default();
        for need in &needs {
            permissions.add(need);
        }
        permissions.budget.host_calls_per_run = calls;
        let written = Grant::new("x", Some(Digest::of(b"r")), Some(Follow::Exact), Mode::Supervised, permissions);
        let read = parse("x", &to_toml(&written));
        prop_assert_eq!(read.ok(), Some(written.clone()), "{}", to_toml(&written));
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_a_grant_or_a_list_of_problems(text in ".{0,200}") {
        if let Err(problems) = parse("x", &text) {
            prop_assert!(!problems.is_empty());
        }
    }
}

#[test]
fn the_digest_follows_what_is_granted_not_how_it_is_written() {
    let one = grant("mode = \"manual\"\nimports = [\"model\", \"journal-read\"]").digest;
    let other = grant("# why\nimports = [\"journal-read\", \"model\", \"model\"]").digest;
    assert_eq!(one, other);
    let input: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    assert!(input.is_empty());
}
