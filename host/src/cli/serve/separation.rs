//! What `serve` says about who is who: whether anything separates agent and
//! operator, and what follows from it.

use crate::app::{App, listings};
use crate::recipes::Mode;
use crate::roles::{self, Separation, weak_places};

pub(super) fn lines(app: &App) -> Vec<String> {
    let roles = &app.config().roles;
    let separation = roles.separation();
    let ceiling = roles::ceiling(&app.config());
    let mut lines = vec![match &separation {
        Separation::Strict => {
            "separation = \"strict\": agent, operator and service are different users".to_owned()
        }
        Separation::Advisory(reason) => format!(
            "separation = \"advisory\": {reason}; agent and operator are told apart by socket only"
        ),
    }];
    if ceiling < Mode::Automated {
        let held = listings::held_down(&app.registry.load(), ceiling);
        let which = if held.is_empty() { String::new() } else { format!(" ({})", held.join(", ")) };
        lines.push(format!(
            "Recipes are {} at most{which}: run the agent as a user of its own, named in [roles], or set accept_advisory = true there",
            ceiling.as_str()
        ));
    }
    if separation == Separation::Strict {
        let weak = weak_places::of_home(&app.home, roles);
        lines.extend(weak.into_iter().map(|place| format!("warning: {place}")));
    }
    lines
}
