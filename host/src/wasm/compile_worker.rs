//! Compiling in a process of its own. A component that makes the compiler run
//! for minutes or eat memory then costs a worker, not the host; what it
//! compiled lies in the cache, from where the host loads it at once. Both ends
//! are here: the host's side and the worker's `main`.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::component_cache::prepare;
use super::component_check::{ComponentReport, LoadError, MAX_COMPONENT_BYTES};
use super::engine::{self, Allocation};
use super::linker::Linkers;
use super::printable::printable;

/// The hidden subcommand by which the program becomes a worker.
pub const SUBCOMMAND: &str = "compile-worker";

/// Work that a worker may do. An 18 MB Python takes a quarter of it.
const CPU_SECONDS: u64 = 60;
/// Work and waiting: a worker stands back, so on a busy machine it takes
/// several times as long as it works.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Address space, which is more than is ever used: each thread of the compiler
/// reserves some.
const ADDRESS_SPACE: u64 = 4 << 30;
/// The compiled code of the largest component, and no more, may be written.
const FILE_SIZE: u64 = 512 << 20;
/// So that compiling leaves the machine to the events.
const NICENESS: i32 = 10;
const COMPILER_THREADS: &str = "2";
const WORKERS: usize = 2;

/// A worker's answer is a small JSON document, and its complaints are quoted.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;
const MAX_QUOTED_BYTES: usize = 300;

/// Starts workers, at most two at a time.
pub(super) struct CompileWorker {
    program: PathBuf,
    time_limit: Duration,
    places: Semaphore,
}

impl CompileWorker {
    /// `program` understands [`SUBCOMMAND`].
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, time_limit: TIME_LIMIT, places: Semaphore::new(WORKERS) }
    }

    /// Compiles a component into the cache. Dropping the future kills the
    /// worker.
    ///
    /// # Errors
    /// What is wrong with the component, or [`LoadError::Compile`] where the
    /// worker could not be started, was too slow or died.
    pub(super) async fn compile(
        &self,
        bytes: &[u8],
        cache_folder: &Path,
        allocation: Allocation,
    ) -> Result<ComponentReport, LoadError> {
        let failed = |what: String| LoadError::Compile(what);
        let _place = self.places.acquire().await.map_err(|closed| failed(closed.to_string()))?;
        let arguments: [&OsStr; 3] =
            [SUBCOMMAND.as_ref(), cache_folder.as_ref(), allocation.as_str().as_ref()];
        let mut worker = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("RAYON_NUM_THREADS", COMPILER_THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|reason| {
                failed(format!("cannot start {}: {reason}", self.program.display()))
            })?;
        let (stdin, stdout, stderr) =
            (worker.stdin.take(), worker.stdout.take(), worker.stderr.take());
        let work = async {
            tokio::join!(feed(stdin, bytes), bounded(stdout), bounded(stderr), worker.wait())
        };
        let Ok(((), answer, complaint, status)) = tokio::time::timeout(self.time_limit, work).await
        else {
            return Err(failed(format!(
                "the compiler did not finish within {} s and was stopped",
                self.time_limit.as_secs()
            )));
        };
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(answer) => answer.into(),
            Err(_) => Err(failed(format!(
                "the compiler {} without an answer{}",
                describe(status),
                after_colon(&complaint)
            ))),
        }
    }
}

async fn feed(stdin: Option<tokio::process::ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A worker that does not read will be missed for its answer.
        let _ = stdin.write_all(bytes).await;
    }
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut output = Vec::new();
    if let Some(stream) = stream {
        // What was read so far is worth having even if the rest is not.
        let _ = stream.take(MAX_OUTPUT_BYTES).read_to_end(&mut output).await;
    }
    output
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => match status.signal() {
            Some(signal) => format!("was killed by signal {signal} (a limit of time or memory)"),
            None => format!("ended with {status}"),
        },
        Err(reason) => format!("was lost ({reason})"),
    }
}

fn after_colon(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let text = printable(text.trim(), MAX_QUOTED_BYTES);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// What a worker prints. Not a plain `Result`, whose JSON form is an accident
/// of the library.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Compiled(ComponentReport),
    Refused(LoadError),
}

impl From<Answer> for Result<ComponentReport, LoadError> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Compiled(report) => Ok(report),
            Answer::Refused(error) => Err(error),
        }
    }
}

/// The worker's whole life: limits itself, reads a component from stdin,
/// compiles it into the cache, prints an answer as JSON on stdout. `arguments`
/// are those after [`SUBCOMMAND`]. The exit code is 0 if there is an answer,
/// be it a refusal.
pub fn compile_worker_main(arguments: &[OsString]) -> ExitCode {
    match work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // If even stderr is gone, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &[OsString]) -> Result<(), String> {
    let [cache_folder, allocation] = arguments else {
        return Err(format!("usage: {SUBCOMMAND} CACHE_FOLDER pooled|on-demand < COMPONENT"));
    };
    let allocation = allocation
        .to_str()
        .and_then(Allocation::parse)
        .ok_or_else(|| format!("{} is no kind of allocation", allocation.display()))?;
    limit_this_process().map_err(|reason| format!("cannot limit the worker: {reason}"))?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_COMPONENT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|reason| format!("cannot read the component: {reason}"))?;
    let answer = match compile(&bytes, Path::new(cache_folder), allocation)? {
        Ok(report) => Answer::Compiled(report),
        Err(error) => Answer::Refused(error),
    };
    let json = serde_json::to_vec(&answer).map_err(|reason| reason.to_string())?;
    std::io::stdout().write_all(&json).map_err(|reason| format!("cannot answer: {reason}"))
}

/// The outer error is the worker's, the inner one the component's.
pub(super) fn compile(
    bytes: &[u8],
    cache_folder: &Path,
    allocation: Allocation,
) -> Result<Result<ComponentReport, LoadError>, String> {
    let setup =
        engine::for_compiling(cache_folder, allocation).map_err(|reason| reason.to_string())?;
    let linkers = Linkers::new(&setup.engine).map_err(|reason| format!("{reason:#}"))?;
    Ok(prepare(&setup.engine, &linkers, bytes).map(|loaded| loaded.report))
}

/// Limits that only ever get narrower: those of the parent stay if lower.
fn limit_this_process() -> rustix::io::Result<()> {
    let limits = [
        (Resource::As, ADDRESS_SPACE),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Fsize, FILE_SIZE),
        (Resource::Core, 0),
    ];
    for (resource, wanted) in limits {
        let inherited = rustix::process::getrlimit(resource).maximum;
        let limit = Some(inherited.map_or(wanted, |inherited| inherited.min(wanted)));
        setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
    }
    nice(NICENESS).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(program: &str, time_limit: Duration) -> CompileWorker {
        CompileWorker { time_limit, ..CompileWorker::new(PathBuf::from(program)) }
    }

    async fn failure_of(worker: &CompileWorker) -> String {
        let folder = Path::new("cache");
        worker.compile(b"x", folder, Allocation::Pooled).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_worker_that_cannot_be_started_is_named() {
        let reason = failure_of(&worker("/nonexistent/thrall", TIME_LIMIT)).await;
        assert!(reason.contains("cannot start /nonexistent/thrall"), "{reason}");
    }

    #[tokio::test]
    async fn a_worker_that_fails_is_quoted() {
        let reason = failure_of(&worker("/bin/ls", TIME_LIMIT)).await;
        assert!(reason.contains("without an answer"), "{reason}");
        assert!(reason.contains("compile-worker"), "{reason}");
    }

    #[tokio::test]
    async fn a_worker_that_hangs_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("hang");
        std::fs::write(&script, "#!/bin/sh\nwhile :; do :; done\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, executable).unwrap();
        let worker = worker(script.to_str().unwrap(), Duration::from_millis(200));
        let reason = failure_of(&worker).await;
        assert!(reason.contains("did not finish within 0 s"), "{reason}");
    }

    #[test]
    fn an_answer_survives_the_way() {
        for answer in [LoadError::NotWasm, LoadError::Invalid("x".to_owned())] {
            let json = serde_json::to_vec(&Answer::Refused(answer.clone())).unwrap();
            let back: Answer = serde_json::from_slice(&json).unwrap();
            assert_eq!(Result::from(back), Err(answer));
        }
    }
}
