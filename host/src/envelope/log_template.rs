//! What a line of a log has in common with its like: the line with its variable
//! parts masked. A thousand failures of one kind differ in numbers, times,
//! addresses and ids, and have one template. Pure, and linear in the line.
//!
//! It errs on the side of masking: two different errors are told apart by their
//! words. In a line that is a JSON object quotes mask nothing by themselves,
//! because there all words stand in quotes.

/// The longest template, in bytes: lines that agree so far are of one kind.
pub const MAX_TEMPLATE_BYTES: usize = 1024;

/// How far the end of a quoted text is looked for.
const MAX_QUOTED_BYTES: usize = 256;
/// Shorter runs of hex digits are words and numbers.
const MIN_HEX: usize = 8;
/// A path has a letter or digit among its first characters.
const MAX_PATH_SIGNS: usize = 8;
/// With brackets around it and a zone behind it an address is no longer.
const MAX_IPV6_BYTES: usize = 46;
/// An id is at least so long and changes at least so often between letters and
/// digits.
const MIN_ID: usize = 6;
const MIN_ID_CHANGES: usize = 3;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The template of a line.
pub fn of_line(line: &str) -> String {
    let line = line.trim();
    let quotes_mask = !(line.starts_with('{') && line.ends_with('}'));
    let mut template = String::new();
    let mut rest = line;
    // What stands before decides whether a word begins here.
    let mut before: Option<char> = None;
    while let Some(next) = rest.chars().next() {
        if template.len() >= MAX_TEMPLATE_BYTES {
            break;
        }
        let (taken, mask) = match variable(rest, before, quotes_mask) {
            Some(found) => found,
            None if next == '\u{1b}' => (escape(rest), ""),
            None if next.is_whitespace() || next.is_control() => {
                (next.len_utf8(), if template.ends_with(' ') { "" } else { " " })
            }
            None => (next.len_utf8(), rest.get(..next.len_utf8()).unwrap_or_default()),
        };
        template.push_str(mask);
        let (over, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        // A colour in front of a word does not make it the end of another.
        if next != '\u{1b}' {
            before = over.chars().next_back();
        }
        rest = after;
    }
    let mut end = template.len().min(MAX_TEMPLATE_BYTES);
    while !template.is_char_boundary(end) {
        end -= 1;
    }
    template.truncate(end);
    template.truncate(template.trim_end().len());
    template
}

/// A variable part at the beginning of `rest`: its length and its mask.
fn variable(rest: &str, before: Option<char>, quotes_mask: bool) -> Option<(usize, &'static str)> {
    let begins_word = before.is_none_or(|c| !c.is_alphanumeric());
    if begins_word {
        let masked = [
            (quotes_mask.then(|| quoted(rest)).flatten(), "<text>"),
            (url(rest), "<url>"),
            (path(rest), "<path>"),
            (time(rest), "<time>"),
            (uuid(rest), "<uuid>"),
            (ipv4(rest), "<ip>"),
            (ipv6(rest), "<ip>"),
            (hex(rest), "<hex>"),
            (id(rest), "<id>"),
        ];
        if let Some((Some(taken), mask)) = masked.into_iter().find(|(taken, _)| taken.is_some()) {
            return Some((taken, mask));
        }
    }
    number(rest, before).map(|taken| (taken, "<n>"))
}

/// The length of the run of characters at the beginning that fit.
fn run(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    run(text, |c| c.is_ascii_digit())
}

fn after(text: &str, taken: usize) -> &str {
    text.get(taken..).unwrap_or_default()
}

/// Whether a word ends where `rest` begins.
fn ends_word(rest: &str) -> bool {
    rest.chars().next().is_none_or(|c| !c.is_alphanumeric())
}

/// A text in quotes, quotes included. An apostrophe inside a word is none.
fn quoted(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1).take_while(|(at, _)| *at <= MAX_QUOTED_BYTES) {
        if c == quote && !escaped && ends_word(after(rest, at + 1)) {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn url(rest: &str) -> Option<usize> {
    let scheme = run(rest, |c| c.is_ascii_alphabetic());
    let place = after(rest, scheme).strip_prefix("://")?;
    let taken = run(place, |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | ')'));
    (scheme > 0 && taken > 0).then_some(scheme + 3 + taken)
}

fn path(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix(['/', '~']).or_else(|| rest.strip_prefix("./"))?;
    if !inside.chars().take(MAX_PATH_SIGNS).any(char::is_alphanumeric) {
        return None;
    }
    let fits =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | '%');
    let skipped = rest.len() - inside.len();
    let taken = skipped + run(inside, fits);
    // A dot or dash at the end belongs to the sentence.
    let found = rest.get(..taken)?.trim_end_matches(['.', '-', ':']);
    found.contains(char::is_alphanumeric).then_some(found.len())
}

/// A date, a time of day, or both, in the forms that logs have.
fn time(rest: &str) -> Option<usize> {
    let date = iso_date(rest).or_else(|| month_date(rest)).or_else(|| slashed_date(rest));
    let Some(date) = date else { return clock(rest).filter(|end| ends_word(after(rest, *end))) };
    let behind = after(rest, date);
    let gap = behind.len() - behind.trim_start_matches([' ', 'T', 't', ':', '_']).len();
    match clock(after(behind, gap)) {
        Some(clock) if gap <= 2 => Some(date + gap + clock),
        _ => ends_word(behind).then_some(date),
    }
}

/// `2026-02-28` or `2026/02/28`.
fn iso_date(rest: &str) -> Option<usize> {
    let form = |separator: char| {
        let mut parts = rest.get(..10)?.split(separator);
        let lengths = [4, 2, 2];
        let all = lengths.iter().all(|length| {
            parts.next().is_some_and(|part| part.len() == *length && digits(part) == *length)
        });
        (all && parts.next().is_none()).then_some(10)
    };
    form('-').or_else(|| form('/'))
}

/// `Feb 28`, as syslog writes it, perhaps behind the day of the week, perhaps
/// with the year behind it.
fn month_date(rest: &str) -> Option<usize> {
    let month = rest.get(..3).filter(|word| MONTHS.contains(word))?;
    let behind = after(rest, month.len());
    let gap = run(behind, |c| c == ' ');
    let day = digits(after(behind, gap));
    ((1..=2).contains(&gap) && (1..=2).contains(&day)).then_some(3 + gap + day)
}

/// `28/Feb/2026`, as web servers write it.
fn slashed_date(rest: &str) -> Option<usize> {
    let day = digits(rest);
    let behind = after(rest, day).strip_prefix('/')?;
    let month = behind.get(..3).filter(|word| MONTHS.contains(word))?;
    let year = after(behind, month.len()).strip_prefix('/')?;
    ((1..=2).contains(&day) && digits(year) == 4).then_some(day + 1 + 3 + 1 + 4)
}

/// `09:31`, `09:31:41,123`, with a zone if it has one.
fn clock(rest: &str) -> Option<usize> {
    let two = |text: &str| (digits(text) == 2).then_some(2);
    let mut taken = two(rest)?;
    taken += 1 + two(after(rest, taken).strip_prefix(':')?)?;
    if let Some(seconds) = after(rest, taken).strip_prefix(':').and_then(two) {
        taken += 1 + seconds;
        if let Some(fraction) = after(rest, taken).strip_prefix(['.', ',']) {
            let length = digits(fraction);
            taken += if length > 0 { 1 + length } else { 0 };
        }
    }
    let zone = after(rest, taken);
    let spaced = zone.strip_prefix(' ').filter(|zone| zone.starts_with(['+', '-']));
    let signed = spaced.unwrap_or(zone).strip_prefix(['+', '-']);
    if let Some(offset) = signed {
        let hours = run(offset, |c| c.is_ascii_digit() || c == ':');
        if hours >= 4 {
            return Some(rest.len() - after(offset, hours).len());
        }
    }
    Some(taken + usize::from(zone.starts_with('Z') && ends_word(after(zone, 1))))
}

fn uuid(rest: &str) -> Option<usize> {
    let text = rest.get(..36)?;
    let mut parts = text.split('-');
    let all = [8, 4, 4, 4, 12].iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    });
    (all && parts.next().is_none() && ends_word(after(rest, 36))).then_some(36)
}

/// With its port, if it has one.
fn ipv4(rest: &str) -> Option<usize> {
    let mut taken = 0;
    for part in 0..4 {
        if part > 0 {
            after(rest, taken).strip_prefix('.')?;
            taken += 1;
        }
        let length = digits(after(rest, taken));
        if !(1..=3).contains(&length) {
            return None;
        }
        taken += length;
    }
    let behind = after(rest, taken);
    if behind.starts_with('.') && digits(after(behind, 1)) > 0 {
        return None;
    }
    let port = behind.strip_prefix(':').map_or(0, digits);
    let taken = if port > 0 { taken + 1 + port } else { taken };
    ends_word(after(rest, taken)).then_some(taken)
}

fn ipv6(rest: &str) -> Option<usize> {
    let fits = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':';
    let taken = rest.bytes().take(MAX_IPV6_BYTES).take_while(fits).count();
    let text = rest.get(..taken)?.trim_end_matches(':');
    let colons = text.matches(':').count();
    let is_address = colons >= 2
        && (text.contains("::") || colons >= 5)
        && text.contains(|c: char| c.is_ascii_digit())
        && text.split(':').all(|part| part.len() <= 4);
    (is_address && ends_word(after(rest, text.len()))).then_some(text.len())
}

/// `0x1f`, or a long run of hex digits with at least one that is a digit.
fn hex(rest: &str) -> Option<usize> {
    let (prefix, inside) = match rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        Some(inside) => (2, inside),
        None => (0, rest),
    };
    let taken = run(inside, |c| c.is_ascii_hexdigit());
    let text = inside.get(..taken)?;
    let has = |fits: fn(&char) -> bool| text.chars().any(|c| fits(&c));
    let is_hex = (prefix > 0 && taken > 0)
        || (taken >= MIN_HEX && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic));
    (is_hex && ends_word(after(inside, taken))).then_some(prefix + taken)
}

/// Letters and digits in turn, as in `a8f3k2m9`.
fn id(rest: &str) -> Option<usize> {
    let taken = run(rest, |c| c.is_ascii_alphanumeric());
    let text = rest.get(..taken)?.as_bytes();
    let changes = text
        .iter()
        .zip(text.iter().skip(1))
        .filter(|(one, next)| one.is_ascii_digit() != next.is_ascii_digit())
        .count();
    let is_id = taken >= MIN_ID && changes >= MIN_ID_CHANGES;
    (is_id && ends_word(after(rest, taken))).then_some(taken)
}

/// A number, wherever it stands; with its sign, point, commas and exponent.
fn number(rest: &str, before: Option<char>) -> Option<usize> {
    let is_signed = rest.starts_with(['-', '+'])
        && before.is_none_or(|c| c.is_whitespace() || matches!(c, '=' | ':' | '(' | '[' | ','));
    let sign = usize::from(is_signed);
    let whole = digits(after(rest, sign));
    if whole == 0 {
        return None;
    }
    let mut taken = sign + whole;
    while let Some(more) = after(rest, taken).strip_prefix(['.', ',']) {
        let is_point = after(rest, taken).starts_with('.');
        let length = digits(more);
        if length == 0 || !(is_point || length == 3) {
            break;
        }
        taken += 1 + length;
    }
    if let Some(exponent) = after(rest, taken).strip_prefix(['e', 'E']) {
        let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(signed);
        if length > 0 && ends_word(after(signed, length)) {
            taken = rest.len() - after(signed, length).len();
        }
    }
    Some(taken)
}

/// A colour or movement that is meant for a terminal.
fn escape(rest: &str) -> usize {
    let Some(inside) = rest.strip_prefix("\u{1b}[") else { return 1 };
    let parameters = run(inside, |c| c.is_ascii_digit() || matches!(c, ';' | '?'));
    let end = after(inside, parameters).chars().next().filter(char::is_ascii_alphabetic);
    2 + parameters + end.map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variable_parts_are_masked_and_words_stay() {
        for (line, expected) in [
            ("2026-02-28 09:31:41,123 ERROR pool 7 is full", "<time> ERROR pool <n> is full"),
            ("2026-02-28T09:31:41.5Z up", "<time> up"),
            ("2026-02-28T09:31:41+01:00 up", "<time> up"),
            ("Feb 28 09:31:41 node7 kernel: oom", "<time> node<n> kernel: oom"),
            ("Feb  8 09:31:41 x", "<time> x"),
            ("[28/Feb/2026:09:31:41 +0000] GET", "[<time>] GET"),
            ("09:31:41 tick", "<time> tick"),
            ("peer 10.0.0.7:9000 left", "peer <ip> left"),
            ("peer fe80::1 left", "peer <ip> left"),
            ("version 1.2.3.4.5 of it", "version <n> of it"),
            ("id 0b8f7c1e-93a1-4e7b-8f3c-2d1e0f9a8b7c gone", "id <uuid> gone"),
            ("node d9196be699447a12 and 0x1F", "node <hex> and <hex>"),
            ("session a8f3k2m9 ended", "session <id> ended"),
            ("cannot open /var/log/x-1.log.", "cannot open <path>."),
            ("see https://a.example/b?c=1 now", "see <url> now"),
            ("File \"/usr/lib/x.py\", line 12, in run", "File <text>, line <n>, in run"),
            ("user 'bob' isn't here", "user <text> isn't here"),
            ("took 12.5ms, -3 left, 1,234 of 5e-3", "took <n>ms, <n> left, <n> of <n>"),
            ("a  \t b\u{1b}[31mred\u{1b}[0m", "a bred"),
            ("feedface is a word", "feedface is a word"),
            ("std::io::Error and and/or", "std::io::Error and and/or"),
            (
                "{\"level\":\"error\",\"msg\":\"disk 3 full\"}",
                "{\"level\":\"error\",\"msg\":\"disk <n> full\"}",
            ),
            ("", ""),
        ] {
            assert_eq!(of_line(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_thousand_failures_of_one_kind_have_one_template_and_another_has_its_own() {
        let line = |n: u32| {
            format!(
                "2026-02-28 09:{:02}:{:02} ERROR task {n} of peer 10.0.{}.{}: timeout after {}.5s",
                n / 60 % 60,
                n % 60,
                n / 250,
                n % 250,
                n % 30
            )
        };
        let first = of_line(&line(0));
        assert!((1..1000).all(|n| of_line(&line(n)) == first), "{first}");
        assert_ne!(of_line("2026-02-28 09:00:00 ERROR disk full"), first);
    }

    #[test]
    fn a_hostile_line_costs_no_more_than_its_length() {
        let started = std::time::Instant::now();
        for part in ["'", "\"\\", "/", "/-", "a1", ":", "a:", "+a", "0x", "1.", "Feb ", "\u{1b}["] {
            of_line(&part.repeat(8 * 1024 / part.len()));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn any_line_has_a_short_template_without_digits(line in "\\PC{0,300}|[ -~\\x1b]{0,300}") {
            let template = of_line(&line);
            prop_assert!(template.len() <= MAX_TEMPLATE_BYTES);
            prop_assert!(!template.contains(|c: char| c.is_ascii_digit()), "{}", template);
        }

        #[test]
        fn other_numbers_are_the_same_kind(words in "[a-z]{1,8}( [a-z]{1,8}){0,3}", one: u32, other: u32) {
            prop_assert_eq!(of_line(&format!("{words} {one}: x")), of_line(&format!("{words} {other}: x")));
        }
    }
}
