//! Planning a grant: the recipe as it lies there is rehearsed on stored events
//! with everything allowed, and what it asked for is written down. Reads are
//! live, and so is the model where the row has no answer; nothing is performed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use super::progress;
use crate::app::{self, Deciders};
use crate::capabilities::gathered_files::FileGatherer;
use crate::capabilities::live::LiveAnswers;
use crate::capabilities::no_node::NoNode;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::{Clock, SystemClock, TimestampMs};
use crate::grants::plan::Observed;
use crate::grants::{self, Authority, Follow, Grant, Permissions};
use crate::home::Home;
use crate::ids::Digest;
use crate::journal::HostInputs;
use crate::pipeline::ports::Ports;
use crate::pipeline::{self, RunInput, Switches};
use crate::recipes::registry::{Candidate, GrantFile, Revision};
use crate::recipes::{Mode, matching};
use crate::rehearsal::recorded::{NoMeter, RecordedFacts};
use crate::sender_limits::SenderLimits;
use crate::store::{JournalEntry, JournalFilter, Reader, StoredEnvelope};

/// Rows of the journal that are looked through for each event that matches.
const ROWS_PER_EVENT: u32 = 20;

/// A recipe to plan a grant for.
pub(super) struct Planner {
    revision: Revision,
    ports: Option<(Arc<Reader>, Ports)>,
}

/// What rehearsed events needed.
pub(super) struct Needed {
    pub(super) events: u32,
    pub(super) permissions: Permissions,
}

/// A stored event with what was decided about it.
struct Past {
    stored: StoredEnvelope,
    tier: crate::envelope::sender::Tier,
    at: TimestampMs,
}

impl Planner {
    pub(super) fn new(
        home: &Home,
        deciders: &Deciders,
        candidate: Candidate,
    ) -> anyhow::Result<Self> {
        let nothing = Arc::new(Grant::nothing(&candidate.recipe.name));
        let revision = Revision::new(candidate, nothing, Mode::Automated);
        // A home that never ran has no events to rehearse.
        let breakers = Breakers::existing(&home.breakers(), SystemClock.now())
            .with_context(|| format!("cannot open {}", home.breakers().display()))?;
        let ports = Reader::open(&home.state()).ok().map(Arc::new).map(|reader| {
            let answers = LiveAnswers::new(
                Arc::clone(&reader),
                Arc::clone(&deciders.questions),
                Arc::new(breakers),
                Arc::new(NoNode),
            );
            let ports = Ports {
                sandbox: Arc::clone(&deciders.sandbox) as _,
                facts: Arc::new(RecordedFacts::new(HostInputs::default())),
                answers: Arc::new(answers),
                classifier: Arc::clone(&deciders.questions) as _,
                meter: Arc::new(NoMeter),
                circuits: Arc::default(),
                gatherer: Arc::new(FileGatherer::new(home.secret_folders())),
                engine: Arc::from(app::ENGINE),
            };
            (reader, ports)
        });
        Ok(Self { revision, ports })
    }

    pub(super) fn name(&self) -> &str {
        &self.revision.recipe.name
    }

    pub(super) fn binding(&self) -> Digest {
        self.revision.binding
    }

    /// The grant that is there, if it is good.
    pub(super) fn present(&self, deciders: &Deciders) -> anyhow::Result<Option<Grant>> {
        Ok(match deciders.loader.grant(self.name())? {
            GrantFile::Granted(grant, _) => Some(Grant::clone(&grant)),
            GrantFile::Absent | GrantFile::Broken(_) => None,
        })
    }

    /// The grant file that is there, whoever owns it.
    ///
    /// # Errors
    /// When it cannot be read, or every problem that is in it.
    pub(super) fn present_file(&self, home: &Home) -> anyhow::Result<Grant> {
        let file = home.grants().join(format!("{}.toml", self.name()));
        let bytes =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        grants::parse_bytes(self.name(), &bytes)
            .map_err(|problems| anyhow::anyhow!("{}", crate::strict_toml::lines(&problems)))
    }

    /// A grant for the recipe as it lies there.
    pub(super) fn grant(
        &self,
        mode: Mode,
        follow: Option<Follow>,
        permissions: Permissions,
    ) -> Grant {
        Grant::new(self.name(), Some(self.binding()), follow, mode, permissions)
    }

    /// Rehearses the last `last` events that the recipe's trigger matches.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn observe(&self, last: u32) -> anyhow::Result<Needed> {
        let asked = Arc::new(Mutex::new(Permissions::default()));
        let authority = Authority::planning(Arc::clone(&self.revision.grant), Arc::clone(&asked));
        let mut observed = Observed::default();
        let past = self.events(last)?;
        let bar = progress::items(past.len() as u64, "rehearsing");
        for one in &past {
            let Some((_, ports)) = &self.ports else { break };
            let input = RunInput {
                seq: 0,
                envelope: &one.stored.envelope,
                revision: &self.revision,
                authority: &authority,
                tier: one.tier,
                now: one.at,
                answered: false,
                switches: Switches::default(),
                limits: &SenderLimits::default(),
            };
            let commit = pipeline::run(ports, input).await?;
            observed.run(&commit.trace, one.at);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let mut permissions = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What its components import they can ask for at any time.
        for need in self.revision.needs.iter() {
            if matches!(need, grants::Need::Import(_)) {
                permissions.add(need);
            }
        }
        Ok(Needed {
            events: u32::try_from(past.len()).unwrap_or(u32::MAX),
            permissions: observed.bound(permissions),
        })
    }

    fn events(&self, last: u32) -> anyhow::Result<Vec<Past>> {
        let Some((reader, _)) = &self.ports else { return Ok(Vec::new()) };
        let filter = JournalFilter {
            limit: last.saturating_mul(ROWS_PER_EVENT),
            ..JournalFilter::default()
        };
        let mut seen = BTreeSet::new();
        let mut past = Vec::new();
        for record in reader.journal_list(&filter)? {
            let JournalEntry::Decision { row, .. } = &record.entry else { continue };
            if past.len() >= last as usize || !seen.insert(row.envelope_seq) {
                continue;
            }
            let Some(stored) = reader.journal_show(record.id)?.and_then(|story| story.envelope)
            else {
                continue;
            };
            if !stored.has_expired
                && matching::matches(&self.revision.recipe.trigger, &stored.envelope)
            {
                past.push(Past { stored, tier: row.tier, at: row.at });
            }
        }
        Ok(past)
    }

    /// Permissions with everything that the recipe declares as well.
    pub(super) fn declared(&self, permissions: Permissions) -> Permissions {
        grants::plan::declared(&self.revision.needs, permissions)
    }

    /// Lines of what the recipe declares beyond some permissions, each once.
    pub(super) fn declared_beyond(&self, permissions: &Permissions) -> Vec<String> {
        let small = self.grant(Mode::Manual, None, permissions.clone());
        let mut lines: Vec<String> = Vec::new();
        let denied = self.revision.needs.iter().filter_map(|need| small.allow(need).err());
        for line in denied.map(|denial| denial.line) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}
