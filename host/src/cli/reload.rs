//! `thrall reload`: has a running service read thrall.toml, recipes, grants and
//! prompts again, and says what came of it.

use std::path::Path;

use super::Outcome;
use super::printer::Printer;
use super::socket_client::{SocketClient, Told};
use crate::app::reading::Reading;
use crate::home::Home;

pub(super) async fn run(home: &Path, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = Home::existing(home)?;
    let Some(client) = SocketClient::of_role(&home).await else {
        return Ok(printer.no(&format!(
            "no service is running in {}; `thrall serve` reads everything when it starts",
            home.root().display()
        )));
    };
    let reading: Reading = match client.post("/thrall/reload", Vec::new()).await? {
        Told::Answer(reading) => reading,
        Told::No(why) => return Ok(printer.no(&why)),
    };
    if printer.is_json() {
        printer.json(&reading)?;
    } else {
        let parts = [
            ("taken over", &reading.taken_over),
            ("at the next start", &reading.needs_restart),
            ("not used", &reading.problems),
        ];
        for (what, lines) in parts {
            for line in lines {
                printer.line(&format!("{what:<18} {line}"))?;
            }
        }
        if parts.iter().all(|(_, lines)| lines.is_empty()) {
            printer.talk("Everything is read again, and nothing is different.");
        }
    }
    Ok(if reading.problems.is_empty() { Outcome::Done } else { Outcome::No })
}
