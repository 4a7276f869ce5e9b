//! A running `thrall serve`, and what it said.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait_for::wait_for;

/// The last line that `serve` says before it serves.
const READY: &str = "Thrall switchboard ready";

/// Ends with the test.
pub struct Serving {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Serving {
    /// Waits until a started `serve` is ready.
    ///
    /// # Panics
    /// When it is not within a minute, or ends.
    pub fn ready(mut child: Child) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let errors = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        let mut serving = Self { child, said };
        wait_for("ready service", Duration::from_secs(90), || {
            if let Some(status) = serving.child.try_wait().unwrap() {
                panic!("{status}: {:?}", serving.said());
            }
            serving.said().iter().any(|line| line.starts_with(READY)).then_some(())
        });
        serving
    }

    /// The lines on standard error so far.
    ///
    /// # Panics
    /// When the reading thread has.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// The port that it said it listens on.
    ///
    /// # Panics
    /// When it said none.
    pub fn port(&self) -> u16 {
        let said = self.said();
        let line = said.iter().find_map(|line| line.strip_prefix("HTTP on http://127.0.0.1:"));
        let line = line.unwrap_or_else(|| panic!("{said:?}"));
        line.split(',').next().unwrap().parse().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
