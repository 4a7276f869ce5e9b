//! The tokens of the port: one for each door, 256 random bits in a file that
//! only the service can read. In memory there are digests alone, and they are
//! compared without stopping at the first difference.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};

use super::Door;
use crate::home::Home;
use crate::ids::Digest;

const TOKEN_BYTES: usize = 32;

/// Doors with their tokens.
pub struct Tokens {
    doors: Vec<(Digest, Door)>,
}

impl Tokens {
    /// Reads the doors' tokens from `state/tokens/`, and makes those that are
    /// not there.
    ///
    /// # Errors
    /// When a file cannot be read or written, is open to others, or holds
    /// something else.
    pub fn of_home(home: &Home, doors: Vec<Door>) -> anyhow::Result<Self> {
        let folder = home.tokens();
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make {}", folder.display()));
            }
            _ => {}
        }
        let mut tokens = Vec::new();
        for door in doors {
            let path = folder.join(door.name());
            let token = token_of(&path)?;
            tokens.push((digest(&token), door));
        }
        Ok(Self { doors: tokens })
    }

    pub fn doors(&self) -> impl Iterator<Item = &Door> {
        self.doors.iter().map(|(_, door)| door)
    }

    /// Which door a token opens: its place in [`Tokens::doors`].
    pub(super) fn find(&self, token: &str) -> Option<usize> {
        let asked = digest(token);
        let mut found = None;
        for (index, (known, _)) in self.doors.iter().enumerate() {
            // All of them, whichever fits: the time tells nothing.
            if is_same(known, &asked) {
                found = Some(index);
            }
        }
        found
    }
}

fn digest(token: &str) -> Digest {
    Digest::of_parts(&[b"thrall token", token.as_bytes()])
}

/// Equality that looks at every byte.
fn is_same(a: &Digest, b: &Digest) -> bool {
    let differing = a.0.iter().zip(&b.0).fold(0u8, |so_far, (a, b)| so_far | (a ^ b));
    std::hint::black_box(differing) == 0
}

fn token_of(path: &Path) -> anyhow::Result<String> {
    let named = || format!("cannot read {}", path.display());
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
                bail!(
                    "{} can be read by others, or is no plain file: delete it, a new token is made at the start",
                    path.display()
                );
            }
            let text = fs::read_to_string(path).with_context(named)?;
            let token = text.trim_end();
            if token.len() != TOKEN_BYTES * 2 || !token.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                bail!(
                    "{} does not hold {} hex characters: delete it, a new token is made at the start",
                    path.display(),
                    TOKEN_BYTES * 2
                );
            }
            Ok(token.to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error).with_context(named),
    }
}

fn make(path: &Path) -> anyhow::Result<String> {
    let mut bytes = [0u8; TOKEN_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    let token = hex::encode(bytes);
    let named = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(named)?;
    writeln!(file, "{token}").with_context(named)?;
    file.sync_all().with_context(named)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        fs::create_dir(home.state()).unwrap();
        (folder, home)
    }

    fn doors() -> Vec<Door> {
        vec![Door::operator(), Door::agent()]
    }

    #[test]
    fn a_token_opens_its_own_door_and_stays_the_same() {
        let (_folder, home) = home();
        let tokens = Tokens::of_home(&home, doors()).unwrap();
        let read = |name: &str| fs::read_to_string(home.tokens().join(name)).unwrap();
        let (operator, agent) = (read("operator"), read("agent"));
        assert_ne!(operator, agent);
        assert_eq!(tokens.find(operator.trim()), Some(0));
        assert_eq!(tokens.find(agent.trim()), Some(1));
        for wrong in ["", " ", &operator, &operator.trim().to_uppercase(), &"0".repeat(64)] {
            assert_eq!(tokens.find(wrong), None, "{wrong:?}");
        }
        let mode = fs::metadata(home.tokens().join("agent")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Tokens::of_home(&home, doors()).unwrap();
        assert_eq!(read("agent"), agent);
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_none_is_refused() {
        let (_folder, home) = home();
        Tokens::of_home(&home, doors()).unwrap();
        let path = home.tokens().join("agent");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Tokens::of_home(&home, doors()).err().unwrap().to_string();
        assert!(refused.contains("agent can be read by others"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "secret\n").unwrap();
        let refused = Tokens::of_home(&home, doors()).err().unwrap().to_string();
        assert!(refused.contains("64 hex characters"), "{refused}");
    }

    #[test]
    fn one_differing_bit_anywhere_is_a_difference() {
        let one = digest("a");
        for index in 0..32 {
            let mut other = one;
            other.0[index] ^= 1;
            assert!(!is_same(&one, &other));
        }
        assert!(is_same(&one, &digest("a")));
    }
}
