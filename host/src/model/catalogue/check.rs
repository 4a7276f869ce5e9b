//! What an entry must satisfy before anything is fetched for it. A home's
//! catalogue is the operator's, yet its words become file names, addresses and
//! pip's arguments, so each is held to the narrowest form that serves.

use super::{Converted, Entry, Source, WheelPart, is_loopback_http};
use crate::ids::is_valid_name;

/// More than any model that a doorkeeper's machine can hold; a slip of the pen
/// in a size should not fill a disk.
const MAX_SIZE: u64 = 64 << 30;
const MAX_CONTEXT: u32 = 1 << 20;
const MAX_HEADS: u32 = 1 << 10;
const MAX_TEXT: usize = 1024;

/// The reason why an entry is refused, as the end of a sentence.
pub(super) fn entry(entry: &Entry) -> Result<(), String> {
    if !is_valid_name(&entry.name) {
        return Err("the name must be 1 to 64 lower-case letters, digits, - or _".to_owned());
    }
    file_name(&entry.file)?;
    size(entry.size)?;
    if entry.context == 0 || entry.context > MAX_CONTEXT {
        return Err(format!("context must be 1 to {MAX_CONTEXT} tokens"));
    }
    for (key, text) in [
        ("description", &entry.description),
        ("architecture", &entry.architecture),
        ("licence name", &entry.licence.name),
        ("licence url", &entry.licence.url),
    ] {
        printable(key, text)?;
    }
    match (&entry.converted, entry.sources.is_empty()) {
        (None, _) => sources(&entry.sources, "model"),
        (Some(converted), true) => conversion(entry, converted),
        (Some(_), false) => {
            Err("a model has [[model.source]] or [model.converted], not both".to_owned())
        }
    }
}

fn conversion(entry: &Entry, converted: &Converted) -> Result<(), String> {
    let Converted::BertQ8_0 { heads, .. } = converted;
    if *heads == 0 || *heads > MAX_HEADS {
        return Err(format!("heads must be 1 to {MAX_HEADS}"));
    }
    for original in converted.originals(&entry.name) {
        let what = format!("model.converted.{}", original.name);
        size(original.size).map_err(|reason| format!("{what}: {reason}"))?;
        sources(original.sources, &what)?;
    }
    Ok(())
}

fn size(size: u64) -> Result<(), String> {
    if size == 0 || size > MAX_SIZE {
        return Err(format!("size must be 1 to {MAX_SIZE} bytes"));
    }
    Ok(())
}

fn sources(sources: &[Source], of: &str) -> Result<(), String> {
    if sources.is_empty() {
        return Err(format!("at least one [[{of}.source]] is needed"));
    }
    sources.iter().try_for_each(source)
}

fn file_name(file: &str) -> Result<(), String> {
    let plain = file.len() <= 128
        && !file.starts_with(['.', '-'])
        && file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !plain {
        return Err(format!("file {file:?} must be a plain file name of letters, digits, . - _"));
    }
    let extension = std::path::Path::new(file).extension();
    if !extension.is_some_and(|found| found.eq_ignore_ascii_case("gguf")) {
        return Err(format!("file {file:?} must end in .gguf"));
    }
    Ok(())
}

fn source(source: &Source) -> Result<(), String> {
    match source {
        Source::Https { url } => {
            printable("url", url)?;
            if url.starts_with("https://") || is_loopback_http(url) {
                Ok(())
            } else {
                Err(format!("url {url:?} must start with https://"))
            }
        }
        Source::Pypi { parts } if parts.is_empty() => {
            Err("a pypi source needs at least one part".to_owned())
        }
        Source::Pypi { parts } => parts.iter().try_for_each(part),
    }
}

/// Package and version become one argument of pip. It must not be read as an
/// option, an address or a path.
fn part(part: &WheelPart) -> Result<(), String> {
    let word = |text: &str, extra: &[u8]| {
        text.len() <= 128
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
    };
    if !word(&part.package, b"-_.") {
        return Err(format!("{:?} is not a Python package's name", part.package));
    }
    if !word(&part.version, b".+!_-") {
        return Err(format!("{:?} is not an exact version", part.version));
    }
    printable("member", &part.member)
}

/// These texts are shown in tables and messages.
fn printable(key: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(format!("{key} must be 1 to {MAX_TEXT} bytes without control characters"));
    }
    Ok(())
}
