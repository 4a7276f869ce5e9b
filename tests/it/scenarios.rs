//! The scenario folders: one test for each chapter of `tests/scenarios`.

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
    modes,
    questions,
    records,
    regressions,
    reload,
    senders,
    switches,
    triggers,
);
