//! Which of a module's world descriptions count.
//!
//! The kit is one crate, so its descriptions of all worlds end up in every
//! guest, and wit-component would merge them: a filter would list the types of
//! the other worlds as imports, and could even import the model, which no
//! filter may. Only the world that the export macro named counts.

use anyhow::{Context, Result, bail};

const DESCRIPTION: &[u8] = b"component-type:";

/// How wit-bindgen ends the names of descriptions that an export macro made.
const BY_EXPORT_MACRO: &[u8] = b":imports and exports";

const HEADER_BYTES: usize = 8;
const CUSTOM_SECTION: u8 = 0;

/// The module with the one world that it exports. A guest that was written
/// without the kit carries a single description, which is kept as it is.
pub(crate) fn keep_exported_world(module: &[u8]) -> Result<Vec<u8>> {
    let broken = "the module's sections are broken";
    let (header, mut rest) = module.split_at_checked(HEADER_BYTES).context(broken)?;
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let (section, after) = split_section(rest).context(broken)?;
        sections.push(section);
        rest = after;
    }
    let exported = |name: &[u8]| name.ends_with(BY_EXPORT_MACRO);
    let descriptions: Vec<&[u8]> =
        sections.iter().filter_map(|section| description(section)).collect();
    match (descriptions.len(), descriptions.iter().filter(|name| exported(name)).count()) {
        (1, 0) => return Ok(module.to_vec()),
        (_, 0) => bail!(
            "the module exports no recipe; add thrall_sdk::export_filter!, export_hotwire! or \
             export_action!"
        ),
        (_, 1) => {}
        _ => bail!("the module exports several worlds; a recipe's component has one"),
    }
    let kept = sections.iter().filter(|section| description(section).is_none_or(exported));
    Ok(std::iter::once(&header).chain(kept).copied().collect::<Vec<_>>().concat())
}

/// The first section, its head included, and what follows it.
fn split_section(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, body) = split_number(bytes.get(1..)?)?;
    let head = bytes.len() - body.len();
    bytes.split_at_checked(head.checked_add(length)?)
}

/// The name of a custom section that describes a world.
fn description(section: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = section.split_first()?;
    if *kind != CUSTOM_SECTION {
        return None;
    }
    let (_, body) = split_number(rest)?;
    let (length, body) = split_number(body)?;
    body.get(..length).filter(|name| name.starts_with(DESCRIPTION))
}

/// An unsigned number in LEB128, and what follows it.
fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x01\0\0\0";

    fn module(names: &[&str]) -> Vec<u8> {
        let mut module = HEADER.to_vec();
        for name in names {
            let length = u8::try_from(name.len()).unwrap();
            module.extend([CUSTOM_SECTION, length + 1, length]);
            module.extend(name.as_bytes());
        }
        module
    }

    #[test]
    fn only_the_exported_world_is_kept() {
        let exported = "component-type:wit-bindgen:1:filter:imports and exports";
        let all = module(&["component-type:wit-bindgen:1:model:encoded world", exported, "other"]);
        assert_eq!(keep_exported_world(&all).unwrap(), module(&[exported, "other"]));
    }

    #[test]
    fn a_guest_without_the_kit_keeps_its_only_world() {
        let own = module(&["component-type:wit-bindgen:1:own:encoded world"]);
        assert_eq!(keep_exported_world(&own).unwrap(), own);
    }

    #[test]
    fn a_module_without_an_exported_world_is_refused_with_the_way_out() {
        for module in [module(&[]), module(&["component-type:x:a", "component-type:x:b"])] {
            let error = keep_exported_world(&module).unwrap_err().to_string();
            assert!(error.contains("export_filter!"), "{error}");
        }
    }

    #[test]
    fn two_exported_worlds_are_refused() {
        let names =
            ["component-type:a:imports and exports", "component-type:b:imports and exports"];
        let error = keep_exported_world(&module(&names)).unwrap_err();
        assert!(error.to_string().contains("several worlds"));
    }

    #[test]
    fn a_broken_module_is_an_error() {
        let mut cut = module(&["component-type:a"]);
        cut.truncate(cut.len() - 1);
        for broken in
            [b"\0asm".to_vec(), cut, [HEADER, &[0, 0xff, 0xff, 0xff, 0xff, 0xff]].concat()]
        {
            assert!(keep_exported_world(&broken).is_err());
        }
    }
}
