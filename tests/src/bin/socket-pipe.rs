//! Writes standard input to a Unix socket and copies what comes back to
//! standard output. The tests run it as other users: who is connected is a
//! property of the process that connects.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_default();
    let mut request = Vec::new();
    std::io::stdin().read_to_end(&mut request)?;
    let mut stream = UnixStream::connect(path)?;
    // Whoever is turned away is answered before the rest is read.
    drop(stream.write_all(&request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    std::io::stdout().write_all(&answer)
}
