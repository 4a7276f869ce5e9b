//! What kinds of steps there are, and the words for them.

use thrall_sdk::words::nearest;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Log,
    Drop,
    Compile,
    Wake,
    Reply,
    Mail,
    Skill,
    SetContext,
    SetFlag,
    TripBreaker,
    Trigger,
    Answer,
}

/// Every word for a kind. People and earlier recipes use more than one.
const WORDS: [(&str, Kind); 15] = [
    ("log", Kind::Log),
    ("drop", Kind::Drop),
    ("compile", Kind::Compile),
    ("wake", Kind::Wake),
    ("summon", Kind::Wake),
    ("reply", Kind::Reply),
    ("mail", Kind::Mail),
    ("mail_peer", Kind::Mail),
    ("act", Kind::Skill),
    ("skill", Kind::Skill),
    ("set_context", Kind::SetContext),
    ("set_flag", Kind::SetFlag),
    ("trip_breaker", Kind::TripBreaker),
    ("trigger", Kind::Trigger),
    ("answer", Kind::Answer),
];

impl Kind {
    /// The kind of that name; `set-flag` is `set_flag`.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let same = |known: &str| {
            known.len() == word.len()
                && known.bytes().zip(word.bytes()).all(|(k, w)| k == w || (k == b'_' && w == b'-'))
        };
        WORDS.iter().find(|(known, _)| same(known)).map(|(_, kind)| *kind)
    }

    /// What a person should have written instead of `word`.
    pub(crate) fn suggestion(word: &str) -> String {
        let words = WORDS.map(|(word, _)| word);
        match nearest(word, &words) {
            Some(near) => ["did you mean `", near, "`?"].concat(),
            None => ["the kinds are ", &words.join(", ")].concat(),
        }
    }
}
