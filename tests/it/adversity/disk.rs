//! A full disk, a folder that cannot be written, a database file that is taken
//! away or damaged while the service runs. Only root can mount; for anybody else
//! those tests say loudly that they were skipped.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use thrall_tests::events::{mail, node};
use thrall_tests::http::{Answer, At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LONG: Duration = Duration::from_secs(60);

/// A briefing for each event: an effect that is seen outside the database.
const BRIEF_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"brief\"\n[actions.brief]\ntype = \"compile\"\nbuffer = \"b\"\nsummon_threshold = 1\n";

/// A small file system of its own, gone with the test.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    #[expect(
        clippy::print_stderr,
        reason = "a test that did not run must not look like one that did"
    )]
    fn on(at: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|ran| ran.status.success());
        if !mounted {
            eprintln!("SKIPPED: only root can mount a file system of its own for this test");
            return None;
        }
        Some(Self { at: at.to_owned() })
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let ran = Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap();
        assert!(ran.success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

fn door(home: &TestHome) -> At {
    At::Socket(home.path("run/operator.sock"))
}

fn bring(home: &TestHome, id: &str, body: &str) -> Answer {
    let event = mail(id, &node(0xd1), body).to_string();
    send(&door(home), "POST", "/thrall/events", &[], event.as_bytes()).unwrap()
}

fn problems(home: &TestHome) -> String {
    let health = send(&door(home), "GET", "/health", &[], b"").unwrap();
    assert_eq!(health.status, 200);
    let problems = health.body["problems"].to_string();
    assert_eq!(health.body["status"] == "ok", problems == "[]", "{health:?}");
    problems
}

fn wait_for_problem(home: &TestHome, words: &str) {
    wait_for(words, LONG, || problems(home).contains(words).then_some(()));
}

fn wait_until_ok(home: &TestHome) {
    wait_for("health", LONG, || (problems(home) == "[]").then_some(()));
}

/// All briefings in one text.
fn briefings(home: &TestHome) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(home.path("artifacts")).unwrap() {
        all.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    all
}

fn wait_for_briefing(home: &TestHome, body: &str) {
    wait_for(body, LONG, || briefings(home).contains(body).then_some(()));
}

fn assert_unavailable(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.body["type"], "urn:thrall:problem:store_unavailable");
    assert!(answer.body["detail"].as_str().unwrap().contains(words), "{answer:?}");
}

#[test]
fn a_full_disk_refuses_events_and_loses_none_that_was_accepted() {
    let home = TestHome::new();
    let Some(_disk) = Mounted::on(&home.path("state"), "size=48m,mode=0700") else { return };
    home.recipe("brief-all", BRIEF_ALL);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(bring(&home, "first", "letter first.").status, 202);
    wait_for_briefing(&home, "letter first.");

    let filler = home.path("state/filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![1u8; 64 * 1024];
    while file.write_all(&block).is_ok() {}
    // Room for a few, so that some are accepted and find no room for their run.
    let length = file.metadata().unwrap().len();
    file.set_len(length - 256 * 1024).unwrap();
    let mut accepted = vec!["first".to_owned()];
    let mut refused = Vec::new();
    for number in 0..1000 {
        let id = format!("m{number}");
        let answer = bring(&home, &id, &format!("letter {id}. {}", "x".repeat(2000)));
        if answer.status == 202 {
            accepted.push(id);
        } else {
            assert_unavailable(&answer, "no space for the database: free disk space");
            refused.push(id);
        }
        if refused.len() == 20 {
            break;
        }
    }
    assert_eq!(refused.len(), 20, "{} were accepted", accepted.len());
    wait_for_problem(&home, "no space for the database");
    for id in &refused {
        assert!(!briefings(&home).contains(&format!("letter {id}.")), "{id} was refused");
    }

    drop(file);
    std::fs::remove_file(&filler).unwrap();
    wait_until_ok(&home);
    assert_eq!(bring(&home, "last", "letter last.").status, 202);
    accepted.push("last".to_owned());
    for id in &accepted {
        wait_for_briefing(&home, &format!("letter {id}."));
    }
    let all = briefings(&home);
    for id in &accepted {
        assert_eq!(all.matches(&format!("letter {id}.")).count(), 1, "{id}");
    }
    for id in &refused {
        assert!(!all.contains(&format!("letter {id}.")), "{id} was refused");
    }
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named_and_serves_once_it_can() {
    let home = TestHome::new();
    let Some(disk) = Mounted::on(&home.path("state"), "size=48m,mode=0700") else { return };
    home.recipe("brief-all", BRIEF_ALL);
    disk.remount("ro");
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let folder = home.path("state").display().to_string();
    for words in [&format!("{folder} cannot be written"), "mount it writable", "Read-only file"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    disk.remount("rw");
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(bring(&home, "m1", "letter one.").status, 202);
    wait_for_briefing(&home, "letter one.");

    // What has files open for writing cannot be made read-only, but hidden.
    let cover = Mounted::on(&home.path("state"), "ro,size=1m").unwrap();
    assert_unavailable(&bring(&home, "m2", "letter two."), "thrall.db is gone");
    wait_for_problem(&home, "thrall.db is gone");
    drop(cover);
    wait_until_ok(&home);
    assert_eq!(bring(&home, "m3", "letter three.").status, 202);
    wait_for_briefing(&home, "letter three.");
    assert!(!briefings(&home).contains("letter two."));
    home.run(&["journal", "verify"]).ok();
}

#[test]
fn a_database_that_is_taken_away_or_damaged_accepts_nothing_more() {
    type Damage = fn(&TestHome);
    let database = |home: &TestHome| home.path("state/thrall.db");
    let cases: [(&str, Damage); 5] = [
        ("thrall.db is gone", |home| std::fs::remove_file(home.path("state/thrall.db")).unwrap()),
        ("thrall.db-wal is gone", |home| {
            std::fs::remove_file(home.path("state/thrall.db-wal")).unwrap();
        }),
        ("thrall.db was replaced", |home| {
            std::fs::copy(home.path("state/thrall.db"), home.path("state/copy")).unwrap();
            std::fs::rename(home.path("state/copy"), home.path("state/thrall.db")).unwrap();
        }),
        ("thrall.db was cut short", |home| {
            std::fs::write(home.path("state/thrall.db"), "not what it was").unwrap();
        }),
        ("thrall.db was overwritten", |home| {
            let path = home.path("state/thrall.db");
            let length = usize::try_from(path.metadata().unwrap().len()).unwrap();
            let mut file = std::fs::File::options().write(true).open(path).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&vec![0x5a; length]).unwrap();
        }),
    ];
    for (words, damage) in cases {
        let home = TestHome::new();
        home.recipe("brief-all", BRIEF_ALL);
        let serving = Serving::ready(home.spawn(&["serve"]));
        assert_eq!(bring(&home, "m1", "letter one.").status, 202);
        wait_for_briefing(&home, "letter one.");
        wait_for("the outbox to be empty", LONG, || {
            home.database()
                .query_row("SELECT count(*) FROM outbox WHERE state = 'pending'", [], |row| {
                    row.get::<_, i64>(0)
                })
                .is_ok_and(|left| left == 0)
                .then_some(())
        });
        damage(&home);
        assert_unavailable(&bring(&home, "m2", "letter two."), words);
        wait_for_problem(&home, words);
        assert_unavailable(&bring(&home, "m3", "letter three."), words);
        assert!(!briefings(&home).contains("letter two."), "{words}");
        wait_for("the words on standard error", LONG, || {
            serving.said().iter().any(|line| line.contains(words)).then_some(())
        });
        drop(serving);
        let is_damaged = words.contains("cut short") || words.contains("overwritten");
        if is_damaged {
            let ran = home.run(&["serve"]);
            assert_eq!(ran.code, 2, "{words}: {ran:?}");
            let path = database(&home).display().to_string();
            for told in [&format!("{path} is damaged or no database"), "restore a backup"] {
                assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
            }
        }
    }
}

#[test]
fn a_database_that_is_put_back_goes_on_without_a_restart() {
    let home = TestHome::new();
    home.recipe("brief-all", BRIEF_ALL);
    let _serving = Serving::ready(home.spawn(&["serve"]));
    assert_eq!(bring(&home, "m1", "letter one.").status, 202);
    let (path, away) = (home.path("state/thrall.db"), home.path("state/away"));
    std::fs::rename(&path, &away).unwrap();
    // Nobody has to bring an event for it to be noticed.
    wait_for_problem(&home, "thrall.db is gone");
    assert_unavailable(&bring(&home, "m2", "letter two."), "thrall.db is gone");
    std::fs::rename(&away, &path).unwrap();
    wait_until_ok(&home);
    assert_eq!(bring(&home, "m2", "letter two.").status, 202);
    for body in ["letter one.", "letter two."] {
        wait_for_briefing(&home, body);
    }
    home.run(&["journal", "verify"]).ok();
}
