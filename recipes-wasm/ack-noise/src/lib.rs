//! Example: a filter that drops mail that only says "got it".
//!
//! Written to be read. It shows a small useful recipe: one key of configuration,
//! no host calls (so it needs no grant but its own), one pure function, tests
//! without wasm. To use it, name it in a recipe's `[filter]` table:
//!
//! ```toml
//! [filter]
//! component = "ack-noise.wasm"
//! ```
//!
//! A doorkeeper must not lose a request hidden behind a "thanks": so the whole
//! message has to be made of these words, and be short. Anything else passes;
//! in a recipe that does nothing else, `[config] otherwise = "skip"` ends it there,
//! so that it leaves the mail to other recipes. The team's "ok" may be the answer
//! to a question, and always passes.

use serde::Deserialize;
use thrall_sdk::{Decision, Envelope, Filter, Situation, Tier, Verdict, config};

/// Longer messages say more than thanks, whatever their words.
const MOST_CHARS: usize = 60;

/// Messages that are nothing but an acknowledgement, in lower case. Longest
/// first where one begins another, since they are taken off from the left.
const ACKNOWLEDGEMENTS: [&str; 45] = [
    // English
    "thank you very much",
    "thank you so much",
    "thank you",
    "thanks a lot",
    "many thanks",
    "thanks",
    "thx",
    "got it",
    "understood",
    "roger that",
    "roger",
    "noted",
    "okay",
    "ok",
    "ack",
    // German
    "vielen dank",
    "danke schön",
    "danke",
    "alles klar",
    "verstanden",
    // French
    "merci beaucoup",
    "merci",
    "bien reçu",
    "d'accord",
    // Spanish, Portuguese, Italian
    "muchas gracias",
    "gracias",
    "entendido",
    "muito obrigado",
    "obrigado",
    "obrigada",
    "grazie mille",
    "grazie",
    "ricevuto",
    // Dutch, Swedish, Polish
    "dank je wel",
    "bedankt",
    "tack så mycket",
    "tack",
    "dziękuję",
    "dzięki",
    // Russian, Chinese, Japanese
    "большое спасибо",
    "спасибо",
    "понял",
    "谢谢",
    "收到",
    "ありがとうございます",
];

/// What may stand between and around the words.
const FILLERS: [char; 14] =
    ['.', ',', '!', ';', ':', ')', '-', '~', '。', '！', '，', '、', '\u{1f44d}', '\u{1f64f}'];

/// The recipe's `[config]` table.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    otherwise: Otherwise,
}

/// What becomes of mail that says more.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Otherwise {
    #[default]
    Pass,
    Skip,
}

/// The type that the macro below turns into a component.
#[derive(Debug)]
pub struct AckNoise;

impl Filter for AckNoise {
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String> {
        // A field that is absent is absent: then this recipe has no opinion.
        let text = envelope.field("body_text").unwrap_or_default();
        if situation.tier == Tier::Team || !is_acknowledgement(text) {
            let config: Config = config::user(situation)?;
            return Ok(match config.otherwise {
                Otherwise::Pass => Decision::Pass,
                Otherwise::Skip => Decision::Skip("says more than thanks".into()),
            });
        }
        // `Decide` ends the search for a verdict here. The reason is what a
        // person will read in the journal, so it begins with the kind.
        Ok(Decision::Decide(Verdict::new("drop", "acknowledgement: says nothing but thanks")))
    }
}

thrall_sdk::export_filter!(AckNoise);

/// Deciding is kept apart from the contract, and is easy to test.
fn is_acknowledgement(text: &str) -> bool {
    if text.chars().count() > MOST_CHARS {
        return false;
    }
    let lower = text.to_lowercase();
    let mut rest = skip_fillers(&lower);
    let mut words = 0;
    while !rest.is_empty() {
        let Some(after) = ACKNOWLEDGEMENTS.iter().find_map(|words| rest.strip_prefix(words)) else {
            return false;
        };
        // "ok" begins "okra", which is no acknowledgement.
        let next = after.chars().next();
        if next.is_some_and(char::is_alphanumeric) {
            return false;
        }
        rest = skip_fillers(after);
        words += 1;
    }
    words > 0
}

fn skip_fillers(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || FILLERS.contains(&c))
}

#[cfg(test)]
mod tests {
    use thrall_sdk::Field;

    use super::*;

    /// A recipe is an ordinary function, so it is tested like one.
    fn decide_for(tier: Tier, config: &str, body: &str) -> Decision {
        let envelope =
            Envelope { fields: vec![Field::new("body_text", body)], ..Envelope::default() };
        let config = format!("{{\"stage\": {{}}, \"config\": {config}}}");
        AckNoise::decide(&envelope, &Situation { tier, config, ..Situation::default() }).unwrap()
    }

    fn decide(body: &str) -> Decision {
        decide_for(Tier::Unknown, "{}", body)
    }

    #[test]
    fn the_teams_ok_goes_on_and_a_recipe_may_end_with_what_says_more() {
        assert_eq!(decide_for(Tier::Team, "{}", "ok"), Decision::Pass);
        let skips = r#"{"otherwise": "skip"}"#;
        assert!(matches!(decide_for(Tier::Unknown, skips, "ok"), Decision::Decide(_)));
        for (tier, body) in [(Tier::Unknown, "ok, and the relay is down"), (Tier::Team, "ok")] {
            assert!(matches!(decide_for(tier, skips, body), Decision::Skip(_)));
        }
    }

    #[test]
    fn acknowledgements_are_dropped_in_several_languages() {
        for body in [
            "Got it, thanks!",
            "ok",
            "Danke schön!",
            "Merci beaucoup.",
            "Спасибо",
            "谢谢！",
            "OK 👍",
        ] {
            assert!(matches!(decide(body), Decision::Decide(_)), "{body}");
        }
    }

    #[test]
    fn what_says_more_goes_on() {
        for body in [
            "thanks, but the server is still down",
            "okra",
            "ok?",
            "",
            "...",
            "got it running on port 80 now, who tests?",
        ] {
            assert_eq!(decide(body), Decision::Pass, "{body}");
        }
        assert_eq!(decide(&"thanks ".repeat(20)), Decision::Pass);
    }

    #[test]
    fn an_event_without_a_body_goes_on() {
        let config = r#"{"stage": {}, "config": {}}"#.to_owned();
        let situation = Situation { config, ..Situation::default() };
        let decision = AckNoise::decide(&Envelope::default(), &situation);
        assert_eq!(decision, Ok(Decision::Pass));
    }
}
