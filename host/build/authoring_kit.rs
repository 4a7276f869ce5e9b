//! What `recipe new` writes beside a recipe so that it builds without network
//! access to us: the SDK's sources, made a package of its own, the contract, and
//! the lock file that our own dependencies are pinned by. Collected here, as Rust
//! source with `include_str!`, for `src/cli/recipe_new/kit.rs` to include.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Packages that a scaffold depends on itself, beside the SDK.
const DIRECT: [&str; 2] = ["serde", "serde_json"];

/// Optional dependencies that other crates of our workspace turn on, and that the
/// SDK does without: package and dependency. A test holds the lock file against
/// what cargo would write.
const ONLY_OURS: [(&str, &str); 4] = [
    ("hashbrown", "serde"),
    ("hashbrown", "serde_core"),
    ("semver", "serde"),
    ("semver", "serde_core"),
];

/// The generated source. `root` is the workspace's folder.
pub(super) fn generate(root: &Path) -> Result<String, Box<dyn Error>> {
    let workspace = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let lock = Lock::parse(&lock);
    let manifest = std::fs::read_to_string(root.join("guest-sdk/Cargo.toml"))?;
    let (standalone, dependencies) = standalone(&manifest, &workspace, &lock)?;
    let mut source = String::new();
    writeln!(source, "pub(super) const SDK_VERSION: &str = {:?};", env!("CARGO_PKG_VERSION"))?;
    for name in DIRECT {
        let constant = format!("{}_VERSION", name.to_uppercase());
        writeln!(source, "pub(super) const {constant}: &str = {:?};", lock.version(name)?)?;
    }
    writeln!(source, "pub(super) const SDK_MANIFEST: &str = {standalone:?};")?;
    writeln!(source, "pub(super) const LOCKED_SDK: &str = {:?};", sdk_entry(&dependencies))?;
    writeln!(source, "pub(super) const LOCKED: &[(&str, &str)] = &[")?;
    for (name, entry) in lock.closure(&dependencies)? {
        writeln!(source, "    ({name:?}, {entry:?}),")?;
    }
    writeln!(source, "];\npub(super) const FILES: &[(&str, &str)] = &[")?;
    for file in files(root)? {
        let inside = file.strip_prefix(root)?.to_str().ok_or("a path that is not UTF-8")?;
        // Relative to the package: a build folder outlives the checkout's place.
        let path = format!("/../{inside}");
        writeln!(
            source,
            "    ({inside:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),"
        )?;
    }
    source.push_str("];\n");
    Ok(source)
}

/// The SDK's sources, the contract, and the page for authors.
fn files(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = vec![root.join("guest-sdk/AUTHORING.md")];
    let mut folders = vec![root.join("guest-sdk/src"), root.join("wit")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// The manifest without references to our workspace, dependencies pinned to the
/// versions that we are tested with; and the names of those dependencies.
fn standalone(
    manifest: &str,
    workspace: &str,
    lock: &Lock<'_>,
) -> Result<(String, Vec<String>), Box<dyn Error>> {
    let mut section = "";
    let mut text = String::new();
    let mut dependencies = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if section == "[lints]" || section.starts_with("[[") || section.starts_with("[dev-") {
            continue;
        }
        match line.split_once(".workspace = true") {
            None => text.push_str(line),
            Some((name, _)) if section.ends_with("dependencies]") => {
                let declared = declared(workspace, "[workspace.dependencies]", name)?;
                write!(text, "{name} = {}", pinned(declared, lock.version(name)?)?)?;
                dependencies.push(name.to_owned());
            }
            Some((name, _)) => {
                write!(text, "{name} = {}", declared(workspace, "[workspace.package]", name)?)?;
            }
        }
        text.push('\n');
    }
    Ok((text.trim_end().to_owned() + "\n", dependencies))
}

/// The value of `name = value` in a section.
fn declared<'a>(text: &'a str, section: &str, name: &str) -> Result<&'a str, String> {
    let missing = || format!("Cargo.toml: {section} has no {name}");
    let (_, rest) = text.split_once(&format!("{section}\n")).ok_or_else(missing)?;
    let body = rest.split("\n[").next().unwrap_or(rest);
    let prefix = format!("{name} = ");
    body.lines().find_map(|line| line.strip_prefix(&prefix)).ok_or_else(missing)
}

/// `"1"` or `{ version = "1", ... }` with exactly this version.
fn pinned(value: &str, version: &str) -> Result<String, String> {
    let key = "version = \"";
    let start = match value.find(key) {
        Some(at) => at + key.len(),
        None if value.starts_with('"') => 1,
        None => return Err(format!("no version in {value}")),
    };
    let (before, rest) = value.split_at(start);
    let (_, after) = rest.split_once('"').ok_or("a text without end")?;
    Ok(format!("{before}={version}\"{after}"))
}

fn sdk_entry(dependencies: &[String]) -> String {
    let mut names = dependencies.to_vec();
    names.sort();
    let list: String = names.iter().map(|name| format!(" \"{name}\",\n")).collect();
    format!(
        "[[package]]\nname = \"thrall-sdk\"\nversion = \"{}\"\ndependencies = [\n{list}]\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// `Cargo.lock`: name and version to the entry as it is written there.
struct Lock<'a>(BTreeMap<(&'a str, &'a str), &'a str>);

impl<'a> Lock<'a> {
    fn parse(text: &'a str) -> Self {
        let entries = text.split("[[package]]\n").skip(1);
        Self(entries.filter_map(|entry| Some((Self::key(entry)?, entry.trim_end()))).collect())
    }

    fn key(entry: &'a str) -> Option<(&'a str, &'a str)> {
        let value =
            |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
        Some((value("name = \"")?, value("version = \"")?))
    }

    /// The only version of a package.
    fn version(&self, name: &str) -> Result<&'a str, String> {
        let mut versions = self.0.keys().filter(|(other, _)| *other == name);
        match (versions.next(), versions.next()) {
            (Some((_, version)), None) => Ok(version),
            _ => Err(format!("Cargo.lock has not exactly one {name}")),
        }
    }

    /// The packages and all that they need, sorted.
    fn closure<'b>(&'b self, names: &'b [String]) -> Result<Vec<(&'b str, String)>, String> {
        let mut found: BTreeMap<(&str, &str), (&str, Vec<&str>)> = BTreeMap::new();
        let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
        while let Some(reference) = open.pop() {
            // `syn` or, where there are several, `syn 2.0.119`.
            let mut words = reference.split(' ');
            let name = words.next().unwrap_or_default();
            let version = match words.next() {
                Some(version) => version,
                None => self.version(name)?,
            };
            let (key, entry) = self
                .0
                .get_key_value(&(name, version))
                .ok_or_else(|| format!("Cargo.lock has no {reference}"))?;
            let needed = dependencies(name, entry);
            if found.insert(*key, (*entry, needed.clone())).is_none() {
                open.extend(needed);
            }
        }
        let names: Vec<&str> = found.keys().map(|(name, _)| *name).collect();
        let is_only_one = |name: &str| names.iter().filter(|other| **other == name).count() == 1;
        Ok(found
            .iter()
            .map(|((name, _), (entry, needed))| (*name, rewritten(entry, needed, is_only_one)))
            .collect())
    }
}

/// What a package needs in a scaffold, as its entry refers to it.
fn dependencies<'a>(package: &str, entry: &'a str) -> Vec<&'a str> {
    let listed = entry.split("dependencies = [").nth(1).unwrap_or_default();
    let is_needed = |reference: &&str| {
        !ONLY_OURS.contains(&(package, reference.split(' ').next().unwrap_or_default()))
    };
    listed.split('"').skip(1).step_by(2).filter(is_needed).collect()
}

/// The entry with these dependencies alone, each with its version only where the
/// name is not enough.
fn rewritten(entry: &str, needed: &[&str], is_only_one: impl Fn(&str) -> bool) -> String {
    let head = entry.split("dependencies = [").next().unwrap_or(entry).trim_end();
    let list: String = needed
        .iter()
        .map(|reference| {
            let name = reference.split(' ').next().unwrap_or(reference);
            format!(" \"{}\",\n", if is_only_one(name) { name } else { reference })
        })
        .collect();
    let tail = if list.is_empty() { String::new() } else { format!("dependencies = [\n{list}]\n") };
    format!("[[package]]\n{head}\n{tail}")
}
