//! The recipe's own tables, as types.
//!
//! `situation.config` is a JSON object with two parts: `stage`, the table of
//! the stage that is running (`[filter]`, `[evaluate]`, `[actions.NAME]`), and
//! `config`, the recipe's free `[config]` table. A table may hold keys that
//! are meant for the host, so unknown keys are not refused here: the host has
//! checked the file before it went live.

use serde::Deserialize;

use crate::Situation;

/// The table of the stage that is running.
///
/// # Errors
/// A sentence that says what does not fit, for the recipe to return as it is.
pub fn stage<'a, T: Deserialize<'a>>(situation: &'a Situation) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Tables<T> {
        stage: T,
    }
    serde_json::from_str::<Tables<T>>(&situation.config)
        .map(|tables| tables.stage)
        .map_err(|error| explain("the stage's table", &error))
}

/// The recipe's `[config]` table. A recipe without one gives the type's
/// defaults, where all its keys have one.
///
/// # Errors
/// A sentence that says what does not fit, for the recipe to return as it is.
pub fn user<'a, T: Deserialize<'a>>(situation: &'a Situation) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Tables<T> {
        config: T,
    }
    serde_json::from_str::<Tables<T>>(&situation.config)
        .map(|tables| tables.config)
        .map_err(|error| explain("the recipe's [config] table", &error))
}

/// serde ends its messages with a place in the JSON, which the recipe's author
/// has never seen.
fn explain(table: &str, error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    [table, " does not fit: ", &text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Threshold {
        threshold: u32,
    }

    fn situation(config: &str) -> Situation {
        Situation { config: config.into(), ..Situation::default() }
    }

    #[test]
    fn each_table_is_read_from_its_own_part() {
        let situation =
            situation(r#"{"stage": {"threshold": 3, "tier": "x"}, "config": {"threshold": 7}}"#);
        assert_eq!(stage::<Threshold>(&situation).unwrap().threshold, 3);
        assert_eq!(user::<Threshold>(&situation).unwrap().threshold, 7);
    }

    #[test]
    fn a_misfit_names_the_table_and_the_key_without_a_place_in_the_json() {
        let empty = situation(r#"{"stage": {}, "config": {}}"#);
        assert_eq!(
            user::<Threshold>(&empty).unwrap_err(),
            "the recipe's [config] table does not fit: missing field `threshold`"
        );
        let wrong = situation(r#"{"stage": {"threshold": "many"}, "config": {}}"#);
        assert_eq!(
            stage::<Threshold>(&wrong).unwrap_err(),
            "the stage's table does not fit: invalid type: string \"many\", expected u32"
        );
    }
}
