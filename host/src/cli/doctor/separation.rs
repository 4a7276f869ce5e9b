//! The findings of `doctor` about who is who, each with what to do.

use super::{Findings, Level};
use crate::config::Config;
use crate::home::Home;
use crate::roles::{Separation, weak_places};

pub(super) fn look(home: &Home, config: &Config, findings: &mut Findings) {
    let roles = &config.roles;
    match roles.separation() {
        Separation::Strict => findings.add(
            Level::Good,
            "roles",
            "separation = \"strict\": agent, operator and service are different users",
        ),
        Separation::Advisory(reason) => {
            let then = if roles.accept_advisory {
                "accepted by accept_advisory = true, recipes may be automated"
            } else {
                "recipes are supervised at most"
            };
            let text = format!(
                "separation = \"advisory\": {reason}; {then}. To change it, run the agent as a user of its own and name that user in [roles] agent_users or its group in agent_groups"
            );
            findings.add(Level::Warning, "roles", text);
        }
    }
    for place in weak_places::of_home(home, roles) {
        findings.add(Level::Bad, "roles", place);
    }
    if let Some(text) = weak_places::recipes_out_of_reach(home, roles) {
        findings.add(Level::Warning, "roles", text);
    }
}
