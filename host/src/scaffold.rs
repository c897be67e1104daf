//! A first agent, written: a crate, or a script for any other language, each with a test and a job.
//!
//! Reading order: [`Draft`] (what is to be written) · `interface` (the interface's source, for a crate outside this repository).

mod interface;

use std::{
    fmt,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// What a new agent is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A crate whose library the host loads.
    Rust,
    /// A script in the form of Nagios.
    Shell,
    /// A script that tells by JSON lines.
    Python,
}

/// A name that an agent can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Words that no crate can be called by: those of the language, those of its own libraries, and what the crate depends on.
const TAKEN: [&str; 57] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut",
    "override", "priv", "pub", "ref", "return", "schemars", "self", "serde", "static", "std", "struct", "super", "test", "tokio", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "yield",
];

impl Name {
    /// Takes a name.
    ///
    /// Errors: what is wrong with it, for people.
    pub fn parse(text: &str, language: Language) -> Result<Self, String> {
        let mut characters = text.chars();
        let is_word = characters.next().is_some_and(|c| c.is_ascii_lowercase());
        if !is_word || !characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) || text == "host" {
            return Err("a name is [a-z][a-z0-9]*, and not `host`".into());
        }
        if language == Language::Rust && TAKEN.contains(&text) {
            return Err("Rust, or a crate that agents are built with, has this name".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The type of the agent: `SpoolAgent`.
    fn in_capitals(&self) -> String {
        let mut letters = self.0.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).chain("Agent".chars()).collect()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is to be written, by its path in the folder.
pub struct Draft {
    files: Vec<Entry>,
}

struct Entry {
    path: PathBuf,
    text: String,
    runs: bool,
}

impl Draft {
    /// Drafts an agent that will lie in `folder`; a crate takes the interface from `api`, or brings its source.
    pub fn new(name: &Name, language: Language, folder: &Path, api: Option<&Path>) -> Self {
        let draft = Self { files: Vec::new() };
        // Texts are quoted as JSON does, which TOML understands.
        let quoted = |path: PathBuf| Value::from(path.display().to_string()).to_string();
        let filled = |text: &str| {
            let interface = api.map_or_else(|| PathBuf::from("api/plugin-api"), Path::to_owned);
            text.replace("@NAME@", &name.0)
                .replace("@TYPE@", &name.in_capitals())
                .replace("@TESTKIT@", &quoted(interface.join("testkit")))
                .replace("@API@", &quoted(interface))
                .replace("@FOLDER@", &quoted(folder.to_owned()))
        };
        match language {
            Language::Rust => {
                let draft = draft
                    .file("Cargo.toml", filled(include_str!("scaffold/rust/Cargo.toml.in")))
                    .file("src/lib.rs", filled(include_str!("scaffold/rust/lib.rs.in")))
                    .file("tests/measures.rs", filled(include_str!("scaffold/rust/measures.rs.in")))
                    .file("sample.toml", filled(include_str!("scaffold/rust/sample.toml.in")))
                    .file(".gitignore", "/target\n".into())
                    .file("Cargo.lock", interface::lock().to_owned());
                let beside = if api.is_none() { interface::files() } else { Vec::new() };
                beside.into_iter().fold(draft, |draft, (path, text)| draft.file(Path::new("api").join(path), text))
            }
            Language::Shell => draft
                .program("measure.sh", filled(include_str!("scaffold/shell/measure.sh.in")))
                .program("test.sh", filled(include_str!("scaffold/shell/test.sh.in")))
                .file("sample.toml", filled(include_str!("scaffold/shell/sample.toml.in"))),
            Language::Python => draft
                .program("measure.py", filled(include_str!("scaffold/python/measure.py.in")))
                .program("test.py", filled(include_str!("scaffold/python/test.py.in")))
                .file("sample.toml", filled(include_str!("scaffold/python/sample.toml.in"))),
        }
    }

    fn file(mut self, path: impl Into<PathBuf>, text: String) -> Self {
        self.files.push(Entry { path: path.into(), text, runs: false });
        self
    }

    fn program(mut self, path: impl Into<PathBuf>, text: String) -> Self {
        self.files.push(Entry { path: path.into(), text, runs: true });
        self
    }

    /// The paths of what people are to read: without the interface and what cargo keeps for itself.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let own = |path: &&Path| !path.starts_with("api") && !path.starts_with("Cargo.lock") && !path.starts_with(".gitignore");
        self.files.iter().map(|file| file.path.as_path()).filter(own)
    }

    /// Writes it into a folder that must not exist yet; what could not be written whole is taken back.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)?;
        let written = self.files.iter().try_for_each(|file| file.write(folder));
        if written.is_err() {
            let _what_is_left_is_seen = fs::remove_dir_all(folder);
        }
        written
    }
}

impl Entry {
    fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(&self.path);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).create(parent)?;
        }
        let mode = if self.runs { 0o755 } else { 0o644 };
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_agents_can_have() {
        for (name, language, fits) in [
            ("spool", Language::Rust, true),
            ("a1", Language::Rust, true),
            ("match", Language::Rust, false),
            ("match", Language::Shell, true),
            ("host", Language::Shell, false),
            ("1a", Language::Shell, false),
            ("Spool", Language::Shell, false),
            ("a-b", Language::Shell, false),
            ("../a", Language::Python, false),
            ("", Language::Python, false),
        ] {
            assert_eq!(Name::parse(name, language).is_ok(), fits, "{name:?} {language:?}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for (language, name) in [(Language::Rust, "spool"), (Language::Shell, "sh"), (Language::Python, "py")] {
            let place = folder.path().join(name);
            let draft = Draft::new(&Name::parse(name, language).unwrap(), language, &place, None);
            let left = draft
                .files
                .iter()
                .find(|file| ["@NAME@", "@TYPE@", "@API@", "@TESTKIT@", "@FOLDER@"].iter().any(|it| file.text.contains(it)));
            assert_eq!(left.map(|file| &file.path), None, "{language:?}");
            draft.write(&place).unwrap();
            fs::write(place.join("mine"), "").unwrap();
            assert_eq!(draft.write(&place).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert!(place.join("mine").exists());
        }
    }
}
