//! Who is operator and who is agent, and whether anything really separates
//! them. Pure decisions over numbers: names are resolved in the configuration
//! (`config/roles_section.rs`) with the machine's accounts
//! (`roles/accounts.rs`), peers are read from connections in `server/`.

pub mod accounts;
pub mod weak_places;

#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::recipes::Mode;

const ROOT: u32 = 0;

/// As whom somebody comes in. What a role may do is the table in
/// `server/routes.rs`, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Operator,
    Agent,
    /// Brings events, nothing else.
    Source,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Source => "source",
        }
    }
}

/// A user of the machine with the groups it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub gids: Vec<u32>,
}

/// Who is who, in numbers, as resolved at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The user that the service is: the owner of `state/`.
    pub service: u32,
    pub operator_users: Vec<u32>,
    pub operator_groups: Vec<u32>,
    pub agent_users: Vec<u32>,
    pub agent_groups: Vec<u32>,
    /// Every account that is an agent: by name, or by its group.
    pub agents: Vec<Peer>,
    /// The operator knows that nothing separates them, and wants recipes to
    /// run unattended all the same.
    pub accept_advisory: bool,
}

/// Whether agent, operator and service are different users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Separation {
    Strict,
    /// They are told apart by socket only; says why.
    Advisory(String),
}

impl Separation {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Advisory(_) => "advisory",
        }
    }

    /// Why it is not strict; empty if it is.
    pub fn reason(&self) -> &str {
        match self {
            Self::Strict => "",
            Self::Advisory(reason) => reason,
        }
    }
}

/// Somebody who may not come in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAdmitted {
    /// Stable, for scripts.
    pub code: &'static str,
    pub detail: String,
}

/// What a socket's file lets through. Behind it [`Roles::role_of`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    pub mode: u32,
    pub group: Option<u32>,
}

impl Roles {
    pub fn separation(&self) -> Separation {
        if self.real_agents().next().is_none() {
            let reason = if self.agent_groups.is_empty() {
                "no agent user is set in [roles]"
            } else {
                "nobody but the service is in the agent_groups of [roles]"
            };
            return Separation::Advisory(reason.to_owned());
        }
        let shared = self.real_agents().find_map(|agent| {
            let uid = agent.uid;
            if uid == ROOT {
                Some("the agent is root".to_owned())
            } else if uid == self.service {
                Some(format!("agent and service are one user (uid {uid})"))
            } else if self.is_operator(agent) {
                Some(format!("agent and operator are one user (uid {uid})"))
            } else {
                None
            }
        });
        shared.map_or(Separation::Strict, Separation::Advisory)
    }

    /// Agents without the service's own user, which is in the agent's group only
    /// to share files with it; unless it is named as an agent.
    pub fn real_agents(&self) -> impl Iterator<Item = &Peer> {
        self.agents
            .iter()
            .filter(|agent| agent.uid != self.service || self.agent_users.contains(&agent.uid))
    }

    /// As whom a peer comes in at the socket of a role, or why not. The
    /// service's own user and root are operators: they could read and write
    /// everything anyway.
    ///
    /// # Errors
    /// When the socket is not for that user.
    pub fn role_of(&self, socket: Role, peer: Option<&Peer>) -> Result<Role, NotAdmitted> {
        let is_admitted = match socket {
            Role::Source => true,
            Role::Operator => peer.is_some_and(|peer| self.is_operator(peer)),
            Role::Agent => peer.is_some_and(|peer| self.is_operator(peer) || self.is_agent(peer)),
        };
        if is_admitted {
            return Ok(socket);
        }
        let who = peer.map_or_else(
            || "the system does not say who is connected".to_owned(),
            |peer| format!("uid {} is not one", peer.uid),
        );
        Err(match socket {
            Role::Operator => NotAdmitted {
                code: "not_the_operator",
                detail: format!(
                    "this socket is the operator's, and {who}: use run/agent.sock, or name the \
                     user in [roles] operator_users"
                ),
            },
            Role::Agent | Role::Source => NotAdmitted {
                code: "not_the_agent",
                detail: format!(
                    "this socket is for agents, and {who}: the operator names agents in [roles] \
                     agent_users"
                ),
            },
        })
    }

    fn is_operator(&self, peer: &Peer) -> bool {
        peer.uid == ROOT
            || peer.uid == self.service
            || self.operator_users.contains(&peer.uid)
            || peer.gids.iter().any(|gid| self.operator_groups.contains(gid))
    }

    fn is_agent(&self, peer: &Peer) -> bool {
        self.agent_users.contains(&peer.uid)
            || peer.gids.iter().any(|gid| self.agent_groups.contains(gid))
    }

    /// Whether a role follows from a group, so that a peer's groups matter.
    pub fn uses_groups(&self) -> bool {
        !self.operator_groups.is_empty() || !self.agent_groups.is_empty()
    }

    /// The owner and one group are all that a file's mode can tell apart. Where
    /// more is asked for, the file lets everybody connect, and who is let in
    /// is decided by the peer alone.
    pub fn socket_access(&self, socket: Role) -> SocketAccess {
        let (users, groups) = match socket {
            Role::Operator => (&self.operator_users, &self.operator_groups),
            Role::Agent => (&self.agent_users, &self.agent_groups),
            Role::Source => return SocketAccess { mode: 0o660, group: None },
        };
        let is_member = |uid: u32| {
            let agent = self.agents.iter().find(|agent| agent.uid == uid);
            agent.is_some_and(|agent| groups.iter().any(|group| agent.gids.contains(group)))
        };
        let needs_no_group =
            users.iter().all(|uid| *uid == ROOT || *uid == self.service || is_member(*uid));
        match groups.as_slice() {
            [] if needs_no_group => SocketAccess { mode: 0o660, group: None },
            [group] if needs_no_group => SocketAccess { mode: 0o660, group: Some(*group) },
            _ => SocketAccess { mode: 0o666, group: None },
        }
    }
}

/// The highest mode that any recipe may have. Automated recipes act unseen, so
/// they need a grant that the agent cannot have written, or an operator who
/// says that this is accepted.
pub fn mode_ceiling(separation: &Separation, accept_advisory: bool) -> Mode {
    match separation {
        Separation::Strict => Mode::Automated,
        Separation::Advisory(_) if accept_advisory => Mode::Automated,
        Separation::Advisory(_) => Mode::Supervised,
    }
}

/// The ceiling of a configuration.
pub fn ceiling(config: &Config) -> Mode {
    mode_ceiling(&config.roles.separation(), config.roles.accept_advisory)
}
