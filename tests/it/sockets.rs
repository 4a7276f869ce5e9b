//! `thrall serve`: events over a Unix socket, health, refusals, restart.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

/// One HTTP request by hand: status and JSON body.
fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // Refused before it was read to its end: the answer is there all the same.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    // A server that refuses without reading the body ends with a reset; what
    // it said before that is the answer.
    let _ = stream.read_to_end(&mut bytes);
    let answer = String::from_utf8_lossy(&bytes);
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let text = answer.split_once("\r\n\r\n")?.1;
    Some((status, serde_json::from_str(text).unwrap_or(Value::Null)))
}

struct Served {
    child: std::process::Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(home: &TestHome) -> Served {
    let served = Served { child: home.spawn(&["serve"]) };
    let socket = home.path("run/operator.sock");
    wait_for("health", Duration::from_secs(60), || {
        request(&socket, "GET", "/health", b"").filter(|(status, _)| *status == 200)
    });
    served
}

#[test]
fn events_are_taken_in_refused_and_told_apart() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let _served = serve(&home);
    let socket = home.path("run/operator.sock");
    let health = request(&socket, "GET", "/health", b"").unwrap().1;
    assert_eq!((&health["status"], &health["recipes_live"]), (&"ok".into(), &1.into()), "{health}");
    assert_eq!(health["separation"], "advisory");

    let one = mail("m1", &node(0xd1), "hello").to_string();
    let (status, answer) = request(&socket, "POST", "/thrall/events", one.as_bytes()).unwrap();
    assert_eq!((status, &answer[0]["status"]), (202, &"accepted".into()), "{answer}");
    wait_for("a decision", Duration::from_secs(20), || (home.journal().len() == 1).then_some(()));
    let (_, again) = request(&socket, "POST", "/thrall/events", one.as_bytes()).unwrap();
    assert_eq!(
        (&again[0]["status"], &again[0]["journal_id"]),
        (&"duplicate".into(), &1.into()),
        "{again}"
    );

    let (status, refused) =
        request(&socket, "POST", "/thrall/events", br#"{"trigger":"on_mail"}"#).unwrap();
    assert_eq!((status, &refused[0]["status"]), (422, &"refused".into()), "{refused}");
    let tick = json!({"trigger": "on_tick", "fields": {}}).to_string();
    let (status, problem) = request(&socket, "POST", "/thrall/events", tick.as_bytes()).unwrap();
    assert_eq!(
        (status, &problem["type"]),
        (403, &"urn:thrall:problem:trigger_not_allowed".into()),
        "{problem}"
    );
    let (status, _) = request(&socket, "POST", "/thrall/events", &vec![b'x'; 9 * 1024 * 1024])
        .unwrap_or((413, Value::Null));
    assert_eq!(status, 413);

    let agent = home.path("run/agent.sock");
    assert_eq!(request(&agent, "GET", "/health", b"").unwrap().0, 200);
    assert_eq!(request(&agent, "POST", "/thrall/events", one.as_bytes()).unwrap().0, 202);
}

#[test]
fn ingest_goes_through_a_running_service() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let _served = serve(&home);
    let ran =
        home.ingest(&lines((0..300).map(|n| mail(&format!("m{n}"), &node(0xd1), "hello")))).ok();
    assert!(ran.stderr.contains("300 accepted"), "{ran:?}");
    wait_for("300 decisions", Duration::from_secs(30), || {
        (home.journal().len() == 300).then_some(())
    });
}

#[test]
fn two_services_never_share_a_home() {
    let home = TestHome::new();
    let _served = serve(&home);
    let second = home.run(&["serve"]);
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains("in use by another thrall"), "{}", second.stderr);
}

#[test]
fn a_recipe_dropped_in_goes_live_and_a_broken_one_does_not_replace_it() {
    let home = TestHome::new();
    home.recipe("log-all", LOG_ALL);
    let _served = serve(&home);
    let socket = home.path("run/operator.sock");
    home.recipe("drop-all", &LOG_ALL.replace("\"log\"", "\"drop\""));
    home.write("recipes/log-all.toml", "mode = ");
    home.write("recipes/.reload", "");
    wait_for("two live recipes", Duration::from_secs(20), || {
        let health = request(&socket, "GET", "/health", b"")?.1;
        (health["recipes_live"] == 2 && !health["problems"].as_array()?.is_empty()).then_some(())
    });
    let event = mail("m1", &node(0xd1), "hello").to_string();
    request(&socket, "POST", "/thrall/events", event.as_bytes()).unwrap();
    let rows = wait_for("two rows", Duration::from_secs(20), || {
        Some(home.journal()).filter(|rows| rows.len() == 2)
    });
    let mut decided: Vec<_> = rows
        .iter()
        .map(|row| (row["recipe"].as_str().unwrap(), row["action"].as_str().unwrap()))
        .collect();
    decided.sort_unstable();
    assert_eq!(decided, [("drop-all", "drop"), ("log-all", "log")]);
}
