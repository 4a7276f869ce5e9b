//! The command line: parsing, dispatch, exit codes. One file for each command
//! in `cli/`; how things look on a screen is in `cli/printer.rs`.

mod args;
mod bench;
mod breaker;
mod buffer;
mod context;
mod dev;
mod doctor;
mod dryrun;
mod explain;
mod grant;
mod grant_plan;
mod import;
mod ingest;
mod init;
mod journal;
mod journal_words;
mod model;
mod outbox;
pub mod printer;
mod progress;
mod prompt;
mod recipe;
mod recipe_build;
mod recipe_history;
mod recipe_limits;
mod recipe_mode;
mod recipe_names;
mod recipe_new;
mod recipe_words;
mod reload;
mod review;
mod serve;
mod socket_client;
mod status;
mod temporary_home;
mod trace_view;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::app::state_owner::Before;
use crate::home::Home;
use crate::wasm::{COMPILE_WORKER, compile_worker_main};
use args::{Arguments, Command};
use printer::Printer;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// No: a check failed, a decision differs, a thing was refused.
    No,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::No => ExitCode::from(1),
        }
    }
}

/// Wrong usage, or an environment that does not allow the work.
const EXIT_USAGE: u8 = 2;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, rest @ ..] = words.as_slice()
        && word.as_os_str() == COMPILE_WORKER
    {
        return compile_worker_main(rest);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    crate::telemetry::init(arguments.verbose);
    let printer = Printer::new(arguments.json);
    let before = Before::look(&Home::new(arguments.home_path()));
    let ended = dispatch(arguments, &printer);
    if let Some(before) = before {
        before.give_back();
    }
    match ended {
        Ok(outcome) => outcome.into(),
        // A closed pipe (`thrall journal list | head`) is no error of ours.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn dispatch(arguments: Arguments, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = arguments.home_path();
    match arguments.command {
        Command::Init(args) => block_on(init::run(&home, &args, arguments.verbose > 0, printer)),
        Command::Import(args) => block_on(import::run(&home, &args, printer)),
        Command::Serve => block_on(serve::run(&home, printer)),
        Command::Ingest(args) => block_on(ingest::run(&home, &args, printer)),
        Command::Dryrun(args) => block_on(dryrun::run(&home, &args, printer)),
        Command::Explain(args) => explain::run(&home, &args, printer),
        Command::Journal(args) => journal::run(&home, &args, printer),
        Command::Recipe(args) => block_on(recipe::run(&home, &args, printer)),
        Command::Review(args) => block_on(review::run(&home, &args, printer)),
        Command::Outbox(args) => block_on(outbox::run(&home, &args, printer)),
        Command::Buffer(args) => block_on(buffer::run(&home, &args, printer)),
        Command::Context(args) => block_on(context::run(&home, &args, printer)),
        Command::Prompt(args) => block_on(prompt::run(&home, &args, printer)),
        Command::Breaker(args) => block_on(breaker::run(&home, &args, printer)),
        Command::Grant(args) => block_on(grant::run(&home, &args, printer)),
        Command::Model(args) => model::run(&home, &args, printer),
        Command::Status => status::run(&home, printer),
        Command::Reload => block_on(reload::run(&home, printer)),
        Command::Doctor => block_on(doctor::run(&home, printer)),
        Command::Bench(args) => block_on(bench::run(&home, &args, printer)),
        Command::Dev(args) => block_on(dev::run(&args, printer)),
    }
}

/// How long threads under way are given when a command ends.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(future);
    // A thread that still waits for a disk or a node keeps nobody here.
    runtime.shutdown_timeout(RUNTIME_GRACE);
    ended
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
