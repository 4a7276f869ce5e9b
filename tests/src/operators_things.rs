//! Everything that is the operator's to change, as it stands: what no request
//! of anybody else may alter.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::http::{At, send};
use crate::test_home::TestHome;

const PLACES: [&str; 5] = ["thrall.toml", "grants", "prompts", "models", "breakers"];

/// Files with their content, owner and mode, the prompts that the database
/// keeps, and which recipe is live in which mode. A database that is not there
/// (another user's) holds none.
pub fn of(home: &TestHome) -> BTreeMap<String, String> {
    let mut things = BTreeMap::new();
    for place in PLACES {
        files(&home.path(place), &mut things);
    }
    things.insert("prompts in the database".to_owned(), prompts(home));
    things.insert("recipes".to_owned(), recipes(home));
    things
}

fn files(path: &Path, things: &mut BTreeMap<String, String>) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    let mut thing = format!("{:o} {} {} ", metadata.mode(), metadata.uid(), metadata.gid());
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), things);
        }
    } else {
        thing.push_str(&format!("{:?}", std::fs::read(path).unwrap()));
    }
    things.insert(path.display().to_string(), thing);
}

fn prompts(home: &TestHome) -> String {
    let database = home.database();
    let mut rows = database.prepare("SELECT * FROM prompts ORDER BY id").unwrap();
    let columns = rows.column_count();
    let mut found = Vec::new();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            found.push(format!("{:?}", row.get_ref(column).unwrap()));
        }
    }
    found.join(" ")
}

/// As the service says over the operator's socket.
fn recipes(home: &TestHome) -> String {
    let operator = At::Socket(home.path("run/operator.sock"));
    let answer = send(&operator, "GET", "/thrall/recipes", &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let grants = send(&operator, "GET", "/thrall/grants", &[], b"").unwrap();
    // What is suspended or rejected may do nothing; the agent can put such a
    // recipe there at any time.
    let modes: Vec<String> = answer.body["recipes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|recipe| recipe["state"] != "suspended" && recipe["state"] != "rejected")
        .map(|recipe| format!("{} {} {}", recipe["name"], recipe["state"], recipe["mode"]))
        .collect();
    format!("{} {}", modes.join(", "), grants.body)
}

/// Insists that nothing has changed, and names what has.
///
/// # Panics
/// When something has.
pub fn assert_unchanged(before: &BTreeMap<String, String>, home: &TestHome) {
    let after = of(home);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| (name, before.get(name), after.get(name)))
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
}
