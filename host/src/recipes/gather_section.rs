//! `[[gather]]`: what the host fetches for a recipe between the filter and the
//! evaluators. How a path is written is in `plain_path.rs`.

use super::reading::Reading;
use super::{GatherSource, GatherSpec, plain_path};
use crate::strict_toml::Table;

const KEYS: [&str; 4] = ["name", "source", "path", "max_bytes"];
const MAX_ENTRIES: usize = 16;

/// Reads the entries, in their order.
pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>) -> Vec<GatherSpec> {
    let tables = top.tables("gather");
    if tables.len() > MAX_ENTRIES {
        let what = format!("{} [[gather]] entries", tables.len());
        let expected = format!("at most {MAX_ENTRIES}");
        reading.sink.error_expected(top.at_key("gather"), what, expected);
        return Vec::new();
    }
    let mut specs: Vec<GatherSpec> = Vec::new();
    for table in tables {
        let Some((spec, at_name, at_path)) = entry(reading, &table) else {
            continue;
        };
        if specs.iter().any(|earlier| earlier.name == spec.name) {
            let what = format!("two [[gather]] entries are called {:?}", spec.name);
            reading.sink.error(at_name, what);
        }
        if specs.iter().any(|earlier| earlier.source == spec.source) {
            let what = format!("[[gather]] reads {} twice: name it once", spec.source);
            reading.sink.error(at_path, what);
        }
        specs.push(spec);
    }
    specs
}

/// An entry with the places of its name and path; `None` only after an error.
fn entry(reading: &Reading<'_>, table: &Table<'_>) -> Option<(GatherSpec, usize, usize)> {
    table.only(&KEYS, &[]);
    for (key, example) in [
        ("name", "name = \"NAME\", then {{gather.NAME}} is its content"),
        ("source", "source = \"file\""),
        ("path", "path = \"/var/log/node/serve.log\""),
    ] {
        if !table.has(key) {
            table.missing(key, example);
        }
    }
    if let Some(source) = table.text("source")
        && source.value != "file"
    {
        let what = format!(
            "[[gather]] source {:?} is not in this version of thrall, which gathers files alone",
            source.value
        );
        reading.sink.error_expected(source.at, what, "file");
    }
    let max_bytes = match table.has("max_bytes") {
        true => table.integer("max_bytes", 1..=i64::from(GatherSpec::MAX_BYTES)),
        false => Some(GatherSpec::MAX_BYTES),
    };
    let name = table.text("name");
    let path = table.text("path");
    let checked_name = name.and_then(|name| reading.name(name, "[[gather]] name"));
    let checked_path = path.and_then(|path| plain_path::check(reading, path, "[[gather]] path"));
    let spec = GatherSpec {
        name: checked_name?,
        source: GatherSource::File(checked_path?),
        max_bytes: max_bytes?,
    };
    Some((spec, name?.at, path?.at))
}
