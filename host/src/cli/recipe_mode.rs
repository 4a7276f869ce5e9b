//! `thrall recipe mode`: how far a recipe acts. The grant holds what the
//! operator allows, the recipe's own file what its author wants; the lower of
//! the two is in force. Lowering is anybody's who may write either; raising is
//! the operator's, who wants to have seen reviews first.

use anyhow::{Context as _, bail};

use super::printer::Printer;
use super::{Outcome, grant};
use crate::app::grant_files;
use crate::config::set_key::set_key;
use crate::config::{Config, Promotion};
use crate::home::Home;
use crate::plain_file;
use crate::recipes::Mode;
use crate::recipes::manifest::file_name;
use crate::recipes::registry::{Registry, Revision};
use crate::store::{Reader, ReviewCounts};

pub(super) fn run(
    home: &Home,
    config: &Config,
    registry: &Registry,
    name: &str,
    (word, force): (&str, bool),
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let wanted = grant::mode_of(word)?;
    let Some(entry) = grant::find(registry, name, printer) else { return Ok(Outcome::No) };
    let Some(revision) = &entry.revision else {
        printer.talk(&format!("{name} has no revision that could run: thrall recipe check"));
        return Ok(Outcome::No);
    };
    let (of_file, of_grant) = (revision.recipe.mode, revision.grant.mode);
    let present = of_file.min(of_grant);
    if wanted > present && !force && wanted.acts() {
        let counts = Reader::open(&home.state())?.review_counts(name, Some(revision.digest))?;
        if let Some(why) = missing(config.promotion, counts) {
            printer.talk(&format!(
                "{name} stays {}: {why}. See `thrall review list --recipe {name}`, or say --force.",
                present.as_str()
            ));
            return Ok(Outcome::No);
        }
    }
    if wanted < present {
        lower(home, name, wanted)?;
    } else {
        if of_grant < wanted {
            raise_grant(home, name, revision, wanted)?;
        }
        if of_file < wanted {
            set_file(home, name, wanted)?;
        }
    }
    printer.talk(&format!("{name}: {} (was {})", wanted.as_str(), present.as_str()));
    Ok(Outcome::Done)
}

/// What evidence is missing for a higher mode.
fn missing(rule: Promotion, counts: ReviewCounts) -> Option<String> {
    let reviewed = counts.confirmed + counts.corrected;
    if reviewed < rule.reviewed {
        return Some(format!(
            "{reviewed} of {} runs of this revision are reviewed by the operator",
            rule.reviewed
        ));
    }
    (counts.corrected > rule.corrected).then(|| {
        format!(
            "{} of {reviewed} reviewed runs were corrected, {} may be",
            counts.corrected, rule.corrected
        )
    })
}

/// In the grant by the operator, in the file by whoever may not write grants.
fn lower(home: &Home, name: &str, wanted: Mode) -> anyhow::Result<()> {
    match grant_files::set_mode(home, name, wanted) {
        Ok(()) => Ok(()),
        Err(_) => set_file(home, name, wanted),
    }
}

fn raise_grant(home: &Home, name: &str, revision: &Revision, wanted: Mode) -> anyhow::Result<()> {
    if revision.grant.binding.is_none() {
        bail!("{name} has no grant: thrall grant allow {name} --mode {}", wanted.as_str());
    }
    grant_files::set_mode(home, name, wanted)
}

/// The mode is no part of what a grant binds: the revision stays the same.
fn set_file(home: &Home, name: &str, wanted: Mode) -> anyhow::Result<()> {
    let path = home.recipes();
    let dir = home.dir(&path)?;
    let file = format!("{name}.toml");
    let present =
        dir.read_to_string(&file).with_context(|| format!("cannot read {}", file_name(name)))?;
    let Some(text) = set_key(&present, "", "mode", &format!("{:?}", wanted.as_str())) else {
        bail!(
            "cannot set the mode in {}: write mode = {:?} there",
            file_name(name),
            wanted.as_str()
        );
    };
    plain_file::replace(&dir, &file, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.join(&file).display()))
}
