//! The scenario folders: one test for each chapter of `tests/scenarios`, and one
//! that holds its README, the table of promises, against what is there.

use std::collections::BTreeSet;
use std::path::Path;

use thrall_tests::scenario;

fn chapter(name: &str) {
    let only = std::env::var("THRALL_SCENARIO").ok();
    let folders = scenario::of_chapter(name);
    assert!(!folders.is_empty(), "no scenario in {name}");
    let mut wrong = Vec::new();
    for folder in folders {
        let is_meant = |only: &String| folder.to_string_lossy().contains(only.as_str());
        if only.as_ref().is_none_or(is_meant) {
            wrong.extend(scenario::run(Path::new(&folder)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

macro_rules! chapters {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { chapter(stringify!($name)); })+

        /// A folder without a test would never be run.
        #[test]
        fn every_chapter_has_its_test() {
            let mut there: Vec<String> = std::fs::read_dir(scenario::root())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_dir())
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect();
            there.sort();
            assert_eq!(there, [$(stringify!($name)),+]);
        }
    };
}

chapters!(
    actions,
    buffers,
    context,
    evaluate,
    filter,
    guard,
    modes,
    questions,
    records,
    regressions,
    reload,
    senders,
    shipped,
    switches,
    triggers,
);

fn readme() -> String {
    std::fs::read_to_string(scenario::root().join("README.md")).unwrap()
}

/// What stands between backticks in the README's tables.
fn named() -> Vec<String> {
    let readme = readme();
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    let between = |line: &str| -> Vec<String> {
        line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    rows.flat_map(between).collect()
}

#[test]
fn the_readme_names_every_scenario_and_no_other() {
    let chapters: Vec<String> = std::fs::read_dir(scenario::root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| scenario::root().join(name).is_dir())
        .collect();
    let there: BTreeSet<String> = chapters
        .iter()
        .flat_map(|chapter| scenario::of_chapter(chapter))
        .map(|path| {
            let path = path.strip_prefix(scenario::root()).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    let is_scenario = |name: &String| {
        let chapter = name.split_once('/').map(|(chapter, _)| chapter.to_owned());
        chapter.is_some_and(|chapter| chapters.contains(&chapter))
    };
    let told: BTreeSet<String> = named().into_iter().filter(is_scenario).collect();
    let untold: Vec<_> = there.difference(&told).collect();
    let missing: Vec<_> = told.difference(&there).collect();
    assert!(untold.is_empty() && missing.is_empty(), "untold {untold:?}, missing {missing:?}");
}

/// `module::test` is a function in that module of the host or of these tests.
#[test]
fn the_tests_that_the_readme_names_exist() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roots = [here.join("../host/src"), here.join("it")];
    let exists = |name: &String| {
        let (module, function) = name.rsplit_once("::").unwrap();
        let file = format!("{}.rs", module.replace("::", "/"));
        let texts = roots.iter().filter_map(|root| std::fs::read_to_string(root.join(&file)).ok());
        texts.into_iter().any(|text| text.contains(&format!("fn {function}(")))
    };
    let tests: Vec<String> = named().into_iter().filter(|name| name.contains("::")).collect();
    assert!(tests.len() > 50, "{tests:?}");
    let missing: Vec<&String> = tests.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A promise without a scenario, a test or a word about when it comes.
#[test]
fn no_row_of_the_readme_is_left_open() {
    for line in readme().lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 2 || line.starts_with("|---"), "{line}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
    }
}
