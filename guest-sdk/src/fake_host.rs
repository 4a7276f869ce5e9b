//! A host for native unit tests: says what it is told to say, and remembers
//! what it was asked.
//!
//! ```
//! use thrall_sdk::{context, fake_host::FakeHost};
//!
//! let host = FakeHost::new().context("s-1", "mood", "calm").install();
//! assert_eq!(context::get("s-1", "mood"), Ok(Some("calm".into())));
//! assert_eq!(host.calls()[0].function, "get");
//! ```
//!
//! One per thread, so tests run side by side. A real host denies what is not
//! granted; this one denies everything while none is installed, and answers
//! "not there" for what it was not told about.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::HostError;
use crate::breaker::Breaker;
use crate::journal::Entry;
use crate::log::Level;
use crate::model::{Classification, Score, Usage};

pub(crate) mod answers;

/// What the host will answer. Build it, then [`install`](Self::install) it.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    context: BTreeMap<(String, String), String>,
    flags: BTreeMap<String, String>,
    journal: Vec<(Option<String>, Entry)>,
    breakers: Vec<Breaker>,
    classification: Option<Classification>,
    completion: Option<String>,
    embedding: Option<Vec<f32>>,
    cockpit: BTreeMap<String, String>,
    refusals: BTreeMap<String, HostError>,
}

/// One question that the recipe asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The WIT interface, such as `journal-read`.
    pub interface: &'static str,
    /// The WIT function, such as `count`.
    pub function: &'static str,
    /// The arguments, as text for an assertion.
    pub arguments: String,
}

impl FakeHost {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A context row.
    #[must_use]
    pub fn context(mut self, session: &str, key: &str, value: &str) -> Self {
        self.context.insert((session.into(), key.into()), value.into());
        self
    }

    /// A flag.
    #[must_use]
    pub fn flag(mut self, key: &str, value: &str) -> Self {
        self.flags.insert(key.into(), value.into());
        self
    }

    /// A row of the journal, of no session. Queries really search these rows.
    #[must_use]
    pub fn journal(mut self, entry: Entry) -> Self {
        self.journal.push((None, entry));
        self
    }

    /// A row of the journal, of a session.
    #[must_use]
    pub fn journal_of_session(mut self, session: &str, entry: Entry) -> Self {
        self.journal.push((Some(session.into()), entry));
        self
    }

    /// A tripped breaker.
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breakers.push(breaker);
        self
    }

    /// The answer to every classification.
    #[must_use]
    pub fn classification(mut self, best: &str, probability: f32) -> Self {
        self.classification = Some(Classification {
            best: best.into(),
            abstained: false,
            scores: vec![Score { label: best.into(), probability }],
            usage: Usage { tokens: 1 },
        });
        self
    }

    /// The answer to every completion.
    #[must_use]
    pub fn completion(mut self, text: &str) -> Self {
        self.completion = Some(text.into());
        self
    }

    /// The answer to every embedding.
    #[must_use]
    pub fn embedding(mut self, vector: &[f32]) -> Self {
        self.embedding = Some(vector.to_vec());
        self
    }

    /// The answer of a cockpit route, as JSON.
    #[must_use]
    pub fn cockpit(mut self, route: &str, answer: &str) -> Self {
        self.cockpit.insert(route.into(), answer.into());
        self
    }

    /// Refuses every call of an interface, such as `journal-read`.
    #[must_use]
    pub fn refuse(mut self, interface: &str, error: HostError) -> Self {
        self.refusals.insert(interface.into(), error);
        self
    }

    /// Answers this thread's host calls until the returned value is dropped.
    #[must_use]
    pub fn install(self) -> InstalledHost {
        let state = State { host: Some(self), ..State::default() };
        STATE.with_borrow_mut(|slot| *slot = state);
        InstalledHost { thread_bound: PhantomData }
    }
}

/// The host of this thread; what was asked can be read from it.
#[derive(Debug)]
pub struct InstalledHost {
    thread_bound: PhantomData<*const ()>,
}

impl InstalledHost {
    /// Every question so far, log lines left out.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        STATE.with_borrow(|state| state.calls.clone())
    }

    /// Every log line so far.
    #[must_use]
    pub fn log_lines(&self) -> Vec<(Level, String)> {
        STATE.with_borrow(|state| state.log_lines.clone())
    }
}

impl Drop for InstalledHost {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|slot| *slot = State::default());
    }
}

#[derive(Default)]
struct State {
    host: Option<FakeHost>,
    calls: Vec<Call>,
    log_lines: Vec<(Level, String)>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}
