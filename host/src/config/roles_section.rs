//! `[roles]` and `[http]`: who is operator and who is agent, by name or
//! number, and whether there is a port besides the sockets.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::file::section;
use crate::ids::nearest;
use crate::roles::accounts::Accounts;
use crate::roles::{Peer, Roles};
use crate::strict_toml::{Problem, Table};

/// Whether a list names users or groups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Group,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    fn number(self, accounts: &Accounts, name: &str) -> Option<u32> {
        match self {
            Self::User => accounts.uid(name),
            Self::Group => accounts.gid(name),
        }
    }
}

pub(super) fn roles(top: &Table<'_>, accounts: &Accounts) -> Roles {
    let Some(table) = section(top, "roles") else { return Roles::default() };
    let ids = |key: &str, kind: Kind| ids(&table, key, kind, accounts);
    let agent_users = ids("agent_users", Kind::User);
    let agent_groups = ids("agent_groups", Kind::Group);
    Roles {
        service: 0,
        operator_users: ids("operator_users", Kind::User),
        operator_groups: ids("operator_groups", Kind::Group),
        agents: agents(&agent_users, &agent_groups, accounts),
        agent_users,
        agent_groups,
        accept_advisory: table.flag("accept_advisory").unwrap_or(false),
    }
}

/// Every account that is an agent, with all of its groups.
fn agents(users: &[u32], groups: &[u32], accounts: &Accounts) -> Vec<Peer> {
    let mut uids: Vec<u32> = users.to_vec();
    uids.extend(groups.iter().flat_map(|gid| accounts.members_of(*gid)));
    uids.sort_unstable();
    uids.dedup();
    uids.into_iter().map(|uid| Peer { uid, gids: accounts.groups_of(uid) }).collect()
}

/// A list of names and numbers, as numbers.
fn ids(table: &Table<'_>, key: &str, kind: Kind, accounts: &Accounts) -> Vec<u32> {
    let Some(value) = table.value(key) else { return Vec::new() };
    let expected = format!("a list of {} names or numbers", kind.word());
    let DeValue::Array(items) = value.get_ref() else {
        let what = format!("{} {key} is no list", table.name());
        table.sink().error_expected(value.span().start, what, expected);
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        let at = item.span().start;
        let number = match item.get_ref() {
            DeValue::String(name) => match name.parse::<u32>() {
                Ok(number) => Some(number),
                Err(_) => {
                    let number = kind.number(accounts, name);
                    if number.is_none() {
                        unknown(table, key, kind, accounts, (at, name.as_ref()));
                        continue;
                    }
                    number
                }
            },
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) => found.push(number),
            None => {
                let what = format!("{} {key} holds something else", table.name());
                table.sink().error_expected(at, what, expected.clone());
            }
        }
    }
    found
}

fn unknown(
    table: &Table<'_>,
    key: &str,
    kind: Kind,
    accounts: &Accounts,
    (at, name): (usize, &str),
) {
    let what = format!(
        "{} {key} holds {name:?}, and this machine has no such {}",
        table.name(),
        kind.word()
    );
    let names: Vec<&str> = match kind {
        Kind::User => accounts.user_names().collect(),
        Kind::Group => accounts.group_names().collect(),
    };
    let problem = Problem::at(table.sink().file(), table.sink().text(), at, what);
    table.sink().add(Problem {
        expected: Some(format!(
            "a {} of /etc/{}, or its number",
            kind.word(),
            match kind {
                Kind::User => "passwd",
                Kind::Group => "group",
            }
        )),
        nearest: nearest(name, names).map(str::to_owned),
        ..problem
    });
}

/// Where HTTP listens, if anywhere.
pub(super) fn http(top: &Table<'_>) -> Option<SocketAddr> {
    let listen = section(top, "http")?.text("listen").filter(|listen| !listen.value.is_empty())?;
    let what = format!("[http] listen is {:?}", listen.value);
    match listen.value.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Some(address),
        Ok(_) => {
            let why = "an address of this machine alone (127.0.0.1:PORT or [::1]:PORT): tokens \
                       would cross the network in the clear, put a proxy with TLS before it";
            top.sink().error_expected(listen.at, what, why);
            None
        }
        Err(_) => {
            top.sink().error_expected(listen.at, what, "an address and a port, 127.0.0.1:7171");
            None
        }
    }
}
