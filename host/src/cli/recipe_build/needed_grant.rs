//! The grant that a component would need, as text for the operator: what its
//! imports ask for with the narrowest bounds, and what cannot be known from a
//! component, said as a comment. Pure.

use crate::ids::Digest;
use crate::stage::World;

/// For each import the line under `[reads]` with its default; a comment where
/// nothing is given unless it is named.
const READS: [(&str, &str); 6] = [
    ("journal-read", "journal = { scope = \"own\" }        # own rows; sender or all is more"),
    ("context-read", "context = { scope = \"session\" }    # the event's session; all is more"),
    ("context-read", "# flags = { prefixes = [\"NAME:\"] } # absent: the recipe's own flags alone"),
    (
        "breaker-read",
        "# breakers = { targets = [\"NAME\"] } # absent: the recipe's own targets alone",
    ),
    (
        "cockpit-read",
        "# cockpit = { routes = [\"status\"] } # absent: none; name those that it asks",
    ),
    (
        "model",
        "# model = { prompts = [\"NAME\"], models = [\"NAME\"] } # absent: none; name those that it asks",
    ),
];

/// `grants/NAME.toml`.
pub(super) fn text(name: &str, digest: Digest, world: World, imports: &[String]) -> String {
    let needed: Vec<String> = imports
        .iter()
        .filter(|import| *import != "log")
        .map(|import| format!("{import:?}"))
        .collect();
    let mut lines = vec![
        format!("# What the operator would have to grant, in grants/{name}.toml, for"),
        format!("# {name}.wasm, sha256:{digest}."),
        "mode = \"manual\"                     # says what it would do; supervised acts".to_owned(),
        format!("imports = [{}]", needed.join(", ")),
    ];
    let reads: Vec<&str> = READS
        .iter()
        .filter(|(import, _)| imports.iter().any(|imported| imported == import))
        .map(|(_, line)| *line)
        .collect();
    if !reads.is_empty() {
        lines.extend([String::new(), "[reads]".to_owned()]);
        lines.extend(reads.into_iter().map(str::to_owned));
    }
    lines.extend([String::new(), "[operations]".to_owned()]);
    lines.push(match world {
        World::Action => format!(
            "# Which operations it returns is not known before it runs; log and drop need no\n# line. Rehearse it, then `thrall grant plan {name}` prints those that it needed."
        ),
        World::Filter | World::Hotwire => format!(
            "# A {} returns none; those of [actions] in {name}.toml need a line each, but for\n# log and drop.",
            world.as_str()
        ),
    });
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(world: World, imports: &[&str]) -> String {
        let imports: Vec<String> = imports.iter().map(ToString::to_string).collect();
        text("x", Digest::ZERO, world, &imports)
    }

    #[test]
    fn imports_are_granted_with_the_narrowest_reads() {
        let text = grant(World::Hotwire, &["journal-read", "log", "model"]);
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(parsed["imports"].as_array().unwrap().len(), 2, "log needs no grant: {text}");
        assert_eq!(parsed["reads"]["journal"]["scope"].as_str(), Some("own"));
        assert!(!parsed["reads"].as_table().unwrap().contains_key("model"));
        assert!(text.contains("# model = { prompts"), "{text}");
        assert!(parsed["operations"].as_table().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(grant(World::Action, &[]).contains("not known before it runs"));
        let filter: toml::Table = toml::from_str(&grant(World::Filter, &[])).unwrap();
        assert!(!filter.contains_key("reads"));
        assert!(filter["imports"].as_array().unwrap().is_empty());
    }
}
