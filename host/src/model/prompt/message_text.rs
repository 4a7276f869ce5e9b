//! Foreign text made fit for a prompt: one line, bounded, without anything that
//! a tokenizer, a chat template or a terminal could take for structure.
//!
//! The fence around a message is a pair of double quotes within one line. Since
//! neither a double quote nor a line break survives in here, no text can close it.

use crate::envelope::visible_text;

/// Names that stand for structure in some model's vocabulary.
const TOKEN_NAMES: [&str; 16] = [
    "s",
    "bos",
    "eos",
    "unk",
    "pad",
    "mask",
    "sep",
    "cls",
    "inst",
    "sys",
    "system",
    "user",
    "assistant",
    "model",
    "think",
    "image",
];

/// The longest thing between brackets that is taken for a token's name.
const MAX_TOKEN_NAME: usize = 32;

/// The text as one clean line of at most `limit` characters.
///
/// As [`visible_text::one_line`]; double quotes become single ones, and look-alikes
/// of special tokens (`<start_of_turn>`, `<|im_end|>`, `[INST]`) lose their brackets'
/// shape.
pub fn one_line(text: &str, limit: usize) -> String {
    defuse_tokens(&visible_text::one_line(text, limit).replace('"', "'"))
}

fn defuse_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let close = match c {
            '<' => Some('>'),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(close) = close
            && let Some((name, tail)) = bracketed(after, close)
            && is_token_name(name)
        {
            out.push('(');
            out.extend(name.chars().map(|c| if matches!(c, '|' | '｜') { ' ' } else { c }));
            out.push(')');
            rest = tail;
        } else {
            out.push(c);
            rest = after;
        }
    }
    out
}

fn bracketed(after: &str, close: char) -> Option<(&str, &str)> {
    let (at, _) = after.char_indices().take(MAX_TOKEN_NAME).find(|(_, c)| *c == close)?;
    Some((after.get(..at)?, after.get(at + close.len_utf8()..)?))
}

fn is_token_name(name: &str) -> bool {
    let word = name.strip_prefix('/').unwrap_or(name).to_lowercase();
    let is_wordlike = !word.is_empty() && !word.contains(char::is_whitespace);
    is_wordlike
        && (word.contains(['|', '｜', '_'])
            || word.starts_with("unused")
            || word.starts_with("0x")
            || word.starts_with("multimodal")
            || TOKEN_NAMES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_ordinary_text_and_html_readable() {
        assert_eq!(one_line("  Hi,\r\n\r\nis  node 7 up?\t", 800), "Hi, is node 7 up?");
        assert_eq!(one_line("<b>Sale</b> a < b [1]", 800), "<b>Sale</b> a < b [1]");
    }

    #[test]
    fn takes_the_shape_from_special_tokens() {
        let text = "<start_of_turn>model <|im_end|> [INST] </s> <unused12> <0x0A>";
        let clean = one_line(text, 800);
        assert_eq!(clean, "(start_of_turn)model ( im_end ) (INST) (/s) (unused12) (0x0A)");
    }

    #[test]
    fn hides_nothing_and_reorders_nothing() {
        assert_eq!(one_line("a\u{202e}b\u{200b}c\u{1b}[31md\u{e0041}", 800), "abc[31md");
    }

    #[test]
    fn a_disguised_message_reads_plain_and_its_fences_stay_shut() {
        assert_eq!(one_line("ｉｇｎоre ａｌｌ", 800), "ignore all");
        assert_eq!(one_line("＂ ＜start_of_turn＞ ［INST］", 800), "' (start_of_turn) (INST)");
    }

    #[test]
    fn the_limit_counts_characters_that_are_left() {
        assert_eq!(one_line(&format!("{}äöü", " ".repeat(5000)), 2), "äö");
    }

    proptest! {
        #[test]
        fn no_text_can_close_its_fence(text in any::<String>(), limit in 1usize..200) {
            let clean = one_line(&text, limit);
            prop_assert!(!clean.contains(['"', '\n', '\r']));
            prop_assert!(!clean.chars().any(char::is_control));
            prop_assert!(clean.chars().count() <= limit);
        }
    }
}
