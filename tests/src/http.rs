//! HTTP by hand, over a socket or a port: what goes out is exactly what a test
//! says, also where no client would send it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Where a request goes, with what it needs to be let in.
#[derive(Clone, Debug)]
pub enum At {
    Socket(PathBuf),
    Port { port: u16, token: String },
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// `null` if there is no JSON.
    pub body: Value,
}

/// The bytes of a request. `Host` and the token are put in unless given.
pub fn request_text(
    at: &At,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    match at {
        At::Socket(_) if !has("host") => head.push_str("Host: localhost\r\n"),
        At::Port { port, .. } if !has("host") => {
            head.push_str(&format!("Host: 127.0.0.1:{port}\r\n"));
        }
        _ => {}
    }
    if let At::Port { token, .. } = at
        && !has("authorization")
        && !token.is_empty()
    {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// Reads an answer's text.
pub fn answer_of(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Some(Answer { status, head: head.to_owned(), body })
}

/// One request; `None` if nobody answers.
pub fn send(
    at: &At,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let text = request_text(at, method, target, headers, body);
    let mut bytes = Vec::new();
    // What is refused early is answered before the body is taken, and the
    // connection may then end with a reset: the answer is what counts.
    match at {
        At::Socket(path) => {
            let mut stream = UnixStream::connect(path).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
            drop(stream.write_all(&text));
            drop(stream.read_to_end(&mut bytes));
        }
        At::Port { port, .. } => {
            let mut stream = TcpStream::connect(("127.0.0.1", *port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
            drop(stream.write_all(&text));
            drop(stream.read_to_end(&mut bytes));
        }
    }
    answer_of(&bytes)
}
