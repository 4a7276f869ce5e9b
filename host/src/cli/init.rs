//! `thrall init`: makes a home with the shipped recipes, prompts and grants.
//! Files that are there already are left as they are.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;

use super::Outcome;
use super::args::InitArgs;
use super::printer::Printer;
use crate::clock::{Clock, SystemClock};
use crate::home::{FOLDERS, Home};
use crate::shipped;
use crate::store::Store;

pub(super) fn run(home: &Path, args: &InitArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let home = Home::new(args.dir.as_deref().unwrap_or(home));
    create_folder(home.root(), 0o755)?;
    for (name, mode) in FOLDERS {
        create_folder(&home.root().join(name), mode)?;
    }
    let mut written = 0;
    for file in shipped::FILES {
        let path = home.root().join(file.path);
        if write_new(&path, file.content)? {
            written += 1;
            printer.talk(&format!("wrote {}", path.display()));
        }
    }
    if !home.database().exists() {
        Store::open(&home.state(), SystemClock.now())?;
    }
    printer.talk(&format!("{} is a thrall home ({written} files written).", home.root().display()));
    printer.talk(&format!(
        "Next: put your node id and your team into {}, then `thrall --home {} serve`.",
        home.config_file().display(),
        home.root().display()
    ));
    Ok(Outcome::Done)
}

fn create_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    // Exactly this mode, whatever the umask: recipes/ is for a group to write.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// True if the file was written, false if there was one.
fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<bool> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(content).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
