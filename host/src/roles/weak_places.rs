//! Places of a home where an agent could reach round its role: what belongs to
//! the operator or the service and is the agent's to write by its owner or
//! mode. Only looking; `serve` says it, `doctor` says what to do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Peer, Roles};
use crate::home::Home;

/// What the agent must not be able to write, inside a home.
const NOT_THE_AGENTS: [&str; 9] =
    ["", "thrall.toml", "grants", "prompts", "models", "breakers", "artifacts", "run", "state"];

const STICKY: u32 = 0o1000;

/// A line for each place, with what to do.
pub fn of_home(home: &Home, roles: &Roles) -> Vec<String> {
    let mut found = Vec::new();
    for agent in roles.real_agents() {
        for inside in NOT_THE_AGENTS {
            let path = home.root().join(inside);
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if may(agent, &metadata, Access::Write) {
                found.push(format!(
                    "{} can be written by the agent (uid {}): give it to the service or the operator and run `chmod go-w {}`",
                    path.display(), agent.uid, path.display()
                ));
            }
        }
        let state = home.state();
        if std::fs::metadata(&state).is_ok_and(|metadata| may(agent, &metadata, Access::Enter)) {
            found.push(format!(
                "{} can be entered by the agent (uid {}): run `chmod 700 {}`",
                state.display(),
                agent.uid,
                state.display()
            ));
        }
        found.extend(replaceable(home.root(), agent));
    }
    found.sort();
    found.dedup();
    found
}

/// Whether an agent cannot write recipes/, which is no danger, only useless.
/// Nothing is said of a user whose groups are not known, having no account.
pub fn recipes_out_of_reach(home: &Home, roles: &Roles) -> Option<String> {
    let path = home.recipes();
    let metadata = std::fs::metadata(&path).ok()?;
    let agent = roles
        .agents
        .iter()
        .find(|agent| !agent.gids.is_empty() && !may(agent, &metadata, Access::Write))?;
    Some(format!(
        "the agent (uid {}) cannot write {}: give it the agent's group and run `chmod 2770 {}`",
        agent.uid,
        path.display(),
        path.display()
    ))
}

/// Whether briefings, which hold other people's mail, are open to every user.
pub fn open_briefings(home: &Home) -> Option<String> {
    let path = home.artifacts();
    let mode = std::fs::metadata(&path).ok()?.mode();
    (mode & 0o005 != 0).then(|| {
        format!(
            "{} can be read by every user of this machine: name the agent's group in [roles] agent_groups, and `serve` opens it to that group alone",
            path.display()
        )
    })
}

/// Whoever may write a folder above the home can put another home in its place.
fn replaceable(root: &Path, agent: &Peer) -> Option<String> {
    let root = root.canonicalize().ok()?;
    let above = root.ancestors().skip(1).find(|folder| {
        std::fs::metadata(folder).is_ok_and(|metadata| {
            metadata.mode() & STICKY == 0 && may(agent, &metadata, Access::Write)
        })
    })?;
    Some(format!(
        "{} can be written by the agent (uid {}), who could replace the home in it: move the home elsewhere",
        above.display(),
        agent.uid
    ))
}

#[derive(Clone, Copy)]
enum Access {
    Write,
    Enter,
}

fn may(peer: &Peer, metadata: &Metadata, access: Access) -> bool {
    let bit = match access {
        Access::Write => 0o2,
        Access::Enter => 0o1,
    };
    allows(peer, (metadata.uid(), metadata.gid(), metadata.mode()), bit)
}

/// The owner's, else the group's, else the others' bits count. An owner can
/// give itself what is missing.
fn allows(peer: &Peer, (uid, gid, mode): (u32, u32, u32), bit: u32) -> bool {
    if peer.uid == uid {
        true
    } else if peer.gids.contains(&gid) {
        mode & (bit << 3) != 0
    } else {
        mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_group_and_others_are_told_apart() {
        let agent = Peer { uid: 1001, gids: vec![1001, 950] };
        assert!(allows(&agent, (1001, 0, 0o400), 0o2), "an owner can change the mode");
        assert!(allows(&agent, (900, 950, 0o2770), 0o2));
        assert!(!allows(&agent, (900, 950, 0o2757), 0o2), "the group's bits, not the others'");
        assert!(!allows(&agent, (900, 900, 0o755), 0o2) && allows(&agent, (900, 900, 0o755), 0o1));
        assert!(allows(&agent, (0, 0, 0o777), 0o2) && !allows(&agent, (900, 900, 0o700), 0o1));
    }
}
