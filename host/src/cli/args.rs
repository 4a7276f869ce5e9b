//! What a user can type. Only clap types: no I/O, no decisions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The doorkeeper of an AI agent's node.
///
/// Everything that arrives meets cheap, sandboxed recipes and a small model
/// first; only what matters wakes the agent.
#[derive(Debug, Parser)]
#[command(name = "thrall", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done, 1 no (a check failed, a thing was refused), 2 usage or environment.

Examples:
  thrall --home ~/node init
  thrall --home ~/node ingest mail.jsonl
  thrall --home ~/node journal list --action wake
  thrall --home ~/node dryrun mail-triage --last 20"
)]
pub(super) struct Arguments {
    /// The home folder; ~/.thrall if left out.
    #[arg(long, global = true, env = "THRALL_HOME", value_name = "DIR")]
    home: Option<PathBuf>,

    /// Print data as JSON (commands that read).
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Say more on standard error; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// The home: as given, else `~/.thrall`, else `.thrall` here.
    pub(super) fn home_path(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(|| {
            std::env::home_dir()
                .map_or_else(|| PathBuf::from(".thrall"), |home| home.join(".thrall"))
        })
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a home with the shipped recipes, prompts and grants.
    Init(InitArgs),
    /// Carry a plugin folder of the earlier thrall over into this home.
    ///
    /// Reads plugin.toml (or plugin.toml.disabled), recipes/*.toml, prompts/*.toml and the
    /// active prompts of v2's thrall.db; writes nothing there. Recipes are checked before
    /// they are placed, and get the smallest grant for what they declare, in their own mode.
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Run the doorkeeper: sockets, engine, outbox.
    Serve,
    /// Take in a file of envelopes (JSON Lines), through the same path as live events.
    Ingest(IngestArgs),
    /// Run a recipe without acting and show the whole trace.
    Dryrun(DryrunArgs),
    /// Tell one event's whole story.
    Explain(ExplainArgs),
    /// Read the journal, or check that nobody changed it.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Make, build, list, check and show recipes.
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Look at runs that ask for it, and say whether they were right.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// What waits to be performed, what came to nothing, and what is done about it.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// What is collected for the agent, and when it gets it.
    #[command(subcommand)]
    Buffer(BufferCommand),
    /// What recipes remember.
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show prompts with all their versions, and put one in use (the operator's).
    #[command(subcommand)]
    Prompt(PromptCommand),
    /// List what is stopped; stop a node or a skill, and let it go (the operator's).
    #[command(subcommand)]
    Breaker(BreakerCommand),
    /// Show, plan, give and take what recipes may do (the operator's).
    #[command(subcommand)]
    Grant(GrantCommand),
    /// List, fetch and verify language models.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Counts: what waits, what was decided, what was refused.
    Status,
    /// Have a running service read thrall.toml, recipes, grants and prompts again; says what
    /// was taken over and what needs a restart.
    Reload,
    /// Look for what is wrong with this home and this machine.
    Doctor,
    /// Measure this machine.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Try thrall out, without a home and without a node.
    #[command(subcommand)]
    Dev(DevCommand),
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder to make; the same as --home.
    pub(super) dir: Option<PathBuf>,
}

const IMPORT_HELP: &str =
    "Each thing is carried, already there, left out, or needs you. Exit status: 0 nothing needs a
person, 1 something does, 2 usage or environment.

Examples:
  thrall --home ~/node import ~/knarr/plugins/06-thrall --dry-run
  thrall --home ~/node import ~/knarr/plugins/06-thrall
  thrall --home ~/node import ~/knarr/plugins/06-thrall --json | jq '.items[] | select(.result == \"needs you\")'";

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The plugin folder, with plugin.toml in it.
    pub(super) dir: PathBuf,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Replace files of the home that say something else, and set keys in a thrall.toml
    /// that has keys of its own.
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// A file of envelopes, one JSON object a line; `-` for standard input.
    pub(super) file: PathBuf,
    /// Show every decision, not only the totals.
    #[arg(long)]
    pub(super) table: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("events").required(true).args(["envelope", "journal", "last"]))]
pub(super) struct DryrunArgs {
    /// A recipe's name, or a .toml or .wasm file that is not installed.
    pub(super) recipe: String,
    /// A file with one envelope; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) envelope: Option<PathBuf>,
    /// Run what goes on with a skill's answer to that event: the action that a step
    /// names in continue_as.
    #[arg(long = "continue", value_name = "ACTION", requires = "envelope")]
    pub(super) continue_as: Option<String>,
    /// What the skill answers, a file with JSON; {} if left out.
    #[arg(long, value_name = "FILE", requires = "continue_as")]
    pub(super) result: Option<PathBuf>,
    /// A journal row: its event, with what the host knew then.
    #[arg(long, value_name = "ID")]
    pub(super) journal: Option<i64>,
    /// The last N events of this recipe.
    #[arg(long, value_name = "N")]
    pub(super) last: Option<u32>,
    /// Run with this prompt in place of the recipe's own. A .toml file is a prompt
    /// file, any other bare text. Nothing is loaded.
    #[arg(long, value_name = "FILE")]
    pub(super) prompt: Option<PathBuf>,
    /// Ask the model what the record does not answer.
    #[arg(long)]
    pub(super) rerun_model: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A journal row number or an envelope id.
    pub(super) id: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// The newest rows, newest first.
    List(JournalFilterArgs),
    /// One row with its trace.
    Show {
        /// The row's number.
        id: String,
    },
    /// New rows as they come; ends with Ctrl-C.
    Tail {
        /// Print what is there and stop.
        #[arg(long)]
        once: bool,
        /// Start after this row.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// Walk the hash chain; names the first row that was changed or is missing.
    Verify,
}

#[derive(Debug, Args)]
pub(super) struct JournalFilterArgs {
    #[arg(long, default_value_t = 20)]
    pub(super) limit: u32,
    #[arg(long)]
    pub(super) recipe: Option<String>,
    #[arg(long)]
    pub(super) action: Option<String>,
    /// A node id or its first 16 characters.
    #[arg(long)]
    pub(super) sender: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum RecipeCommand {
    /// Make a folder in which a recipe's component is written, built and tested.
    New(RecipeNewArgs),
    /// Build a folder's component; says its digest, imports and the grant it would need.
    Build(RecipeBuildArgs),
    /// The limits that every component runs under.
    Limits {
        /// As a table in Markdown.
        #[arg(long, hide = true)]
        markdown: bool,
    },
    /// What may stand in a recipe file: triggers with the fields of their events, types of
    /// actions with their keys, operations with what grants them.
    Words {
        /// Only this table.
        table: Option<WordTable>,
        /// In Markdown.
        #[arg(long, hide = true)]
        markdown: bool,
    },
    /// Every recipe with its state and modes.
    List,
    /// Check a recipe file, or every recipe of the home.
    Check {
        /// A recipe's name, or a .toml or .wasm file; all recipes of the home if left out.
        file: Option<PathBuf>,
    },
    /// One recipe: stages, actions, components, grant.
    Show { name: String },
    /// The revisions of a recipe that were live, newest first.
    History {
        name: String,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Set how far a recipe acts: disabled, manual, supervised or automated. Raising it is
    /// the operator's and wants the reviews that [promotion] in thrall.toml names.
    Mode {
        name: String,
        mode: String,
        /// Raise it without these reviews.
        #[arg(long)]
        force: bool,
    },
    /// Put an earlier revision back into recipes/, its components included. It runs if the
    /// grant covers it; what lies there now is overwritten.
    Rollback {
        name: String,
        /// The beginning of a revision from `recipe history`; the one before the present
        /// one if left out.
        revision: Option<String>,
    },
}

/// What `recipe words` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WordTable {
    Triggers,
    Actions,
    Operations,
}

/// Where a review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReviewState {
    Open,
    Confirmed,
    Corrected,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReviewCommand {
    /// Runs of manual and supervised recipes, newest first.
    List {
        #[arg(long)]
        recipe: Option<String>,
        #[arg(long)]
        state: Option<ReviewState>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// The decision was right.
    Confirm {
        /// The journal row.
        id: i64,
        #[arg(long)]
        note: Option<String>,
    },
    /// The decision was wrong: say what would have been right.
    Correct {
        /// The journal row.
        id: i64,
        /// The action that would have been right.
        action: String,
        #[arg(long)]
        note: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// Rows of every state, newest first.
    List {
        /// pending, attempting, done, recorded, failed, held, uncertain or dropped.
        #[arg(long)]
        state: Option<String>,
        #[arg(long)]
        recipe: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Try a failed, held or uncertain row again (the operator's). One that is uncertain may
    /// arrive twice. Later steps of its plan that were not performed are rows of their own.
    Retry { id: i64 },
    /// Give a row up (the operator's). It stays in the list; later steps of its plan are not
    /// performed, and a briefing takes its wake with it.
    Drop { id: i64 },
}

#[derive(Debug, Subcommand)]
pub(super) enum BufferCommand {
    /// Every buffer: how full, who fills it, when it is flushed.
    List,
    /// What is in one, newest first.
    Show {
        name: String,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Make a briefing of what waits in it and wake the agent, now (the operator's).
    Flush { name: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum ContextCommand {
    /// Values by recipe and session, and flags, with their expiry, newest first.
    Show {
        #[arg(long)]
        recipe: Option<String>,
        /// Of one session; flags belong to none and are left out.
        #[arg(long)]
        session: Option<String>,
        /// Of values, and of flags.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum BreakerCommand {
    /// Every breaker that stands, with what it has stopped so far.
    List,
    /// Stop a target: global, node:HEX, skill:NAME or node:HEX+skill:NAME.
    Trip {
        target: String,
        /// Why; whoever is stopped by it finds it in the journal.
        #[arg(long)]
        reason: String,
        /// Seconds until it goes by itself, 0 for never; breaker_expire_seconds of
        /// thrall.toml if left out.
        #[arg(long, value_name = "SECONDS")]
        expire: Option<u64>,
    },
    /// Let a target go; the same as removing its file from breakers/.
    Clear { target: String },
}

#[derive(Debug, Args)]
pub(super) struct RecipeNewArgs {
    /// What the recipe is called; the folder, too.
    pub(super) name: String,
    /// filter (does an event go on?), hotwire (a verdict), action (a plan).
    #[arg(long)]
    pub(super) world: String,
    /// Host interfaces that the example code asks, by comma: log, context-read,
    /// journal-read, breaker-read; for hotwire and action also model, cockpit-read.
    #[arg(long, value_delimiter = ',')]
    pub(super) imports: Vec<String>,
    /// rust or python.
    #[arg(long, default_value = "rust")]
    pub(super) lang: String,
    /// Where the folder is made; here if left out.
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RecipeBuildArgs {
    /// The recipe's folder, with a Cargo.toml or an app.py; this one if left out.
    pub(super) dir: Option<PathBuf>,
    /// The component's file; NAME.wasm beside NAME.toml if left out.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// What recipes may do, with LEAK warnings; all of them, or one.
    Show { name: Option<String> },
    /// The smallest grant that the last events would have needed, as a difference to
    /// the present one. Changes nothing; without any such event there is no plan.
    Plan {
        name: String,
        /// How many events of the journal to rehearse.
        #[arg(long, default_value_t = 100)]
        last: u32,
    },
    /// Bind a grant to the recipe as it lies in recipes/ now. Without a grant file, write
    /// one with what the recipe declares and the last events needed.
    Allow {
        name: String,
        /// Refuse if the recipe is not this revision any more: the `recipe` line that
        /// `grant plan` printed, sha256:...
        #[arg(long, value_name = "DIGEST")]
        recipe: Option<String>,
        /// Set how far the recipe may act: disabled, manual, supervised or automated. A new
        /// grant without it says supervised.
        #[arg(long)]
        mode: Option<String>,
        /// Replace what the file grants by what `grant plan` says; refused if that knows
        /// of no event.
        #[arg(long)]
        planned: bool,
        /// How many events of the journal to rehearse for a plan.
        #[arg(long, default_value_t = 100)]
        last: u32,
    },
    /// Take a grant away: the recipe stops at once.
    Revoke { name: String },
    /// Every grant that a recipe had, newest first.
    History {
        name: String,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
}

const LOAD_HELP: &str =
    "A prompt holds the placeholder {{filter.tier}} and one for the message text, as in
{{envelope.body_text}}; or it is in the form of the earlier thrall, with {tier} and doubled
braces. Try it on the journal before: thrall dryrun RECIPE --prompt FILE --last 50 --rerun-model";

#[derive(Debug, Subcommand)]
pub(super) enum PromptCommand {
    /// Every prompt with the version in use; files of prompts/ that nobody has loaded.
    List,
    /// The text of a version.
    Show {
        name: String,
        /// The beginning of a version; the one in use if left out.
        #[arg(long)]
        version: Option<String>,
    },
    /// Put a prompt in use: the next question to the model is asked with it.
    #[command(after_help = LOAD_HELP)]
    Load {
        /// A .toml file is a prompt file, any other is bare text.
        file: PathBuf,
        /// What it is called; if left out as the file says, or as it is called.
        #[arg(long)]
        name: Option<String>,
    },
    /// What is different between two versions. With one, between that and the one in use;
    /// with none, between the one in use and prompts/NAME.toml.
    Diff { name: String, from: Option<String>, to: Option<String> },
    /// Which version was in use when, and who put it there; newest first.
    History { name: String },
    /// Put an earlier version in use again.
    Rollback {
        name: String,
        /// The beginning of a version; the one that was in use before if left out.
        #[arg(long)]
        to: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// The catalogue, and what is on disk.
    List,
    /// Fetch models into the home's models/; their SHA-256 is checked. Without a home they
    /// go into the folder that all homes of a user share (THRALL_MODELS, or
    /// ~/.local/share/thrall/models), which is looked into as well.
    Pull {
        /// Names from `thrall model list`.
        names: Vec<String>,
        /// Fetch the models that the demo and the tests use and that are not there, into
        /// the folder that all homes share.
        #[arg(long, conflicts_with_all = ["names", "from_file"])]
        missing: bool,
        /// Take the file from here instead of from the network. Of a model that is
        /// made from several published files, give each.
        #[arg(long, value_name = "FILE")]
        from_file: Vec<PathBuf>,
    },
    /// Check the files on disk against the catalogue.
    Verify { names: Vec<String> },
}

#[derive(Debug, Subcommand)]
pub(super) enum DevCommand {
    /// Let two doorkeepers that reply to everything face each other, each with a
    /// home of its own in a temporary folder, over ports of this machine; ends
    /// when they are silent. Exit code 1 if they are not within ten seconds.
    #[command(after_help = "Examples:\n  thrall dev pair\n  thrall dev pair --unmarked --json")]
    Pair {
        /// Take the mark of automatic replies away on the way, so that only loop
        /// detection is left to end it.
        #[arg(long)]
        unmarked: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Events per second, latency, sandbox and journal, with their baselines.
    Engine {
        /// Events in each round.
        #[arg(long, default_value_t = 20_000)]
        events: u32,
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Measure again with a journal of so many rows; a million take about 4 GB
        /// and some minutes.
        #[arg(long, default_value_t = 0)]
        journal_rows: u32,
    },
    /// Load time, prefill rate, classification with and without cached prefix; of an
    /// embedding model the time of a text, alone and with others.
    Model {
        /// A name from the catalogue.
        #[arg(long, default_value = "gemma3-270m")]
        model: String,
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// How often a shipped recipe decides labelled messages rightly, and what gets
    /// past it. Nothing is kept.
    Triage(TriageArgs),
}

#[derive(Debug, Args)]
pub(super) struct TriageArgs {
    /// JSON Lines: {"text": "...", "label": "drop", "attack": false, "tier": "unknown"};
    /// all but the text may be missing.
    pub(super) file: PathBuf,
    #[arg(long, default_value = "mail-triage")]
    pub(super) recipe: String,
    /// A name from the catalogue, in the place of the default model.
    #[arg(long)]
    pub(super) model: Option<String>,
    /// Only so many messages, from the beginning.
    #[arg(long)]
    pub(super) limit: Option<usize>,
    /// Rules and fallback alone.
    #[arg(long, conflicts_with = "model")]
    pub(super) without_model: bool,
}
