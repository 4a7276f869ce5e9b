//! The operator's configuration in its resolved form: every value checked,
//! defaults filled in. How `thrall.toml` is read is in `config/file.rs`, what
//! keys of the earlier thrall became in `config/old_keys.rs`, how a key is set in
//! a file in `config/set_key.rs`; the file that explains every key is
//! `host/thrall.example.toml`, and a test holds it and the code together. There
//! is no key here that nothing obeys.

mod file;
mod guard_section;
mod model_section;
pub mod old_keys;
mod roles_section;
pub mod set_key;
mod switchboard_sections;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::buffers::FlushRules;
use crate::engine::room::Bounds;
use crate::envelope::sender::TrustList;
use crate::plain_file;
use crate::roles::Roles;
use crate::roles::accounts::Accounts;
use crate::sender_limits::SenderLimits;
use crate::strict_toml::Problem;

pub use file::parse;

/// Far more than every key with long lists of nodes takes.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What `thrall.toml` says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Master switch: when false, no event is accepted.
    pub enabled: bool,
    /// The own node's full id, lower-case; its mail enters no recipe.
    pub node_id: Option<String>,
    pub trust: TrustList,
    /// Types of mail that enter no recipe.
    pub ignore_msg_types: Vec<String>,
    /// Wakes are only to be reported on, and nothing leaves for a node.
    pub dry_run: bool,
    /// Seconds that a breaker holds where nobody says otherwise; 0 is for ever.
    pub breaker_expire_s: u64,
    /// When false, nothing is written to other nodes.
    pub responder_enabled: bool,
    /// When the clock flushes buffers.
    pub compilation: FlushRules,
    /// What a recipe needs before its mode may be raised.
    pub promotion: Promotion,
    /// Time between two `on_tick` events.
    pub tick_interval: Duration,
    pub model: ModelConfig,
    /// Another name to a model's name in the catalogue.
    pub models: BTreeMap<String, String>,
    /// Sources that the operator declared; the built-in ones are not here.
    pub sources: Vec<Source>,
    /// How much one sender may cause, and how much there may be in all.
    pub limits: SenderLimits,
    /// Events that may wait before their source has to.
    pub pending: Bounds,
    /// Who is operator and who is agent.
    pub roles: Roles,
    /// Where HTTP listens besides the sockets; a loopback address.
    pub http: Option<SocketAddr>,
    /// Worth saying, not worth refusing.
    pub warnings: Vec<String>,
}

/// The evidence that the operator wants to see before a recipe acts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Reviewed runs of the present revision.
    pub reviewed: u32,
    /// How many of them may have been corrected.
    pub corrected: u32,
}

/// A configuration that was read while one was in force.
pub struct Reloaded {
    pub config: Config,
    /// Keys that changed and hold from now on.
    pub taken_over: Vec<&'static str>,
    /// Keys that changed and are read only at the start.
    pub needs_restart: Vec<&'static str>,
}

/// How the embedded model runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The model of recipes and prompts that name none.
    pub default: String,
    /// How long a question waits for its turn.
    pub queue_timeout: Duration,
    /// How long a question takes in all, its turn included.
    pub timeout: Duration,
    pub context_tokens: u32,
    pub threads: usize,
    /// Below this probability the best label is no verdict.
    pub threshold: f32,
    /// The same for labels that lead to drop or reply.
    pub silence_threshold: f32,
}

/// A declared source: who brings an event, and what it may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    /// Empty, for the operator's own sources: every trigger that is not made by
    /// the host.
    pub triggers: Vec<String>,
    /// Whether `from_node` is believed. If not, the sender is unknown.
    pub may_assert_sender: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}", crate::strict_toml::lines(.0))]
    Invalid(Vec<Problem>),
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or with every problem that is in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes =
            read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config =
            file::parse_bytes(&path.display().to_string(), &bytes, &Accounts::of_machine())
                .map_err(ConfigError::Invalid)?;
        config.roles.service = service_of(path);
        Ok(config)
    }
}

impl Config {
    /// The operator's switches that hold something back, with what.
    pub fn switches(&self) -> Vec<String> {
        [
            (!self.enabled, "enabled = false: no event is accepted, nothing is performed"),
            (
                !self.responder_enabled,
                "[responder] enabled = false: mail and replies are only journaled",
            ),
            (
                self.dry_run,
                "dry_run = true: wakes are only to be reported on; skills, mail and replies are only journaled",
            ),
        ]
        .into_iter()
        .filter(|(is_on, _)| *is_on)
        .map(|(_, what)| what.to_owned())
        .collect()
    }

    /// What holds after a reload: the new file, except for what is built once.
    pub fn after_reload(old: &Self, new: Self) -> Reloaded {
        let changed = |keys: &[(&'static str, bool)]| -> Vec<&'static str> {
            keys.iter().filter(|(_, is_same)| !is_same).map(|(key, _)| *key).collect()
        };
        let taken_over = changed(&[
            ("enabled", old.enabled == new.enabled),
            ("dry_run", old.dry_run == new.dry_run),
            ("[responder]", old.responder_enabled == new.responder_enabled),
            ("breaker_expire_seconds", old.breaker_expire_s == new.breaker_expire_s),
            ("ignore_msg_types", old.ignore_msg_types == new.ignore_msg_types),
            ("[node]", old.node_id == new.node_id),
            ("[trust_tiers]", old.trust == new.trust),
            ("[compilation]", old.compilation == new.compilation),
            ("[promotion]", old.promotion == new.promotion),
            ("[guard]", old.limits == new.limits),
        ]);
        let needs_restart = changed(&[
            ("[model]", old.model == new.model),
            ("[models]", old.models == new.models),
            ("[sources]", old.sources == new.sources),
            ("[http]", old.http == new.http),
            ("[roles]", old.roles == new.roles),
            ("tick_interval_s", old.tick_interval == new.tick_interval),
            ("[limits]", old.pending == new.pending),
        ]);
        let config = Self {
            model: old.model.clone(),
            models: old.models.clone(),
            sources: old.sources.clone(),
            http: old.http,
            roles: old.roles.clone(),
            tick_interval: old.tick_interval,
            pending: old.pending,
            ..new
        };
        Reloaded { config, taken_over, needs_restart }
    }
}

/// Reads the file; nothing else that may lie in its place is opened.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (folder, name) = (path.parent(), path.file_name().and_then(OsStr::to_str));
    let (Some(folder), Some(name)) = (folder, name) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "names no file"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    plain_file::read(&Dir::open_ambient_dir(folder, ambient_authority())?, name, MAX_FILE_BYTES)
}

/// The user that the service is: whoever owns `state/` beside the
/// configuration, so that an operator who runs a command is not taken for it.
fn service_of(config_file: &Path) -> u32 {
    let state = config_file.with_file_name("state");
    std::fs::metadata(state)
        .map_or_else(|_| rustix::process::geteuid().as_raw(), |metadata| metadata.uid())
}
