//! `thrall dev`: things to try without a home and without a node.

mod pair;

use super::Outcome;
use super::args::DevCommand;
use super::printer::Printer;

pub(super) async fn run(command: &DevCommand, printer: &Printer) -> anyhow::Result<Outcome> {
    match command {
        DevCommand::Pair { unmarked } => pair::run(*unmarked, printer).await,
    }
}
