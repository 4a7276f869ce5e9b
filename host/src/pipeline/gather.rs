//! The gather stage: fetches what the recipe declares, each source once, and
//! keeps it with the run. What cannot be had is left out and the trace says
//! why; a value is never made up.

use std::borrow::Cow;

use super::RunInput;
use super::ports::{Gathered, Ports};
use super::record::RunRecord;
use crate::envelope::Field;
use crate::grants::Need;
use crate::ids::Digest;
use crate::journal::GatherTrace;
use crate::recipes::{GatherSource, GatherSpec};

/// What all sources of one run may bring together, in bytes: as much as one
/// event may have.
const MAX_TOTAL_BYTES: usize = 64 * 1024;

pub(super) async fn apply(ports: &Ports, input: RunInput<'_>, run: &mut RunRecord) {
    let mut left = MAX_TOTAL_BYTES;
    for spec in &input.revision.recipe.gather {
        let found = fetch(ports, input, spec, left).await;
        let mut trace = GatherTrace {
            name: spec.name.clone(),
            source: spec.source.to_string(),
            bytes: 0,
            sha256: None,
            truncated: false,
            replaced: false,
            error: None,
        };
        match found {
            Ok(Gathered { text, truncated, replaced }) => {
                left = left.saturating_sub(text.len());
                trace.bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
                trace.sha256 = Some(Digest::of(text.as_bytes()));
                trace.truncated = truncated;
                trace.replaced = replaced;
                let field = Field::new(spec.name.clone(), text);
                run.gathered.push(field.clone());
                run.inputs.gathered.push(field);
            }
            Err(why) => trace.error = Some(why),
        }
        run.gather.push(trace);
    }
}

async fn fetch(
    ports: &Ports,
    input: RunInput<'_>,
    spec: &GatherSpec,
    left: usize,
) -> Result<Gathered, String> {
    let GatherSource::File(path) = &spec.source;
    input
        .authority
        .allow(&Need::GatherFile(Cow::Borrowed(path)))
        .map_err(|denial| format!("denied, missing: {denial}"))?;
    if left == 0 {
        return Err(format!("the sources before it used up the {MAX_TOTAL_BYTES} bytes of a run"));
    }
    let cap = usize::try_from(spec.max_bytes).unwrap_or(usize::MAX).min(left);
    let found = ports.gatherer.read(spec, cap).await?;
    if found.text.len() > cap {
        return Err(format!("{} bytes came, {cap} were asked for", found.text.len()));
    }
    Ok(found)
}

/// The end of a text, at most `max_bytes`, from the beginning of a line if
/// there is one. `begins_inside` says that the text itself begins inside a
/// line.
pub fn last_lines(text: &str, max_bytes: usize, begins_inside: bool) -> &str {
    let mut from = text.len().saturating_sub(max_bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let (before, rest) = text.split_at(from);
    if before.ends_with('\n') || (before.is_empty() && !begins_inside) {
        return rest;
    }
    match rest.split_once('\n') {
        Some((_, lines)) if !lines.is_empty() => lines,
        // One line that is longer than all that may be taken.
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn whole_lines_are_taken_where_there_are_any() {
        assert_eq!(last_lines("a\nb\nc", 10, false), "a\nb\nc");
        assert_eq!(last_lines("a\nb\nc", 10, true), "b\nc");
        assert_eq!(last_lines("aa\nbb\ncc\n", 7, false), "bb\ncc\n");
        assert_eq!(last_lines("aa\nbb\ncc\n", 6, false), "bb\ncc\n");
        assert_eq!(last_lines("aa\nbb\ncc\n", 5, false), "cc\n");
        assert_eq!(last_lines("aaaaaa\n", 3, false), "aa\n");
        assert_eq!(last_lines("äää", 3, false), "ä");
        assert_eq!(last_lines("", 0, true), "");
        assert_eq!(last_lines("abc", 0, false), "");
    }
}
