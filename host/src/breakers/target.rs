//! What a breaker stops, and the file that it lies in. A target comes from
//! recipes and components, a file name leads into a folder: each target that
//! is accepted has one file name, and no two have the same.
//!
//! | target | written | file |
//! |---|---|---|
//! | everything | `global` | `global.json` |
//! | a node | `node:HEX` or `HEX`, at least 16 hex characters | `HEX16.json` |
//! | a skill | `skill:NAME` | `skill,NAME.json` |
//! | a skill for a node | `node:HEX+skill:NAME` | `HEX16+skill,NAME.json` |
//! | a recipe's own | `RECIPE:TARGET`, or `RECIPE:NAME` | `RECIPE,TARGET.json` |
//!
//! The first two are the earlier thrall's. A comma stands for the colon, which
//! tools that copy files take for a host's name.

use crate::ids::{self, is_valid_name};

/// Words that begin a common target, and so can name no recipe: its own
/// breakers would be taken for them.
pub const RESERVED: [&str; 3] = ["global", "node", "skill"];

/// A node is called by so many characters of its id.
const NODE_CHARS: usize = 16;
const MAX_NODE_CHARS: usize = 64;
pub(super) const MAX_NAME_BYTES: usize = 128;
/// Everything.
pub const GLOBAL: &str = "global";
const ENDING: &str = ".json";

/// A checked target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    kind: &'static str,
    text: String,
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "breaker target {0:?} is none: expected global, node:HEX (at least 16 hex characters), skill:NAME, node:HEX+skill:NAME, or a recipe's own as RECIPE:NAME; a name has at most 128 of a-z, 0-9, ., _ and -, no dot first{hint}", hint = hint(.0)
)]
pub struct TargetError(String);

/// What was probably meant.
fn hint(text: &str) -> String {
    nearest(text).map_or_else(String::new, |meant| format!("; did you mean {meant}?"))
}

fn nearest(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (word, rest) = match text.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (text.as_str(), None),
    };
    let meant = match (ids::nearest(word, RESERVED), rest) {
        (Some("global"), _) => "global".to_owned(),
        (Some(kind), Some(rest)) => format!("{kind}:{rest}"),
        _ => return None,
    };
    Target::parse(&meant).is_ok().then_some(meant)
}

impl Target {
    /// # Errors
    /// The text is no target; it says which there are.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        common(text).or_else(|| own(text)).ok_or_else(|| {
            // It may be long, and it was written by somebody.
            TargetError(text.chars().take(MAX_NAME_BYTES).collect())
        })
    }

    /// A recipe's own breaker: two recipes that name the same target stop
    /// different things.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn own(recipe: &str, target: &str) -> Result<Self, TargetError> {
        let text = format!("{recipe}:{target}");
        own(&text).ok_or_else(|| TargetError(text.chars().take(MAX_NAME_BYTES).collect()))
    }

    /// As files and guests name it; the same for every way of writing it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The word in the file's `type`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Where it lies in `breakers/`.
    pub fn file_name(&self) -> String {
        format!("{}{ENDING}", self.text.replace(':', ","))
    }

    /// The target of a file; `None` for a file that is no breaker's.
    pub fn of_file(name: &str) -> Option<Self> {
        let text = name.strip_suffix(ENDING)?.replace(',', ":");
        // Only the one way of writing it: there are no two files of a target.
        Self::parse(&text).ok().filter(|target| target.file_name() == name)
    }
}

/// The file name of a target.
///
/// # Errors
/// As [`Target::parse`].
pub fn file_name(target: &str) -> Result<String, TargetError> {
    Ok(Target::parse(target)?.file_name())
}

/// A target that means the same for every recipe.
fn common(text: &str) -> Option<Target> {
    if text == "global" {
        return Some(Target { kind: "global", text: text.to_owned() });
    }
    if let Some(name) = text.strip_prefix("skill:") {
        return is_name(name).then(|| Target { kind: "skill", text: text.to_owned() });
    }
    let text = text.strip_prefix("node:").unwrap_or(text);
    match text.split_once("+skill:") {
        None => Some(Target { kind: "node", text: node(text)? }),
        Some((id, name)) => {
            let id = node(id)?;
            is_name(name).then(|| Target { kind: "node+skill", text: format!("{id}+skill:{name}") })
        }
    }
}

fn node(id: &str) -> Option<String> {
    let is_id = (NODE_CHARS..=MAX_NODE_CHARS).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.chars().take(NODE_CHARS).collect::<String>().to_ascii_lowercase())
}

fn own(text: &str) -> Option<Target> {
    let (recipe, target) = text.split_once(':')?;
    if !is_valid_name(recipe) || RESERVED.contains(&recipe) {
        return None;
    }
    let target = match common(target) {
        Some(common) => common.text,
        None => is_name(target).then(|| target.to_owned())?,
    };
    Some(Target { kind: "recipe", text: format!("{recipe}:{target}") })
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_target_has_its_file() {
        let id = "AABBCCDDEEFF00112233445566778899aabbccddeeff00112233445566778899";
        for (text, kind, file) in [
            ("global", "global", "global.json"),
            ("aabbccddeeff0011", "node", "aabbccddeeff0011.json"),
            (id, "node", "aabbccddeeff0011.json"),
            (&format!("node:{id}"), "node", "aabbccddeeff0011.json"),
            ("skill:knarr-mail", "skill", "skill,knarr-mail.json"),
            (
                &format!("node:{id}+skill:knarr-mail"),
                "node+skill",
                "aabbccddeeff0011+skill,knarr-mail.json",
            ),
            ("oom-watch:relay.1", "recipe", "oom-watch,relay.1.json"),
            ("oom-watch:global", "recipe", "oom-watch,global.json"),
            (&format!("oom-watch:node:{id}"), "recipe", "oom-watch,aabbccddeeff0011.json"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.kind(), target.file_name().as_str()), (kind, file), "{text}");
            assert_eq!(Target::of_file(file), Some(target));
        }
    }

    #[test]
    fn what_could_lead_out_or_be_taken_for_another_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "x",
            "Global",
            "global/",
            "../state/thrall",
            "skill:../x",
            "skill:",
            "skill:.hidden",
            "skill:a/b",
            "skill:a\0",
            "skill:UPPER",
            "node:aabb",
            "node:zzbbccddeeff0011",
            "aabbccddeeff0011+skill:",
            "recipe:",
            "recipe:a:b:c",
            "Recipe:a",
            "global:x",
            "node:x",
            ".x:y",
            "a,b:c",
            &format!("skill:{}", "a".repeat(129)),
        ] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
        for file in ["x.json", "global.JSON", "skill:x.json", "AABBCCDDEEFF0011.json", ".json"] {
            assert_eq!(Target::of_file(file), None, "{file}");
        }
    }

    #[test]
    fn a_slip_is_told_what_was_probably_meant() {
        for (text, meant) in [
            ("Global", "did you mean global?"),
            ("golbal", "did you mean global?"),
            ("Skill:knarr-mail", "did you mean skill:knarr-mail?"),
            ("SKILL:Knarr-Mail", "did you mean skill:knarr-mail?"),
            ("Node:AABBCCDDEEFF0011", "did you mean node:aabbccddeeff0011?"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(meant), "{error}");
        }
        assert!(!Target::parse("../x").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn a_recipe_never_reaches_a_common_breaker_by_its_name() {
        for reserved in RESERVED {
            assert!(Target::own(reserved, "aabbccddeeff0011").is_err());
        }
        let own = Target::own("oom-watch", "node:aabbccddeeff0011").unwrap();
        assert_ne!(own.file_name(), Target::parse("aabbccddeeff0011").unwrap().file_name());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_names_a_file_inside(
            text in prop_oneof![
                "\\PC{0,80}",
                "(node:|skill:|recipe:|a:|global|\\.\\.|/|\\x00|[a-f0-9]{16}|\\+skill:|[a-zA-Z.,_-]{1,5}){0,6}",
            ],
        ) {
            if let Ok(target) = Target::parse(&text) {
                let name = target.file_name();
                prop_assert!(crate::plain_file::is_plain_name(&name), "{}", name);
                prop_assert!(!name.starts_with('.') && name.len() <= 240, "{}", name);
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
                prop_assert_eq!(Target::of_file(&name), Some(target.clone()));
                prop_assert_eq!(Target::parse(target.as_str()), Ok(target.clone()));
            }
        }
    }
}
