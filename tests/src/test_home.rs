//! A home in a temporary folder, and the real program run on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The program under test, built by cargo beside the test binary.
///
/// # Panics
/// When it is not there.
pub fn thrall_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the test has a path");
        let folder = test.parent().and_then(Path::parent).expect("the test lies in target/*/deps");
        let program = folder.join("thrall");
        assert!(program.is_file(), "{} is missing: run `make build`", program.display());
        program
    })
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The command's JSON.
    ///
    /// # Panics
    /// When standard output is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Insists on exit status 0.
    ///
    /// # Panics
    /// When it is another.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A home of its own for one test.
pub struct TestHome {
    folder: TempDir,
}

impl Default for TestHome {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHome {
    /// An initialised home without the shipped recipes: a test brings its own.
    ///
    /// # Panics
    /// When the folder cannot be made; so everywhere here.
    pub fn new() -> Self {
        let home = Self::shipped();
        for folder in ["recipes", "grants"] {
            for entry in std::fs::read_dir(home.path(folder)).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        home
    }

    /// A home as `thrall init` makes it, with recipes allowed to be automated:
    /// whoever runs tests is agent, operator and service in one.
    pub fn shipped() -> Self {
        let home = Self { folder: TempDir::new().unwrap() };
        home.run(&["init"]).ok();
        home.configure(ACCEPTED);
        home
    }

    /// As [`TestHome::shipped`], but copied from one that this process made
    /// before: `init` compiles components, which takes seconds.
    pub fn shipped_again() -> Self {
        static FIRST: OnceLock<TestHome> = OnceLock::new();
        FIRST.get_or_init(Self::shipped).copy()
    }

    /// Another home with the same files.
    pub fn copy(&self) -> Self {
        let folder = TempDir::new().unwrap();
        let from = self.folder.path().join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        Self { folder }
    }

    /// Puts other roles in the place of those of [`TestHome::shipped`].
    pub fn roles(&self, keys: &str) {
        let path = self.path("thrall.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(ACCEPTED), "{text}");
        std::fs::write(path, text.replace(ACCEPTED, &format!("[roles]\n{keys}\n"))).unwrap();
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub fn write(&self, inside: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(inside);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Puts a prompt in use, under the name that it declares.
    pub fn prompt(&self, name: &str, toml: impl AsRef<[u8]>) -> Ran {
        let file = self.write(&format!("prompts/{name}.toml"), toml);
        self.run(&["prompt", "load", file.to_str().unwrap()]).ok()
    }

    /// Installs a recipe with a grant for everything that it names.
    pub fn recipe(&self, name: &str, toml: &str) {
        self.recipe_under(name, toml, &full_grant(toml));
    }

    /// Installs a recipe with a grant, which is then bound to it. A recipe that
    /// is broken keeps a grant that names no revision.
    pub fn recipe_under(&self, name: &str, toml: &str, grant: &str) {
        self.write(&format!("recipes/{name}.toml"), toml);
        self.write(&format!("grants/{name}.toml"), grant);
        self.run(&["grant", "allow", name]);
    }

    /// Appends to thrall.toml.
    pub fn configure(&self, toml: &str) {
        let path = self.path("thrall.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push('\n');
        text.push_str(toml);
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(thrall_program());
        command.arg("--home").arg(self.folder.path()).args(args);
        command.env_remove("THRALL_LOG").env_remove("THRALL_HOME");
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        Self::ran(&output)
    }

    /// Runs a command with something on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.spawn(args);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Self::ran(&child.wait_with_output().unwrap())
    }

    /// Starts a command.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Takes events in and decides them.
    pub fn ingest(&self, lines: &str) -> Ran {
        let file = self.write("events.jsonl", lines);
        self.run(&["ingest", file.to_str().unwrap()])
    }

    /// The journal's decision rows, oldest first.
    pub fn journal(&self) -> Vec<Value> {
        let ran = self.run(&["journal", "list", "--limit", "100000", "--json"]).ok();
        let mut rows = ran.json().as_array().unwrap().clone();
        rows.reverse();
        rows
    }

    /// A read connection to the database.
    pub fn database(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.path("state/thrall.db"), flags).unwrap()
    }

    fn ran(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const ACCEPTED: &str = "[roles]\naccept_advisory = true\n";

/// A grant for all that a recipe's text names: its buffers, events, targets and
/// skills, as often as a test may want.
pub fn full_grant(toml: &str) -> String {
    let named = |key: &str, more: &[&str]| {
        let mut names: Vec<&str> = more.to_vec();
        for (at, _) in toml.match_indices(key) {
            let is_whole = !toml[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let value = toml[at + key.len()..].trim_start().strip_prefix('=').map(str::trim_start);
            if let Some(text) = value.and_then(|rest| rest.strip_prefix('"')).filter(|_| is_whole) {
                names.extend(text.split('"').next());
            }
        }
        format!("{names:?}")
    };
    format!(
        r#"
mode = "automated"
imports = ["context-read", "journal-read", "breaker-read", "model", "cockpit-read"]
[reads]
journal = {{ scope = "own" }}
context = {{ scope = "session" }}
cockpit = {{ routes = ["status"] }}
model = {{ prompts = ["*"], models = ["*"] }}
gather = {{ files = {files} }}
[operations]
compile = {{ buffers = {buffers} }}
wake = {{ per_hour = 100000 }}
reply = {{ to = "origin", body = "any", per_hour = 100000 }}
set-context = {{ scope = "session" }}
set-flag = {{ prefixes = [""] }}
trip-breaker = {{ targets = {targets} }}
trigger = {{ kinds = {triggers} }}
[budget]
model_calls_per_day = 1000000
"#,
        files = named("path", &[]),
        buffers = named("buffer", &["default"]),
        targets = named("target", &[]),
        triggers = named("trigger", &[]),
    )
}
