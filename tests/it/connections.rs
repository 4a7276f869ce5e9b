//! Who connects and says nothing takes a place for seconds, at one door.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use thrall_tests::http::{At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::{TestHome, thrall_program};
use thrall_tests::wait_for::wait_for;

fn half_a_request(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // Who was turned away need not take it.
    drop(stream.write_all(text.as_bytes()));
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn half_open_connections_shut_no_other_door_and_their_own_for_seconds() {
    let home = TestHome::new();
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\n");
    let limited = format!(
        "ulimit -Sn 256; exec {} --home {} serve",
        thrall_program().display(),
        home.path("").display()
    );
    let child = Command::new("sh")
        .args(["-c", &limited])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let serving = Serving::ready(child);
    let open_files = std::fs::read_to_string(limits).unwrap();
    let open_files = open_files.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = open_files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "as many as the system allows: {open_files}");

    let port = serving.port();
    let token = std::fs::read_to_string(home.path("state/tokens/agent")).unwrap();
    let token = token.trim().to_owned();
    let started = Instant::now();
    let without_body = half_a_request(
        port,
        &format!(
            "POST /thrall/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{"
        ),
    );
    let held: Vec<TcpStream> = (0..300)
        .map(|_| half_a_request(port, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"))
        .collect();
    // Sockets have places of their own.
    for name in ["operator", "agent"] {
        let at = At::Socket(home.path(&format!("run/{name}.sock")));
        assert_eq!(send(&at, "GET", "/health", &[], b"").unwrap().status, 200, "{name}");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "they were held meanwhile");
    let answers: Vec<String> = held.into_iter().map(rest).collect();
    let turned_away = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503")).count();
    assert!(turned_away >= 300 - 64, "{turned_away}: {:?}", answers.last());
    let at = At::Port { port, token };
    wait_for("a free place", Duration::from_secs(10), || {
        send(&at, "GET", "/health", &[], b"").filter(|answer| answer.status == 200)
    });
    assert!(started.elapsed() < Duration::from_secs(15));
    let late = rest(without_body);
    assert!(!late.contains(" 202 "), "{late}");
    assert!(started.elapsed() < Duration::from_secs(20), "a body is not waited for for ever");
}
