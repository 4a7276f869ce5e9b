//! The recipe's `[config]` table: what becomes of each kind, and what of the
//! node's own may go out.

use serde::Deserialize;

use crate::kind::Kind;

/// From mild to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    Pass,
    Redact,
    Block,
}

/// Every key has a default: secrets stop the mail, personal data is taken out.
/// A key that nobody knows is an error, and an error stops the mail: a mistake
/// in this table must not open the door.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    private_key: Policy,
    cloud_key: Policy,
    token: Policy,
    secret: Policy,
    mnemonic: Policy,
    card: Policy,
    iban: Policy,
    phone: Policy,
    email: Policy,
    /// Own mail addresses, `@domain` for all of one, phone numbers and accounts.
    allow: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            private_key: Policy::Block,
            cloud_key: Policy::Block,
            token: Policy::Block,
            secret: Policy::Block,
            mnemonic: Policy::Block,
            card: Policy::Redact,
            iban: Policy::Redact,
            phone: Policy::Redact,
            email: Policy::Redact,
            allow: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) fn policy(&self, kind: Kind) -> Policy {
        match kind {
            Kind::PrivateKey => self.private_key,
            Kind::CloudKey => self.cloud_key,
            Kind::Token => self.token,
            Kind::Secret => self.secret,
            Kind::Mnemonic => self.mnemonic,
            Kind::Card => self.card,
            Kind::Iban => self.iban,
            Kind::Phone => self.phone,
            Kind::Email => self.email,
        }
    }

    /// Whether something found is the operator's own to give away. Secrets never
    /// are: they have a policy.
    pub(crate) fn allows(&self, kind: Kind, found: &str) -> bool {
        match kind {
            Kind::Email => self.allow.iter().any(|own| is_own_address(own, found)),
            Kind::Phone | Kind::Iban => self
                .allow
                .iter()
                .any(|own| own.contains(|c: char| c.is_ascii_digit()) && bare(own).eq(bare(found))),
            _ => false,
        }
    }
}

fn is_own_address(own: &str, found: &str) -> bool {
    if own.starts_with('@') {
        return found
            .rfind('@')
            .and_then(|at| found.get(at..))
            .is_some_and(|domain| domain.eq_ignore_ascii_case(own));
    }
    found.eq_ignore_ascii_case(own)
}

/// Letters and digits, however they are grouped.
fn bare(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_uppercase())
}
