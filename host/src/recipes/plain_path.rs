//! The path of a file in a recipe. There is one way of writing each, so that the
//! grant, which is compared as text, and the file mean the same; and a path is a
//! literal: nothing that a sender wrote gets into it.

use super::reading::Reading;
use crate::strict_toml::Placed;

/// The longest path that the kernel takes is a little shorter.
const MAX_PATH_BYTES: usize = 4096;

/// The path, or a problem that begins with `whose`.
pub(super) fn check(reading: &Reading<'_>, path: Placed<&str>, whose: &str) -> Option<String> {
    let text = path.value;
    let wrong = if !text.starts_with('/') {
        "is not absolute"
    } else if text.ends_with('/') {
        "ends with a slash: it names a folder"
    } else if text.len() > MAX_PATH_BYTES {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else if text.contains("{{") {
        "holds a placeholder: nothing that a sender wrote gets into it"
    } else if text.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        "holds an empty part, . or .."
    } else {
        return Some(text.to_owned());
    };
    let shown: String = text.chars().take(120).collect();
    let what = format!("{whose} {shown:?} {wrong}");
    let expected = "the plain path of one file, such as /var/log/node/serve.log";
    reading.sink.error_expected(path.at, what, expected);
    None
}
