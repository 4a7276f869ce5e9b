//! Which files a new recipe's folder has, and what is in them. Pure.

use super::kit;
use super::template::render;
use crate::stage::World;

/// In which language a component is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::Rust, Self::Python];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
        }
    }
}

/// What was asked for, checked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) world: World,
    /// Interfaces that the example code calls. Sorted.
    pub(super) imports: Vec<String>,
    pub(super) language: Language,
}

/// A file of the folder.
pub(super) struct File {
    /// Inside the folder.
    pub(super) path: String,
    pub(super) content: String,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/templates/", $path))
    };
}

impl Plan {
    /// The command to begin with.
    pub(super) fn next_step(&self) -> &'static str {
        match self.language {
            Language::Rust => "`cargo test` and `thrall recipe build`",
            Language::Python => "`thrall recipe build`",
        }
    }

    pub(super) fn files(&self) -> Vec<File> {
        let mut files = vec![File {
            path: format!("{}.toml", self.name),
            content: self.fill(match self.world {
                World::Filter => template!("toml/filter.toml"),
                World::Hotwire => template!("toml/hotwire.toml"),
                World::Action => template!("toml/action.toml"),
            }),
        }];
        match self.language {
            Language::Rust => self.rust(&mut files),
            Language::Python => self.python(&mut files),
        }
        files
    }

    fn rust(&self, files: &mut Vec<File>) {
        let mut add = |path: &str, content: String| {
            files.push(File { path: path.to_owned(), content });
        };
        add("Cargo.toml", self.fill(template!("rust/Cargo.toml")));
        add("Cargo.lock", self.lock());
        add(".gitignore", self.fill(template!("rust/gitignore")));
        add("README.md", self.fill(template!("rust/README.md")));
        let code = match self.world {
            World::Filter => template!("rust/filter.rs"),
            World::Hotwire => template!("rust/hotwire.rs"),
            World::Action => template!("rust/action.rs"),
        };
        add("src/lib.rs", self.fill(code));
        add(".thrall-sdk/AUTHORING.md", kit::page().to_owned());
        add(".thrall-sdk/guest-sdk/Cargo.toml", kit::SDK_MANIFEST.to_owned());
        for (path, content) in kit::FILES.iter().filter(|(path, _)| !path.ends_with("AUTHORING.md"))
        {
            add(&format!(".thrall-sdk/{path}"), (*content).to_owned());
        }
    }

    fn python(&self, files: &mut Vec<File>) {
        let mut add = |path: &str, content: String| {
            files.push(File { path: path.to_owned(), content });
        };
        add("app.py", self.fill(template!("python/app.py")));
        add("test_app.py", self.fill(template!("python/test_app.py")));
        add("README.md", self.fill(template!("python/README.md")));
        add(".gitignore", self.fill(template!("python/gitignore")));
        add("wit/world.wit", self.fill(template!("python/world.wit")));
        for (name, content) in kit::contract() {
            add(&format!("wit/deps/thrall-recipe/{name}"), content.to_owned());
        }
        add("AUTHORING.md", kit::page().to_owned());
    }

    fn fill(&self, template: &str) -> String {
        let mut words: Vec<&str> = self.imports.iter().map(String::as_str).collect();
        words.push(self.world.as_str());
        if !self.imports.is_empty() {
            words.push("host");
        }
        let values = [
            ("__NAME__", self.name.as_str()),
            ("__WORLD__", self.world.as_str()),
            ("__SDK_VERSION__", kit::SDK_VERSION),
            ("__SERDE__", kit::SERDE_VERSION),
            ("__SERDE_JSON__", kit::SERDE_JSON_VERSION),
            ("__COMPONENTIZE_PY__", kit::COMPONENTIZE_PY),
        ];
        render(template, &words, &values)
    }

    /// The versions that we are tested with, in the order in which cargo writes
    /// them, so that it has nothing to change.
    fn lock(&self) -> String {
        let package = format!("recipe-{}", self.name);
        let own = format!(
            "[[package]]\nname = \"{package}\"\nversion = \"0.1.0\"\ndependencies = [\n \"serde\",\n \"serde_json\",\n \"thrall-sdk\",\n]\n"
        );
        let mut entries: Vec<(&str, &str)> =
            kit::LOCKED.iter().map(|(name, entry)| (*name, *entry)).collect();
        entries.push(("thrall-sdk", kit::LOCKED_SDK));
        entries.push((&package, &own));
        entries.sort_by_key(|(name, _)| *name);
        let head = "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n";
        entries.iter().fold(head.to_owned(), |text, (_, entry)| text + "\n" + entry)
    }
}
