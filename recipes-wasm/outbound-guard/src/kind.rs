//! What can be found, and how findings are told: by kind and number, so that no
//! secret gets into a journal by way of the reason.

use std::fmt;

/// Kinds of findings, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    PrivateKey,
    CloudKey,
    Token,
    Secret,
    Mnemonic,
    Card,
    Iban,
    Phone,
    Email,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::PrivateKey,
        Self::CloudKey,
        Self::Token,
        Self::Secret,
        Self::Mnemonic,
        Self::Card,
        Self::Iban,
        Self::Phone,
        Self::Email,
    ];

    /// The word in `[config]`, in reasons and in redacted text.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::CloudKey => "cloud_key",
            Self::Token => "token",
            Self::Secret => "secret",
            Self::Mnemonic => "mnemonic",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Email => "email",
        }
    }
}

/// One place in a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// How many of each kind.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<(Kind, usize)>);

impl Counts {
    pub(crate) fn add(&mut self, kind: Kind) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.0.push((kind, 1)),
        }
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.0.iter().any(|(known, _)| *known == kind)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in Kind::ALL {
            if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == kind) {
                write!(f, "{separator}{count} {}", kind.word())?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
