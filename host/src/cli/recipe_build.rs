//! `thrall recipe build`: from a recipe's folder to its component, checked as the
//! host checks it, with what it asks for. How each language is built is in
//! `recipe_build/`; nothing here needs a home, and nothing is installed.

mod needed_grant;
mod python_app;
mod rust_crate;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use super::Outcome;
use super::args::RecipeBuildArgs;
use super::printer::Printer;
use crate::ids::{Digest, is_valid_name};
use crate::stage::World;
use crate::wasm::{ComponentReport, SandboxSettings, WasmSandbox};

/// What is wrong with the author's files, and the way out.
#[derive(Debug, Serialize)]
struct Problem {
    /// Seen from the folder that is built.
    file: String,
    /// Counted from 1, like the column.
    line: u32,
    column: u32,
    what: String,
    remedy: String,
}

impl Problem {
    fn in_file(file: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self { file: file.to_owned(), line: 1, column: 1, what, remedy }
    }
}

/// Why there is no component.
enum Failure {
    /// The author's to repair.
    Refused { problem: Problem, talk: String },
    /// Not the author's: a tool is missing, a folder cannot be written.
    Environment(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused { problem, talk: String::new() }
    }
}

/// A component that was made and not yet looked at.
struct Built {
    /// What the recipe is called.
    name: String,
    bytes: Vec<u8>,
}

/// What `recipe build` says.
#[derive(Serialize)]
struct Report {
    path: PathBuf,
    digest: String,
    size: u64,
    world: World,
    /// Our interfaces, as grants name them.
    imports: Vec<String>,
    /// What the language's toolchain imports; it meets an empty world.
    wasi: Vec<String>,
    /// The operator's file as it would have to be.
    grant: String,
}

pub(super) async fn run(args: &RecipeBuildArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    match build(&dir, args.out.as_deref(), printer).await {
        Ok(report) => {
            print(&report, printer)?;
            Ok(Outcome::Done)
        }
        Err(Failure::Refused { problem, talk }) => {
            if !talk.is_empty() {
                printer.talk(&talk);
            }
            refuse(&problem, printer)?;
            Ok(Outcome::No)
        }
        Err(Failure::Environment(error)) => Err(error),
    }
}

async fn build(dir: &Path, out: Option<&Path>, printer: &Printer) -> Result<Report, Failure> {
    let dir = std::fs::canonicalize(dir)
        .with_context(|| format!("there is no folder {}", dir.display()))?;
    let work = work_folder(&dir);
    let built = if dir.join("Cargo.toml").is_file() {
        printer.talk(&format!("building {} with cargo", dir.display()));
        rust_crate::build(&dir, &work)?
    } else if dir.join("app.py").is_file() {
        printer.talk(&format!("building {} with componentize-py", dir.display()));
        python_app::build(&dir, &work)?
    } else {
        return Err(Failure::Environment(anyhow::anyhow!(
            "{} has neither a Cargo.toml nor an app.py: make a recipe's folder with `thrall recipe new NAME --world hotwire`",
            dir.display()
        )));
    };
    let file = format!("{}.wasm", built.name);
    let path = out.map_or_else(|| dir.join(&file), Path::to_path_buf);
    let component = check(&work, &built.bytes).await?.map_err(|what| {
        Problem::in_file(
            &file,
            what,
            "the file was not written; `thrall recipe new` makes a folder whose component loads",
        )
    })?;
    put(&path, &built.bytes)?;
    let (wasi, imports): (Vec<String>, Vec<String>) =
        component.imports.into_iter().partition(|name| name.contains(':'));
    let digest = Digest::of(&built.bytes);
    Ok(Report {
        grant: needed_grant::text(&built.name, digest, component.world, &imports),
        path,
        digest: format!("sha256:{digest}"),
        size: component.size,
        world: component.world,
        imports,
        wasi,
    })
}

/// Where everything lies that can be made again: with cargo's other results, in
/// a folder of its own, because the guests' flags are not the host's.
fn work_folder(dir: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    dir.join(target).join("thrall")
}

/// The sandbox's own check, compile worker included. The inner error is what the
/// host would say of the file.
async fn check(work: &Path, bytes: &[u8]) -> anyhow::Result<Result<ComponentReport, String>> {
    let sandbox = WasmSandbox::new(SandboxSettings {
        cache_folder: work.join("code-cache"),
        worker_program: std::env::current_exe().context("cannot find the path of this program")?,
        concurrent_calls: 1,
    })
    .context("cannot start the sandbox")?;
    Ok(sandbox.load(bytes).await.map_err(|error| error.to_string()))
}

/// Under its final name in one move: a running service may be reading it.
fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, bytes)
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What the component's file is called: the recipe's name.
fn component_name(file: &str, package: &str) -> Result<String, Problem> {
    let name = package.strip_prefix("recipe-").unwrap_or(package);
    if is_valid_name(name) {
        return Ok(name.to_owned());
    }
    Err(Problem::in_file(
        file,
        format!("{name:?} cannot name a recipe"),
        "use at most 64 of a-z, 0-9, - and _, a letter or digit first",
    ))
}

fn print(report: &Report, printer: &Printer) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(report);
    }
    let list = |names: &[String]| {
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    printer.line(&format!("component  {}", report.path.display()))?;
    printer.line(&format!("digest     {}", report.digest))?;
    printer.line(&format!("size       {} bytes", report.size))?;
    printer.line(&format!("world      {}", report.world.as_str()))?;
    printer.line(&format!("imports    {}", list(&report.imports)))?;
    if !report.wasi.is_empty() {
        printer.line(&format!("WASI       {} (an empty world)", list(&report.wasi)))?;
    }
    printer.line("")?;
    for line in report.grant.lines() {
        printer.line(line)?;
    }
    Ok(())
}

fn refuse(problem: &Problem, printer: &Printer) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&[problem]);
    }
    let Problem { file, line, column, what, remedy } = problem;
    printer.line(&format!("{file}:{line}:{column}: {what}"))?;
    printer.talk(&format!("  {remedy}"));
    Ok(())
}

/// A text file of the author's, or the reason why there is none.
fn read(path: &Path) -> anyhow::Result<String> {
    const MOST_BYTES: u64 = 1024 * 1024;
    let size = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    if size > MOST_BYTES {
        bail!("{} is larger than {MOST_BYTES} bytes", path.display());
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
