//! Service, operator and agent as really different users of the machine, on a
//! home laid out as README.md says. Only root can become them; for anybody
//! else these tests say loudly that they were skipped.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use thrall_tests::events::node;
use thrall_tests::http::{Answer, At, answer_of, request_text};
use thrall_tests::operators_things;
use thrall_tests::serving::Serving;
use thrall_tests::test_home::{TestHome, thrall_program};
use thrall_tests::wait_for::wait_for;

// Numbers that no account of a machine has.
const SERVICE: u32 = 20_001;
const AGENT: u32 = 20_002;
const OPERATOR: u32 = 20_003;
const STRANGER: u32 = 65_534;

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

/// A home with owners, and programs where every user can run them.
struct Machine {
    home: TestHome,
    programs: TempDir,
}

impl Machine {
    /// `None`, and said, where these users cannot be become.
    fn new() -> Option<Self> {
        let home = TestHome::new();
        if std::fs::metadata(home.path("state")).unwrap().uid() != 0 {
            skipped("only root can run programs as other users");
            return None;
        }
        let programs = TempDir::new().unwrap();
        open_folder(programs.path());
        let pipe = Path::new(env!("CARGO_BIN_EXE_socket-pipe"));
        for (program, name) in [(thrall_program(), "thrall"), (pipe, "socket-pipe")] {
            let here = programs.path().join(name);
            // A link costs nothing; another file system has none.
            if std::fs::hard_link(program, &here).is_err() {
                std::fs::copy(program, &here).unwrap();
            }
        }
        home.roles(&format!("operator_users = [{OPERATOR}]\nagent_users = [{AGENT}]"));
        home.configure(&format!("[trust_tiers]\nteam = [\"{}\"]\n", node(0xde)));
        home.recipe("log-all", LOG_ALL);
        let machine = Self { home, programs };
        machine.give_to_their_owners();
        if let Err(error) = machine.command(AGENT, "thrall").arg("--version").output() {
            skipped(&format!("programs cannot be run as another user here: {error}"));
            return None;
        }
        Some(machine)
    }

    fn give_to_their_owners(&self) {
        let root = self.home.path("");
        all(&root, &mut |path| chown(path, Some(SERVICE), Some(SERVICE)).unwrap());
        for operators in ["grants", "prompts", "models", "thrall.toml"] {
            all(&self.home.path(operators), &mut |path| chown(path, Some(0), Some(0)).unwrap());
        }
        chown(self.home.path("recipes"), Some(SERVICE), Some(AGENT)).unwrap();
        // What `init` gave it, whatever the umask was.
        let mode = std::fs::metadata(self.home.path("recipes")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o2770);
        // Ownership changes take the bit away on some systems.
        std::fs::set_permissions(self.home.path("recipes"), PermissionsExt::from_mode(0o2770))
            .unwrap();
        open_folder(&root);
    }

    fn command(&self, uid: u32, program: &str) -> Command {
        let mut command = Command::new(self.programs.path().join(program));
        command.uid(uid).gid(uid).current_dir("/").env_clear().env("HOME", "/nonexistent");
        command
    }

    fn thrall(&self, uid: u32, args: &[&str]) -> Command {
        let mut command = self.command(uid, "thrall");
        command.arg("--home").arg(self.home.path("")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn serve(&self) -> Serving {
        Serving::ready(self.thrall(SERVICE, &["serve"]).spawn().unwrap())
    }

    /// A line of shell as a user; whether it went well.
    fn shell(&self, uid: u32, line: &str) -> bool {
        let mut command = Command::new("/bin/sh");
        command.uid(uid).gid(uid).args(["-c", line]).current_dir(self.home.path(""));
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// A request from a process of that user; `None` if it cannot even connect.
    fn send(
        &self,
        uid: u32,
        socket: &str,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Option<Answer> {
        let path = self.home.path(&format!("run/{socket}.sock"));
        let text = request_text(&At::Socket(path.clone()), method, target, &[], body);
        let mut command = self.command(uid, "socket-pipe");
        let mut child = command
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdin.take().unwrap().write_all(&text));
        answer_of(&child.wait_with_output().unwrap().stdout)
    }
}

/// Shown also where the test passes: .config/nextest.toml.
#[expect(clippy::print_stderr, reason = "a test that did not run must not look like one that did")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: users were not told apart: {why}");
}

fn open_folder(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn all(path: &Path, each: &mut dyn FnMut(&Path)) {
    each(path);
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            all(&entry.unwrap().path(), each);
        }
    }
}

#[test]
fn the_socket_is_the_users_and_no_claim_makes_it_anothers() {
    let Some(machine) = Machine::new() else { return };
    let serving = machine.serve();
    let said = serving.said().join("\n");
    assert!(said.contains("separation = \"strict\""), "{said}");
    assert!(!said.contains("warning:"), "{said}");

    for operator in [0, SERVICE, OPERATOR] {
        for socket in ["operator", "agent"] {
            let health = machine.send(operator, socket, "GET", "/health", b"").unwrap();
            assert_eq!(health.status, 200, "uid {operator} at {socket}: {health:?}");
            assert_eq!(health.body["separation"], "strict");
            assert_eq!(health.body["mode_ceiling"], "automated");
        }
    }
    let large = vec![b'x'; 4 * 1024 * 1024];
    for (uid, socket, code) in [
        (AGENT, "operator", "not_the_operator"),
        (STRANGER, "operator", "not_the_operator"),
        (STRANGER, "agent", "not_the_agent"),
    ] {
        for (method, target, body) in [
            ("GET", "/health", &b""[..]),
            ("POST", "/thrall/events", &large),
            ("POST", "/nothing", b"{}"),
        ] {
            let refused = machine.send(uid, socket, method, target, body).unwrap();
            assert_eq!(refused.status, 403, "{uid} {socket} {target}: {refused:?}");
            assert_eq!(refused.body["type"], format!("urn:thrall:problem:{code}"));
        }
    }

    let team = json!({"id": "m1", "trigger": "on_mail", "fields": {"from_node": node(0xde), "body_text": "hi"}});
    let taken = machine.send(AGENT, "agent", "POST", "/thrall/events", team.to_string().as_bytes());
    assert_eq!(taken.unwrap().status, 202);
    let row = wait_for("decision", Duration::from_secs(30), || machine.home.journal().pop());
    assert_eq!((&row["tier"], &row["action"]), (&"unknown".into(), &"log".into()), "{row}");
    let tick = machine.send(
        AGENT,
        "agent",
        "POST",
        "/thrall/events",
        br#"{"trigger":"on_tick","fields":{}}"#,
    );
    assert_eq!(tick.unwrap().status, 403);
}

#[test]
fn the_agent_writes_recipes_and_nothing_else() {
    let Some(machine) = Machine::new() else { return };
    let _serving = machine.serve();
    let before = operators_things::of(&machine.home);
    for attempt in [
        "echo x > grants/evil.toml",
        "echo 'mode = \"automated\"' >> grants/log-all.toml",
        "rm grants/log-all.toml",
        "mv grants/log-all.toml grants/other.toml",
        "ln recipes/mine.toml grants/evil.toml",
        "ln -s ../recipes/mine.toml grants/evil.toml",
        "mv grants grants.old",
        "mkdir evil",
        "echo x > prompts/triage.toml",
        "echo x > prompts/evil.toml",
        "echo x > models/evil.gguf",
        "echo '{}' > breakers/global.json",
        "echo x >> thrall.toml",
        "mv thrall.toml old.toml",
        "rm thrall.toml",
        "echo x > thrall.reload",
        "echo x > artifacts/evil.md",
        "echo x > run/evil.sock",
        "rm run/operator.sock",
        "ls run/.new",
        "ls state",
        "cat state/thrall.db",
        "echo x > state/evil",
        "mv state old",
        "mv recipes old",
        "chmod 777 .",
        "chmod 777 grants",
        "chown 20002 grants",
        "cp /bin/sh run/",
    ] {
        assert!(!machine.shell(AGENT, attempt), "the agent could: {attempt}");
    }
    operators_things::assert_unchanged(&before, &machine.home);

    std::fs::write(machine.programs.path().join("mine.toml"), LOG_ALL).unwrap();
    let from = machine.programs.path().join("mine.toml");
    assert!(machine.shell(AGENT, &format!("cp {} recipes/mine.toml", from.display())));
    assert!(machine.shell(AGENT, "touch recipes/.reload"));
    let state = wait_for("recipe of the agent", Duration::from_secs(30), || {
        let answer = machine.send(AGENT, "agent", "GET", "/thrall/recipes", b"")?;
        let recipes = answer.body["recipes"].as_array()?.clone();
        recipes.into_iter().find(|recipe| recipe["name"] == "mine")
    });
    assert_eq!(state["state"], "suspended", "{state}");
    assert!(!machine.shell(STRANGER, "ls recipes"));
    assert!(machine.shell(AGENT, "rm recipes/mine.toml"));
}

/// Every command and subcommand that `thrall help` names.
fn commands(machine: &Machine, above: &[String]) -> Vec<Vec<String>> {
    let help = machine.command(AGENT, "thrall").args(above).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let names = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help");
    let mut found = Vec::new();
    for name in names {
        let command = [above, &[name.to_owned()]].concat();
        let below = commands(machine, &command);
        if below.is_empty() { found.push(command) } else { found.extend(below) }
    }
    found
}

/// Commands that work on nothing of the home and take their time.
const MEASURING: [&str; 2] = ["bench engine", "bench model"];

#[test]
fn no_command_run_by_the_agent_changes_what_is_the_operators() {
    let Some(machine) = Machine::new() else { return };
    let _serving = machine.serve();
    let before = operators_things::of(&machine.home);
    let found = commands(&machine, &[]);
    let tops: BTreeSet<&str> = found.iter().map(|command| command[0].as_str()).collect();
    for known in [
        "init", "serve", "ingest", "dryrun", "explain", "journal", "recipe", "model", "status",
        "doctor",
    ] {
        assert!(tops.contains(known), "{known} in {tops:?}");
    }
    let file = machine.programs.path().join("events.jsonl");
    std::fs::write(
        &file,
        json!({"trigger": "on_mail", "fields": {"from_node": node(0xde)}}).to_string(),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for command in found {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        if MEASURING.contains(&words.join(" ").as_str()) {
            continue;
        }
        for more in [&[][..], &["log-all"], &[file], &["log-all", "automated"], &["log-all", file]]
        {
            // With nothing to say `model pull` asks the network, which is
            // another matter.
            let ended = to_the_end(&machine, &[&words[..], more].concat());
            assert!(
                ended.status.code().is_some(),
                "{words:?} {more:?} was killed: {}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
    }
    operators_things::assert_unchanged(&before, &machine.home);
    let refused = to_the_end(&machine, &["ingest", file]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("not_the_operator"), "{said}");
    assert!(machine.home.journal().is_empty());
}

fn to_the_end(machine: &Machine, args: &[&str]) -> Output {
    let mut child = machine.thrall(AGENT, args).spawn().unwrap();
    wait_for("end of the command", Duration::from_secs(120), || child.try_wait().unwrap());
    child.wait_with_output().unwrap()
}

#[test]
fn what_root_leaves_in_the_state_is_the_services() {
    let Some(machine) = Machine::new() else { return };
    for folder in ["state/code-cache", "state/components"] {
        drop(std::fs::remove_dir_all(machine.home.path(folder)));
    }
    for command in [&["doctor"][..], &["recipe", "list"], &["grant", "allow", "log-all"]] {
        machine.home.run(command);
    }
    assert!(machine.home.path("state/code-cache").is_dir());
    all(&machine.home.path("state"), &mut |path| {
        // The cache may still be writing down what it met.
        let owner = std::fs::symlink_metadata(path).map_or(SERVICE, |metadata| metadata.uid());
        let is_of_cache = path.is_file() && path.starts_with(machine.home.path("state/code-cache"));
        assert!(owner == SERVICE || is_of_cache, "{} is uid {owner}'s", path.display());
    });
    let doctor = machine.home.run(&["doctor"]);
    assert!(!doctor.stdout.contains("is not the service's"), "{doctor:?}");
    chown(machine.home.path("state/code-cache"), Some(0), Some(0)).unwrap();
    let doctor = machine.home.run(&["doctor"]);
    assert!(doctor.stdout.contains("state/code-cache is not the service's"), "{doctor:?}");
}

#[test]
fn briefings_are_open_to_the_agents_group_alone() {
    let Some(machine) = Machine::new() else { return };
    let said = |machine: &Machine| machine.home.run(&["doctor"]).stdout;
    let mode = |machine: &Machine| {
        std::fs::metadata(machine.home.path("artifacts")).unwrap().mode() & 0o777
    };
    assert_eq!(mode(&machine), 0o700, "as it is made");
    drop(machine.serve());
    // The agent here has no group that it could be opened to.
    assert_eq!(mode(&machine), 0o755);
    assert!(machine.shell(AGENT, "ls artifacts"));
    assert!(said(&machine).contains("artifacts can be read by every user"));
    let config = std::fs::read_to_string(machine.home.path("thrall.toml")).unwrap();
    machine.home.write(
        "thrall.toml",
        config.replace(
            &format!("agent_users = [{AGENT}]"),
            &format!("agent_users = [{AGENT}]\nagent_groups = [{AGENT}]"),
        ),
    );
    machine.home.run(&["status"]);
    let as_root = machine.home.ingest("");
    assert_eq!(as_root.code, 0, "{as_root:?}");
    assert_eq!(mode(&machine), 0o750);
    assert!(machine.shell(AGENT, "ls artifacts") && !machine.shell(OPERATOR, "ls artifacts"));
    assert!(!said(&machine).contains("artifacts can be read"));
}

#[test]
fn doctor_names_places_that_the_agent_could_write() {
    let Some(machine) = Machine::new() else { return };
    let roles_of = |machine: &Machine| {
        let findings = machine.home.run(&["doctor", "--json"]).json();
        let all = findings.as_array().unwrap().clone();
        all.into_iter().filter(|one| one["about"] == "roles").collect::<Vec<_>>()
    };
    let good = roles_of(&machine);
    assert!(good.iter().all(|one| one["level"] == "good"), "{good:?}");
    chown(machine.home.path("grants"), Some(AGENT), Some(AGENT)).unwrap();
    std::fs::set_permissions(machine.home.path("state"), PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!("{:?}", roles_of(&machine));
    for place in
        ["grants can be written by the agent (uid 20002)", "state can be entered", "chmod 700"]
    {
        assert!(text.contains(place), "{place}: {text}");
    }
}
