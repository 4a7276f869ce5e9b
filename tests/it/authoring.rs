//! What an author is promised: a new folder builds and passes its test at once,
//! whatever was asked for; the component imports exactly that; a mistake is named
//! with its line and the way out; the examples of the page are good recipes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use thrall::stage::World;
use thrall::wasm::offered_interfaces;
use thrall_tests::authoring_page::{regenerated, workspace};
use thrall_tests::guests;
use thrall_tests::test_home::{TestHome, thrall_program};

/// Every scaffold's results go here, kept between runs, so that the crates behind
/// the SDK are compiled once.
fn shared_target() -> PathBuf {
    let target = thrall_program().ancestors().nth(2).unwrap().join("authoring");
    std::fs::create_dir_all(&target).unwrap();
    // The guests' own folder has the standard library for wasm already.
    let guests = target.with_file_name("guests");
    let work = target.join("thrall");
    if guests.is_dir() && !work.exists() {
        drop(std::os::unix::fs::symlink(guests, &work));
    }
    target
}

fn thrall(args: &[&str]) -> Output {
    Command::new(thrall_program())
        .args(args)
        .env("CARGO_TARGET_DIR", shared_target())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `recipe new`, which has to succeed.
fn new(parent: &Path, name: &str, world: &str, imports: &[&str], lang: &str) -> PathBuf {
    let imports = imports.join(",");
    let parent_text = parent.to_str().unwrap();
    let made = thrall(&[
        "recipe",
        "new",
        name,
        "--world",
        world,
        "--imports",
        &imports,
        "--lang",
        lang,
        "--dir",
        parent_text,
    ]);
    assert!(made.status.success(), "{made:?}");
    parent.join(name)
}

fn cargo_test(folder: &Path) -> Output {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(folder)
        .args(["test", "--offline", "--locked", "--quiet", "--lib"])
        .env("CARGO_TARGET_DIR", shared_target())
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Dwarnings")
        // Nobody debugs it, and it is compiled sooner.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .output()
        .unwrap()
}

/// Every set of imports that a world offers.
fn import_sets(world: World) -> Vec<Vec<&'static str>> {
    let offered = offered_interfaces(world);
    (0_u32..1 << offered.len())
        .map(|set| {
            let is_in = |index: usize| set & (1 << index) != 0;
            (0..offered.len()).filter(|i| is_in(*i)).map(|i| offered[i]).collect()
        })
        .collect()
}

/// 144 crates would be compiled for minutes, so each one's source becomes a module
/// of the last, whose own files stay as they were made.
#[test]
fn every_new_recipe_passes_its_own_test_at_once() {
    let parent = tempfile::tempdir().unwrap();
    let mut modules = Vec::new();
    let mut folder = PathBuf::new();
    for world in World::ALL {
        for imports in import_sets(world) {
            let name = format!("r{}", modules.len());
            folder = new(parent.path(), &name, world.as_str(), &imports, "rust");
            modules.push(std::fs::read_to_string(folder.join("src/lib.rs")).unwrap());
            assert!(folder.join(format!("{name}.toml")).is_file());
        }
    }
    assert_eq!(modules.len(), 16 + 64 + 64);
    let mut root = String::new();
    for (index, source) in modules.iter().enumerate() {
        std::fs::write(folder.join(format!("src/r{index}.rs")), source).unwrap();
        root.push_str(&format!("pub mod r{index};\n"));
    }
    std::fs::write(folder.join("src/lib.rs"), root).unwrap();
    let tested = cargo_test(&folder);
    let said = text(&tested.stdout) + &text(&tested.stderr);
    assert!(tested.status.success(), "{said}");
    assert!(said.contains("0 failed"), "{said}");
}

fn build(folder: &Path) -> Output {
    thrall(&["recipe", "build", folder.to_str().unwrap(), "--json"])
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// One folder for all, since each has an SDK of its own to compile.
#[test]
fn a_component_imports_exactly_what_was_asked_for_and_a_mistake_has_a_line() {
    let parent = tempfile::tempdir().unwrap();
    let all = offered_interfaces(World::Hotwire);
    let folder = new(parent.path(), "probe", "hotwire", &all, "rust");
    let source = folder.join("src/lib.rs");
    let few = ["journal-read", "log"];
    for (index, (world, imports)) in
        [("hotwire", all.as_slice()), ("filter", &[]), ("filter", &few), ("action", all.as_slice())]
            .into_iter()
            .enumerate()
    {
        let other = new(&parent.path().join(index.to_string()), "probe", world, imports, "rust");
        std::fs::copy(other.join("src/lib.rs"), &source).unwrap();
        let built = build(&folder);
        let report = json(&built);
        assert!(built.status.success(), "{report}");
        let mut expected = imports.to_vec();
        expected.sort_unstable();
        assert_eq!(report["imports"], serde_json::json!(expected), "{report}");
        assert_eq!((&report["world"], &report["wasi"]), (&world.into(), &Value::Array(vec![])));
        let bytes = std::fs::read(folder.join("probe.wasm")).unwrap();
        assert_eq!(report["size"], bytes.len());
        let digest = format!("sha256:{}", thrall::ids::Digest::of(&bytes));
        assert_eq!(report["digest"], digest.as_str());
        let grant = grant(report["grant"].as_str().unwrap());
        let granted = grant["imports"].as_array().unwrap();
        assert_eq!(granted.len(), imports.iter().filter(|import| **import != "log").count());
    }

    // What was built is what the host takes.
    let home = TestHome::new();
    home.write("recipes/probe.wasm", std::fs::read(folder.join("probe.wasm")).unwrap());
    let recipe = parent.path().join("3/probe/probe.toml");
    home.recipe("probe", &std::fs::read_to_string(&recipe).unwrap());
    home.run(&["recipe", "check"]).ok();

    // A mistake: the line, the compiler's words, and the last good file stays.
    let before = std::fs::read(folder.join("probe.wasm")).unwrap();
    let good = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, format!("fn broken() {{\n    missing_word();\n}}\n{good}")).unwrap();
    let built = build(&folder);
    assert_eq!(built.status.code(), Some(1));
    let problem = &json(&built)[0];
    // Inner documentation may not follow an item, so that is the first error.
    assert_eq!(problem["file"], "src/lib.rs", "{problem}");
    assert!(
        problem["line"].as_u64().unwrap() >= 2 && !problem["remedy"].as_str().unwrap().is_empty()
    );
    std::fs::write(&source, format!("{good}\nfn broken() {{\n    missing_word();\n}}\n")).unwrap();
    let line = good.lines().count() + 3;
    let built = thrall(&["recipe", "build", folder.to_str().unwrap()]);
    let said = text(&built.stdout);
    assert!(said.starts_with(&format!("src/lib.rs:{line}:5: ")), "{said}");
    assert!(said.contains("missing_word"), "{said}");
    assert_eq!(std::fs::read(folder.join("probe.wasm")).unwrap(), before);

    // A crate without an export, and one that is no library for wasm.
    std::fs::write(&source, "//! Nothing.\n").unwrap();
    let built = build(&folder);
    assert_eq!(built.status.code(), Some(1), "{}", text(&built.stderr));
    let remedy = json(&built)[0]["remedy"].as_str().unwrap().to_owned();
    assert!(remedy.contains("export_filter!"), "{remedy}");
    let manifest = folder.join("Cargo.toml");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, whole.replace("\"cdylib\", ", "")).unwrap();
    let built = build(&folder);
    assert_eq!(built.status.code(), Some(1));
    let problem = &json(&built)[0];
    assert_eq!(problem["file"], "Cargo.toml");
    assert!(problem["remedy"].as_str().unwrap().contains("cdylib"), "{problem}");
}

#[test]
fn a_folder_that_is_no_recipe_is_an_environment_error_and_a_wrong_word_a_no() {
    let folder = tempfile::tempdir().unwrap();
    let built = build(folder.path());
    assert_eq!(built.status.code(), Some(2));
    assert!(text(&built.stderr).contains("thrall recipe new"), "{}", text(&built.stderr));
    let made = thrall(&["recipe", "new", "x", "--world", "filter", "--imports", "modle"]);
    assert_eq!(made.status.code(), Some(1));
    assert!(text(&made.stderr).contains("it offers log"), "{}", text(&made.stderr));
    // A folder that is there is left alone.
    let x = new(folder.path(), "x", "filter", &[], "rust");
    std::fs::write(x.join("src/lib.rs"), "mine").unwrap();
    let dir = folder.path().to_str().unwrap();
    let made = thrall(&["recipe", "new", "x", "--world", "filter", "--dir", dir]);
    assert_eq!(made.status.code(), Some(1));
    assert!(text(&made.stderr).contains("exists already"), "{}", text(&made.stderr));
    assert_eq!(std::fs::read_to_string(x.join("src/lib.rs")).unwrap(), "mine");
}

/// Checks a grant as far as this version can read it.
fn grant(text: &str) -> toml::Table {
    let parsed: toml::Table =
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    // Where [reads] is known, the whole file has to be.
    if thrall::grants::parse("probe", "[reads]\n").is_ok() {
        let problems = thrall::grants::parse("probe", text).err().unwrap_or_default();
        assert!(problems.is_empty(), "{problems:?}\n{text}");
    }
    parsed
}

/// The recipes of the page, with the world of the component that each names.
const EXAMPLES: [(&str, Option<&str>); 12] = [
    ("alarm-words", None),
    ("queue-watch", None),
    ("kind-triage", None),
    ("mail-check", None),
    ("weather-answer", None),
    ("only-thanks", Some("filter")),
    ("stopped-sender", Some("filter")),
    ("frequent-sender", Some("hotwire")),
    ("ask-the-model", Some("hotwire")),
    ("second-question", Some("action")),
    ("node-note", Some("action")),
    ("link-heavy", Some("hotwire")),
];

/// Their code is compiled and tested with the SDK; here a component of the same
/// world stands for it.
#[test]
fn the_worked_examples_are_good_recipes_with_good_grants() {
    let home = TestHome::shipped();
    for (name, world) in EXAMPLES {
        let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap();
        let (recipe, granted) = if name == "link-heavy" {
            let folder = "recipes-wasm/link-heavy";
            (read(&format!("{folder}/{name}.toml")), read(&format!("{folder}/grants/{name}.toml")))
        } else {
            let folder = format!("guest-sdk/examples/{name}");
            (read(&format!("{folder}/recipe.toml")), read(&format!("{folder}/grant.toml")))
        };
        if let Some(world) = world {
            let component = guests::bytes(&format!("echo-{world}"));
            home.write(&format!("recipes/{name}.wasm"), component);
        }
        let file = home.write(&format!("recipes/{name}.toml"), recipe);
        let checked = home.run(&["recipe", "check", file.to_str().unwrap()]);
        assert_eq!(checked.code, 0, "{name}: {checked:?}");
        grant(&granted);
    }
}

#[test]
fn the_page_for_authors_is_up_to_date() {
    let path = workspace().join("guest-sdk/AUTHORING.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let wanted = regenerated(&page, |table| {
        let printed = match table {
            "limits" => thrall(&["recipe", "limits", "--markdown"]),
            words => thrall(&["recipe", "words", words, "--markdown"]),
        };
        assert!(printed.status.success(), "{table}: {printed:?}");
        text(&printed.stdout)
    });
    if std::env::var_os("THRALL_WRITE_AUTHORING").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "guest-sdk/AUTHORING.md is older than its tables or the examples: run this test once with THRALL_WRITE_AUTHORING=1"
    );
    for (name, _) in EXAMPLES {
        assert!(page.contains(&format!("/{name}")), "{name} is not on the page");
    }
    assert!(page.contains("50,000,000") && page.contains("16 MiB"), "the limits are there");
    for word in ["`on_skill_request`", "`summon_threshold`", "`error_buffer`", "`continue_as`"] {
        assert!(page.contains(word), "{word} is in a table");
    }
}
