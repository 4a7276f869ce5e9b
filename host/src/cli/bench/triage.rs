//! `thrall bench triage`: labelled messages through a shipped recipe as it is
//! shipped, in an empty home of its own, and how often it was right. Nothing is
//! kept, and nothing leaves for anybody.

mod figures;
mod samples;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use super::super::args::TriageArgs;
use super::super::printer::Printer;
use super::super::temporary_home::TemporaryHome;
use super::super::{init, progress};
use crate::app::{App, Outside};
use crate::clock::{Clock, SimClock, SystemClock};
use crate::config::Source;
use crate::engine::Pace;
use crate::envelope::Field;
use crate::envelope::json::Draft;
use crate::envelope::sender::Tier;
use crate::home::Home;
use crate::ids::nearest;
use crate::journal::{Commit, DecisionRow};
use crate::model::ModelRouter;
use crate::model_files::ModelFiles;
use crate::shipped;
use figures::{Figures, Outcome};
use samples::Sample;

/// Between two messages, so that no bound of an hour or a minute, which are
/// about floods, decides in the place of the recipe.
const BETWEEN: Duration = Duration::from_secs(121);

/// Measures and prints.
///
/// # Errors
/// The file cannot be read, the recipe is none, or its model is not on disk.
pub(super) async fn run(user: &Home, args: &TriageArgs, printer: &Printer) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {name}"))?;
    let mut samples = samples::parse(&name, &text)?;
    samples.truncate(args.limit.unwrap_or(usize::MAX));
    let home = triage_home(user, &args.recipe, args.model.as_deref())?;
    init::bind_grants(&home.home, &[&args.recipe]).await?;
    let outcomes = decide(&home.home, &args.recipe, args.without_model, &samples).await?;
    let figures = Figures::of(&args.recipe, &samples, &outcomes);
    if printer.is_json() { printer.json(&figures) } else { figures.print(printer) }
}

async fn decide(
    home: &Home,
    recipe: &str,
    without_model: bool,
    samples: &[Sample],
) -> anyhow::Result<Vec<Outcome>> {
    let clock = Arc::new(SimClock::at(SystemClock.now()));
    let (sender, mut rows) = mpsc::unbounded_channel();
    let observer = Box::new(move |commit: &Commit| {
        // The receiver lives until the measurement is over.
        let _ = sender.send((commit.row.clone(), Instant::now()));
    });
    let outside = Outside {
        observer: Some(observer),
        models: without_model.then(ModelRouter::default),
        ..Outside::default()
    };
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::open_in(home.clone(), shared, Pace::Live, outside).await?;
    let health = app.health();
    if health.recipes_live != 1 {
        bail!("recipe {recipe} does not load: {:?}", health.problems);
    }
    if !without_model {
        check_models(&app, home)?;
        app.warm_model().await;
    }
    let running = app.start();
    let source = Source { name: "bench".to_owned(), triggers: Vec::new(), may_assert_sender: true };
    let bar = progress::items(samples.len() as u64, "triage");
    let mut outcomes = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        clock.advance(BETWEEN);
        let began = Instant::now();
        let accepted = app.engine.submit(&source, vec![draft(number, sample)]).await;
        if let Err(error) = accepted {
            bail!("message {} is not accepted: {error:?}", number + 1);
        }
        app.engine.idle().await;
        let mut decided: Option<(DecisionRow, Instant)> = None;
        while let Ok((row, at)) = rows.try_recv() {
            // A guard's row stands where no recipe's does.
            if row.recipe == recipe || decided.is_none() {
                decided = Some((row, at));
            }
        }
        let Some((row, at)) = decided else {
            bail!("message {} met no recipe: {recipe} takes no mail", number + 1);
        };
        outcomes.push(Outcome {
            action: row.action,
            step: row.eval_type,
            took: at.saturating_duration_since(began),
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    running.stop().await;
    Ok(outcomes)
}

/// What the model would decide cannot be measured without it.
fn check_models(app: &App, home: &Home) -> anyhow::Result<()> {
    let files = ModelFiles::of_home(home)?;
    let mut models = BTreeSet::new();
    for revision in app.registry.load_full().entries().filter_map(|entry| entry.revision.clone()) {
        for evaluator in &revision.recipe.evaluators {
            for asking in evaluator.kind.questions() {
                models.insert(app.questions.model_of(asking.prompt, asking.model));
            }
        }
    }
    for model in models {
        if files.find(files.catalogue().find(&model)?).is_none() {
            bail!(
                "model {model} is not on disk: `thrall model pull {model}`, or --without-model for rules and fallback alone"
            );
        }
    }
    Ok(())
}

/// One sender for each message: none is judged by what came before.
fn draft(number: usize, sample: &Sample) -> Draft {
    let mut fields = vec![
        Field::new("body_text", sample.text.clone()),
        Field::new("from_node", format!("{}{number:048x}", prefix(sample.tier))),
        Field::new("msg_type", "text"),
        Field::new("session_id", format!("bench-{number}")),
    ];
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Draft { id: Some(format!("bench-{number}")), trigger: "on_mail".to_owned(), fields }
}

/// How the ids of a tier's senders begin.
fn prefix(tier: Tier) -> &'static str {
    match tier {
        Tier::Team => "aaaaaaaaaaaaaaaa",
        Tier::Known => "bbbbbbbbbbbbbbbb",
        Tier::Blocked => "cccccccccccccccc",
        Tier::Unknown => "dddddddddddddddd",
    }
}

/// A home with one recipe as it is shipped.
fn triage_home(user: &Home, recipe: &str, model: Option<&str>) -> anyhow::Result<TemporaryHome> {
    let path = format!("recipes/{recipe}.toml");
    if !shipped::FILES.iter().any(|file| file.path == path) {
        let names = shipped::FILES
            .iter()
            .filter_map(|file| file.path.strip_prefix("recipes/")?.strip_suffix(".toml"));
        let hint = nearest(recipe, names).map(|near| format!("; did you mean {near}?"));
        bail!("no recipe {recipe:?} is shipped{}", hint.unwrap_or_default());
    }
    let made = TemporaryHome::new()?;
    let home = &made.home;
    for file in shipped::FILES {
        let is_other = (file.path.starts_with("recipes/") || file.path.starts_with("grants/"))
            && file.path.ends_with(".toml")
            && !file.path.ends_with(&format!("/{recipe}.toml"));
        if !is_other {
            std::fs::write(home.root().join(file.path), file.content)?;
        }
    }
    std::fs::write(home.config_file(), config(model))?;
    lend_models(user, home)?;
    Ok(made)
}

/// What the user's own home adds to the shared models.
fn lend_models(user: &Home, home: &Home) -> anyhow::Result<()> {
    let Ok(files) = std::fs::read_dir(user.models()) else { return Ok(()) };
    for file in files {
        let file = file?;
        let lent = home.models().join(file.file_name());
        std::os::unix::fs::symlink(std::path::absolute(file.path())?, lent)?;
    }
    Ok(())
}

fn config(model: Option<&str>) -> String {
    let mut text = "[roles]\naccept_advisory = true\n[trust_tiers]\n".to_owned();
    for tier in [Tier::Team, Tier::Known, Tier::Blocked] {
        text.push_str(&format!("{} = [\"{}\"]\n", tier.as_str(), prefix(tier)));
    }
    if let Some(model) = model {
        text.push_str(&format!("[model]\ndefault = {}\n", toml::Value::from(model)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurements_home_is_read_and_goes_with_the_value() {
        let nobody = Home::new("/nowhere");
        let home = triage_home(&nobody, "mail-triage", Some("a\"b")).unwrap();
        let root = home.home.root().to_owned();
        let config = std::fs::read_to_string(home.home.config_file()).unwrap();
        assert!(config.contains("default = "), "{config}");
        assert!(toml::from_str::<toml::Table>(&config).is_ok(), "{config}");
        assert!(root.join("grants/mail-triage.toml").exists());
        assert!(!root.join("recipes/mail-digest.toml").exists());
        drop(home);
        assert!(!root.exists());
        let error = triage_home(&nobody, "mail-trige", None).err().unwrap().to_string();
        assert!(error.contains("did you mean mail-triage?"), "{error}");
    }
}
