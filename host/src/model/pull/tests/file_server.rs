//! A server on the loopback interface that answers each connection with the next
//! of the given bytes, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

pub(super) struct FileServer {
    pub(super) url: String,
    thread: JoinHandle<Vec<String>>,
}

impl FileServer {
    pub(super) fn answering(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tiny.gguf", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            answers.into_iter().map(|answer| serve_one(&listener, &answer)).collect()
        });
        Self { url, thread }
    }

    /// The heads of the requests; all answers must have been asked for.
    pub(super) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn serve_one(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    // A client that has seen enough may hang up.
    let _ = stream.write_all(answer);
    head.to_lowercase()
}

/// All of `bytes`, of which only the first `sent` really come.
pub(super) fn whole(bytes: &[u8], sent: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
    [head.as_bytes(), &bytes[..sent]].concat()
}

/// The bytes from `from` on.
pub(super) fn rest(bytes: &[u8], from: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\nConnection: close\r\n\r\n",
        bytes.len() - from,
        bytes.len() - 1,
        bytes.len(),
    );
    [head.as_bytes(), &bytes[from..]].concat()
}

pub(super) fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}
