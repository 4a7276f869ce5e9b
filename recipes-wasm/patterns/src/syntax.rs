//! From the text of a pattern to its tree.

use std::fmt;

use crate::MAX_PATTERN_BYTES;
use crate::ascii::Ascii;
use crate::fold::{fold, upper};

/// Groups within groups. The parser calls itself, and a guest's stack is 64 KiB.
const MAX_DEPTH: usize = 24;

/// Most repetitions that `{n,m}` may ask for.
const MAX_REPEAT: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Empty,
    Char(char),
    Any { line_breaks: bool },
    Class(Class),
    Assert(Assertion),
    Concat(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, min: usize, max: Option<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Assertion {
    TextStart,
    /// The very end.
    TextEnd,
    /// The end, or before a line break that ends the text.
    LastLineEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    negated: bool,
    items: Vec<Item>,
    /// Its characters in ASCII.
    ascii: Ascii,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    Range(char, char),
    Kind { kind: Kind, negated: bool },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Word,
    Digit,
    Space,
}

impl Class {
    fn new(negated: bool, items: Vec<Item>) -> Self {
        let mut ascii = items.iter().fold(Ascii::NONE, |all, item| all.with(item.ascii()));
        if negated {
            ascii = ascii.others();
        }
        Self { negated, items, ascii }
    }

    /// Whether a folded character belongs to the class in any of its cases.
    pub(crate) fn contains(&self, c: char) -> bool {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => self.ascii.holds(byte),
            _ => self.items.iter().any(|item| item.contains(c)) != self.negated,
        }
    }

    pub(crate) fn ascii(&self) -> Ascii {
        self.ascii
    }

    /// Whether a folded character beyond ASCII can belong to it. The other cases
    /// of such a one are beyond ASCII as well.
    pub(crate) fn goes_beyond_ascii(&self) -> bool {
        let goes = |item: &Item| match item {
            Item::Range(_, to) => !to.is_ascii(),
            Item::Kind { .. } => true,
        };
        self.negated || self.items.iter().any(goes)
    }
}

impl Item {
    fn contains(self, c: char) -> bool {
        match self {
            Self::Range(from, to) => {
                let inside = |c: char| from <= c && c <= to;
                inside(c) || inside(upper(c))
            }
            Self::Kind { kind, negated } => kind.contains(c) != negated,
        }
    }

    fn ascii(self) -> Ascii {
        match self {
            Self::Range(from, to) => Ascii::range(from, to).in_small_letters(),
            Self::Kind { kind, negated: false } => kind.ascii(),
            Self::Kind { kind, negated: true } => kind.ascii().others(),
        }
    }
}

impl Kind {
    pub(crate) fn contains(self, c: char) -> bool {
        match self {
            Self::Word => c == '_' || c.is_alphanumeric(),
            Self::Digit => c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric()),
            Self::Space => c.is_whitespace(),
        }
    }

    fn ascii(self) -> Ascii {
        let digits = Ascii::range('0', '9');
        match self {
            Self::Word => {
                let letters = Ascii::range('A', 'Z').with(Ascii::range('a', 'z'));
                letters.with(digits).with(Ascii::range('_', '_'))
            }
            Self::Digit => digits,
            Self::Space => Ascii::range('\t', '\r').with(Ascii::range(' ', ' ')),
        }
    }
}

/// Why a text is no pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The character at which it goes wrong, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for PatternError {}

pub(crate) fn parse(pattern: &str) -> Result<Node, PatternError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(PatternError { column: 1, problem: "the pattern is longer than 1,024 bytes" });
    }
    let mut parser = Parser { rest: pattern, column: 1, flags: Flags::default() };
    let node = parser.either(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.fail("`)` without `(`; write \\) for the character")),
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    dot_takes_line_breaks: bool,
    multi_line: bool,
}

struct Parser<'p> {
    rest: &'p str,
    column: usize,
    flags: Flags,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.column += 1;
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        self.column += text.chars().count();
        true
    }

    fn fail(&self, problem: &'static str) -> PatternError {
        PatternError { column: self.column, problem }
    }

    fn either(&mut self, depth: usize) -> Result<Node, PatternError> {
        if depth > MAX_DEPTH {
            return Err(self.fail("groups are nested too deep"));
        }
        let first = self.concat(depth)?;
        if self.peek() != Some('|') {
            return Ok(first);
        }
        let mut branches = vec![first];
        while self.eat("|") {
            branches.push(self.concat(depth)?);
        }
        Ok(Node::Either(branches))
    }

    fn concat(&mut self, depth: usize) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom(depth)?;
            nodes.push(self.repeated(atom)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.swap_remove(0),
            _ => Node::Concat(nodes),
        })
    }

    fn atom(&mut self, depth: usize) -> Result<Node, PatternError> {
        let multi_line = self.flags.multi_line;
        let Some(c) = self.peek() else { return Ok(Node::Empty) };
        if matches!(c, '*' | '+' | '?') {
            return Err(self.fail("nothing stands before this sign that could be repeated"));
        }
        self.next();
        Ok(match c {
            '.' => Node::Any { line_breaks: self.flags.dot_takes_line_breaks },
            '^' if multi_line => Node::Assert(Assertion::LineStart),
            '^' => Node::Assert(Assertion::TextStart),
            '$' if multi_line => Node::Assert(Assertion::LineEnd),
            '$' => Node::Assert(Assertion::LastLineEnd),
            '(' => return self.group(depth),
            '[' => return self.class(),
            '\\' => return self.escape(),
            c => Node::Char(fold(c)),
        })
    }

    fn group(&mut self, depth: usize) -> Result<Node, PatternError> {
        let outer = self.flags;
        if self.eat("?") && self.group_kind()? {
            return Ok(Node::Empty);
        }
        let node = self.either(depth + 1)?;
        if !self.eat(")") {
            return Err(self.fail("`(` without `)`"));
        }
        self.flags = outer;
        Ok(node)
    }

    /// What stands between `(?` and the group's inside. `true` if it was a
    /// change of flags for the rest of the enclosing group.
    fn group_kind(&mut self) -> Result<bool, PatternError> {
        for look_around in ["=", "!", "<=", "<!"] {
            if self.rest.starts_with(look_around) {
                return Err(self.fail("look-around is not supported: it is not linear in time"));
            }
        }
        if self.rest.starts_with("P=") {
            return Err(self.fail("back-references are not supported: they are not linear in time"));
        }
        if self.eat("P<") || self.eat("<") {
            while let Some(c) = self.next() {
                if c == '>' {
                    return Ok(false);
                }
            }
            return Err(self.fail("the group's name has no `>`"));
        }
        loop {
            match self.next() {
                Some(':') => return Ok(false),
                Some(')') => return Ok(true),
                // Case is always ignored, and text is always Unicode.
                Some('i' | 'u') => {}
                Some('s') => self.flags.dot_takes_line_breaks = true,
                Some('m') => self.flags.multi_line = true,
                _ => return Err(self.fail("only the flags i, m, s and u are known after `(?`")),
            }
        }
    }

    fn repeated(&mut self, node: Node) -> Result<Node, PatternError> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts()? {
                Some((min, max, length)) => {
                    self.rest = self.rest.get(length..).unwrap_or_default();
                    self.column += length;
                    return self.close_repeat(node, min, max);
                }
                // An open brace that begins no count is a brace.
                None => return Ok(node),
            },
            _ => return Ok(node),
        };
        self.next();
        self.close_repeat(node, min, max)
    }

    fn close_repeat(
        &mut self,
        node: Node,
        min: usize,
        max: Option<usize>,
    ) -> Result<Node, PatternError> {
        // Greedy or lazy only says which match is found, not whether.
        let _ = self.eat("?");
        if self.peek() == Some('+') {
            return Err(self.fail("possessive repetition is not supported"));
        }
        if matches!(self.peek(), Some('*' | '?')) {
            return Err(self.fail("a repetition cannot be repeated; put it in a group"));
        }
        Ok(Node::Repeat { node: Box::new(node), min, max })
    }

    /// `{n}`, `{n,}`, `{,m}` or `{n,m}`: the counts and the length in bytes.
    fn counts(&self) -> Result<Option<(usize, Option<usize>, usize)>, PatternError> {
        let Some((inside, _)) = self.rest.get(1..).and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(low) || !digits(high) || inside == "," || inside.is_empty() {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
        let min = if low.is_empty() { 0 } else { number(low) };
        let max = (!high.is_empty()).then(|| number(high));
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT) {
            return Err(self.fail("a repetition may count to 1,000 at most"));
        }
        if max.is_some_and(|max| max < min) {
            return Err(self.fail("the repetition's bounds are the wrong way round"));
        }
        Ok(Some((min, max, inside.len() + 2)))
    }

    fn escape(&mut self) -> Result<Node, PatternError> {
        let Some(c) = self.peek() else { return Err(self.fail("`\\` at the end")) };
        if let Some(item) = kind_of(c) {
            self.next();
            return Ok(Node::Class(Class::new(false, vec![item])));
        }
        let assertion = match c {
            'b' => Some(Assertion::WordBoundary),
            'B' => Some(Assertion::NoWordBoundary),
            'A' => Some(Assertion::TextStart),
            'z' | 'Z' => Some(Assertion::TextEnd),
            _ => None,
        };
        if let Some(assertion) = assertion {
            self.next();
            return Ok(Node::Assert(assertion));
        }
        Ok(Node::Char(fold(self.escaped_char()?)))
    }

    /// A single character after `\`.
    fn escaped_char(&mut self) -> Result<char, PatternError> {
        let Some(c) = self.next() else { return Err(self.fail("`\\` at the end")) };
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\x0c',
            'v' => '\x0b',
            'x' => return self.code_point(2),
            'u' => return self.code_point(4),
            '0'..='9' => {
                return Err(
                    self.fail("back-references are not supported: they are not linear in time")
                );
            }
            'p' | 'P' => {
                return Err(self.fail("\\p is not supported; use \\w, \\d, \\s or a range"));
            }
            c if c.is_ascii_alphanumeric() => {
                return Err(self.fail("this letter means nothing after `\\`"));
            }
            c => c,
        })
    }

    fn code_point(&mut self, length: usize) -> Result<char, PatternError> {
        let wrong = "no such character code";
        let digits = if self.eat("{") {
            let Some((inside, rest)) = self.rest.split_once('}') else {
                return Err(self.fail(wrong));
            };
            self.column += inside.chars().count() + 1;
            self.rest = rest;
            inside
        } else {
            let Some((digits, rest)) = self.rest.split_at_checked(length) else {
                return Err(self.fail(wrong));
            };
            self.column += length;
            self.rest = rest;
            digits
        };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.fail(wrong));
        }
        u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| self.fail(wrong))
    }

    fn class(&mut self) -> Result<Node, PatternError> {
        let negated = self.eat("^");
        let mut items = Vec::new();
        loop {
            let Some(c) = self.next() else { return Err(self.fail("`[` without `]`")) };
            let from = match c {
                ']' if !items.is_empty() => return Ok(Node::Class(Class::new(negated, items))),
                '[' if self.rest.starts_with(':') => {
                    return Err(self.fail("[:name:] is not supported; use \\w, \\d or \\s"));
                }
                '\\' => match self.peek().and_then(kind_of) {
                    Some(item) => {
                        self.next();
                        items.push(item);
                        continue;
                    }
                    None => self.class_char()?,
                },
                c => c,
            };
            items.push(self.range_from(from)?);
        }
    }

    fn range_from(&mut self, from: char) -> Result<Item, PatternError> {
        let mut ahead = self.rest.chars();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        if !is_range {
            let from = fold(from);
            return Ok(Item::Range(from, from));
        }
        self.next();
        let to = match self.next() {
            Some('\\') if self.peek().and_then(kind_of).is_some() => {
                return Err(self.fail("a range cannot end in a class"));
            }
            Some('\\') => self.class_char()?,
            Some(c) => c,
            None => return Err(self.fail("`[` without `]`")),
        };
        if to < from {
            return Err(self.fail("the range's ends are the wrong way round"));
        }
        Ok(Item::Range(from, to))
    }

    /// Inside a class `\b` is a backspace.
    fn class_char(&mut self) -> Result<char, PatternError> {
        if self.eat("b") { Ok('\x08') } else { self.escaped_char() }
    }
}

fn kind_of(letter: char) -> Option<Item> {
    let kind = match letter.to_ascii_lowercase() {
        'w' => Kind::Word,
        'd' => Kind::Digit,
        's' => Kind::Space,
        _ => return None,
    };
    Some(Item::Kind { kind, negated: letter.is_ascii_uppercase() })
}
