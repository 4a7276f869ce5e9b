//! The little language of the scaffold's templates, so that each is one readable
//! file: `__NAME__` and other words are filled in, and a line `//? WORD` (`#?` in
//! other languages) begins a part that is kept only with that word; the next such
//! line ends it, `//? end` without beginning another. Pure.

/// Fills in a template.
pub(super) fn render(template: &str, words: &[&str], values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut is_kept = true;
    for line in template.lines() {
        if let Some(word) = marker(line) {
            is_kept = word == "end" || words.contains(&word);
        } else if is_kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}

fn marker(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//? ").or_else(|| line.strip_prefix("#? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_by_their_word() {
        let template = "a\n//? one\n  b __NAME__\n  //? two\nc\n#? end\nd\n";
        assert_eq!(render(template, &["one"], &[("__NAME__", "x")]), "a\n  b x\nd\n");
        assert_eq!(render(template, &["two"], &[]), "a\nc\nd\n");
        assert_eq!(render(template, &[], &[]), "a\nd\n");
    }
}
