//! The host calls with the signatures of the generated ones, answered by the
//! thread's fake host.

use super::{Call, FakeHost, STATE};
use crate::HostError;

/// Records the question, then lets the installed host answer it.
fn ask<T>(
    interface: &'static str,
    function: &'static str,
    arguments: String,
    answer: impl FnOnce(&FakeHost) -> Result<T, HostError>,
) -> Result<T, HostError> {
    STATE.with_borrow_mut(|state| {
        state.calls.push(Call { interface, function, arguments });
        let Some(host) = &state.host else {
            return Err(HostError::Denied("no FakeHost is installed on this thread".into()));
        };
        match host.refusals.get(interface) {
            Some(refusal) => Err(refusal.clone()),
            None => answer(host),
        }
    })
}

pub(crate) mod log {
    use super::STATE;
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        STATE.with_borrow_mut(|state| state.log_lines.push((level, message.into())));
    }
}

pub(crate) mod context_read {
    use super::ask;
    use crate::HostError;

    pub(crate) fn get(session: &str, key: &str) -> Result<Option<String>, HostError> {
        ask("context-read", "get", format!("{session:?}, {key:?}"), |host| {
            Ok(host.context.get(&(session.into(), key.into())).cloned())
        })
    }

    pub(crate) fn flag(key: &str) -> Result<Option<String>, HostError> {
        ask("context-read", "flag", format!("{key:?}"), |host| Ok(host.flags.get(key).cloned()))
    }
}

pub(crate) mod journal_read {
    use super::{FakeHost, ask};
    use crate::HostError;
    use crate::journal::{Entry, Query};

    pub(crate) fn count(query: &Query) -> Result<u64, HostError> {
        ask("journal-read", "count", format!("{query:?}"), |host| {
            Ok(u64::try_from(matching(host, query).count()).unwrap_or(u64::MAX))
        })
    }

    pub(crate) fn recent(query: &Query) -> Result<Vec<Entry>, HostError> {
        ask("journal-read", "recent", format!("{query:?}"), |host| {
            let mut rows: Vec<Entry> = matching(host, query).cloned().collect();
            rows.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.id)));
            rows.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
            Ok(rows)
        })
    }

    fn matching<'a>(host: &'a FakeHost, query: &'a Query) -> impl Iterator<Item = &'a Entry> {
        let fits = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        host.journal
            .iter()
            .filter(move |(session, entry)| {
                entry.at >= query.since
                    && fits(&query.recipe, &entry.recipe)
                    && fits(&query.from_node, &entry.from_node)
                    && fits(&query.action, &entry.action)
                    && (query.session.is_none() || query.session == *session)
            })
            .map(|(_, entry)| entry)
    }
}

pub(crate) mod breaker_read {
    use super::ask;
    use crate::HostError;
    use crate::breaker::Breaker;

    pub(crate) fn state(target: &str) -> Result<Option<Breaker>, HostError> {
        ask("breaker-read", "state", format!("{target:?}"), |host| {
            Ok(host.breakers.iter().find(|breaker| breaker.target == target).cloned())
        })
    }
}

pub(crate) mod model {
    use super::ask;
    use crate::HostError;
    use crate::model::{Classification, Completion, Usage};

    /// What a real host answers while no model is on disk.
    fn no_answer() -> HostError {
        HostError::Failed("the FakeHost was given no answer for this".into())
    }

    pub(crate) fn classify(
        prompt: &str,
        label_set: &str,
        text: &str,
    ) -> Result<Classification, HostError> {
        ask("model", "classify", format!("{prompt:?}, {label_set:?}, {text:?}"), |host| {
            host.classification.clone().ok_or_else(no_answer)
        })
    }

    pub(crate) fn complete(
        prompt: &str,
        text: &str,
        max_tokens: u32,
    ) -> Result<Completion, HostError> {
        ask("model", "complete", format!("{prompt:?}, {text:?}, {max_tokens}"), |host| {
            let text = host.completion.clone().ok_or_else(no_answer)?;
            Ok(Completion { text, usage: Usage { tokens: 1 } })
        })
    }

    pub(crate) fn embed(text: &str) -> Result<Vec<f32>, HostError> {
        ask("model", "embed", format!("{text:?}"), |host| {
            host.embedding.clone().ok_or_else(no_answer)
        })
    }
}

pub(crate) mod cockpit_read {
    use super::ask;
    use crate::HostError;

    pub(crate) fn get(route: &str, params: &str) -> Result<String, HostError> {
        ask("cockpit-read", "get", format!("{route:?}, {params}"), |host| {
            host.cockpit
                .get(route)
                .cloned()
                .ok_or_else(|| HostError::Invalid(format!("no route `{route}`")))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::fake_host::FakeHost;
    use crate::journal::{self, Entry, Query};
    use crate::{HostError, context, log};

    fn entry(id: u64, at: u64, action: &str) -> Entry {
        Entry {
            id,
            at,
            recipe: "mail-triage".into(),
            action: action.into(),
            reason: String::new(),
            from_node: "aa".into(),
        }
    }

    #[test]
    fn queries_search_the_rows_that_were_given() {
        let host = FakeHost::new()
            .journal(entry(1, 10, "drop"))
            .journal(entry(2, 20, "drop"))
            .journal_of_session("s-1", entry(3, 30, "wake"))
            .install();
        assert_eq!(journal::count(&Query::since(0).action("drop")), Ok(2));
        assert_eq!(journal::count(&Query::since(15).from_node("aa")), Ok(2));
        assert_eq!(journal::count(&Query::since(0).session("s-1")), Ok(1));
        let newest = journal::recent(&Query::since(0).limit(1)).unwrap();
        assert_eq!(newest.first().map(|entry| entry.id), Some(3));
        assert_eq!(host.calls().len(), 4);
    }

    #[test]
    fn a_refused_interface_refuses_and_the_question_is_still_recorded() {
        let denied = HostError::Denied("imports = [\"context-read\"]".into());
        let host = FakeHost::new().flag("x", "1").refuse("context-read", denied.clone()).install();
        assert_eq!(context::flag("x"), Err(denied));
        assert_eq!(host.calls().len(), 1);
    }

    #[test]
    fn nothing_is_left_behind_for_the_next_test() {
        let host = FakeHost::new().flag("x", "1").install();
        log::warn("odd");
        assert_eq!(host.log_lines(), [(log::Level::Warn, "odd".to_string())]);
        drop(host);
        assert!(matches!(context::flag("x"), Err(HostError::Denied(_))));
    }
}
