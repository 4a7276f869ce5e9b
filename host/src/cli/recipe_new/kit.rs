//! What this program brings along for authors: the SDK, the contract and the
//! lock file, collected by `build/authoring_kit.rs`. Content only.

include!(concat!(env!("OUT_DIR"), "/authoring_kit.rs"));

/// The componentize-py that is tested; `scripts/setup/componentize_py.sh`
/// installs the same.
pub(in crate::cli) const COMPONENTIZE_PY: &str = "0.25.1";

/// The files of the contract, by their names in `wit/`.
pub(in crate::cli) fn contract() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(|(path, content)| {
        let name = path.strip_prefix("wit/")?;
        name.ends_with(".wit").then_some((name, *content))
    })
}

/// The page for authors.
pub(super) fn page() -> &'static str {
    FILES.iter().find(|(path, _)| *path == "guest-sdk/AUTHORING.md").map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_sdk_and_the_contract_is_along() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut folders = vec![root.join("guest-sdk/src"), root.join("wit")];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                let content = std::fs::read_to_string(&path).unwrap();
                assert!(FILES.contains(&(inside.as_str(), content.as_str())), "{inside}");
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen} files");
        assert!(page().len() > 1000);
        assert_eq!(contract().count(), 3);
    }

    #[test]
    fn the_sdks_manifest_stands_alone_with_exact_versions() {
        let manifest: toml::Table = toml::from_str(SDK_MANIFEST).unwrap();
        assert_eq!(manifest["package"]["version"].as_str(), Some(SDK_VERSION));
        for (name, dependency) in manifest["dependencies"].as_table().unwrap() {
            let version = dependency.get("version").unwrap_or(dependency).as_str().unwrap();
            assert!(version.starts_with('='), "{name} {version}");
        }
        assert!(!SDK_MANIFEST.contains("workspace"), "{SDK_MANIFEST}");
    }
}
