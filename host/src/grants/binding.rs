//! Which revision a grant is for. A grant names the recipe as it was when the
//! operator looked at it, components included; what changes it waits for the
//! operator, unless the grant follows and nothing widens.

use super::{Follow, Grant, Need};
use crate::ids::Digest;

/// What a grant is bound to: the canonical recipe and the components that lie
/// in files, by name. Bundled components are left out, since they are the
/// host's own and change with it.
pub fn digest(canonical: &Digest, file_components: &[(String, Digest)]) -> Digest {
    let mut parts: Vec<&[u8]> = vec![b"thrall binding 1", &canonical.0];
    for (name, digest) in file_components {
        parts.push(name.as_bytes());
        parts.push(&digest.0);
    }
    Digest::of_parts(&parts)
}

/// A revision, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    pub binding: Digest,
    pub has_own_components: bool,
    pub priority: i32,
    pub stop: bool,
    /// The kind of event that it sees.
    pub trigger: &'a str,
    /// Digest of its trigger and filter: which of those events it takes.
    pub reach: Digest,
    /// See [`super::need::of_recipe`].
    pub needs: &'a [Need<'static>],
}

/// Whether a grant covers a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It is the one that was granted.
    Bound,
    /// It is another, and stays inside what was granted.
    Followed,
    /// Why it waits for the operator.
    Waits(String),
}

/// Decides. `granted` is the revision that the grant was made for, where it is
/// still known: without it nothing can be compared, so nothing is followed.
pub fn cover(grant: &Grant, offered: &Offered<'_>, granted: Option<&Offered<'_>>) -> Cover {
    let again = format!("thrall grant allow {}", grant.recipe);
    let Some(binding) = grant.binding else {
        return Cover::Waits(format!("grants/{}.toml names no revision: {again}", grant.recipe));
    };
    if binding == offered.binding {
        return Cover::Bound;
    }
    let has_components =
        offered.has_own_components || granted.is_some_and(|granted| granted.has_own_components);
    let usual = if has_components { Follow::Exact } else { Follow::SameOrNarrower };
    if grant.follow.unwrap_or(usual) == Follow::Exact {
        return Cover::Waits(format!("the recipe has changed since it was granted: {again}"));
    }
    let Some(granted) = granted else {
        return Cover::Waits(format!(
            "the recipe has changed, and the granted revision is not known any more: {again}"
        ));
    };
    // Both decide about other recipes' events, which no line of a grant bounds.
    if offered.stop && !granted.stop {
        return Cover::Waits(format!("it now ends the list of recipes (stop = true): {again}"));
    }
    if offered.stop && offered.reach != granted.reach {
        return Cover::Waits(format!(
            "it ends the list of recipes (stop = true) for other events than before: {again}"
        ));
    }
    if offered.trigger != granted.trigger {
        return Cover::Waits(format!(
            "its trigger changes from {} to {}: {again}",
            granted.trigger, offered.trigger
        ));
    }
    if offered.priority > granted.priority {
        return Cover::Waits(format!(
            "its priority rises from {} to {}: {again}",
            granted.priority, offered.priority
        ));
    }
    match offered.needs.iter().find_map(|need| grant.allow(need).err()) {
        Some(denial) => Cover::Waits(format!("it widens, which would need {denial}, or: {again}")),
        None => Cover::Followed,
    }
}
