//! `watchpost new-agent`

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    print_json,
};
use crate::{
    plugin::{libraries_of, name_of},
    scaffold::{Draft, Language, Name},
};

pub(super) const EXAMPLES: &str =
    "It writes a folder of that name: an agent that works as it stands, a test of it, and `sample.toml`, a job for it. A crate brings the \
     source of the agents' interface, unless --api names that of a clone.

Examples:
  watchpost new-agent spool
  watchpost new-agent backlog --lang python";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The agent's name, as a schedule says it: [a-z][a-z0-9]*.
    name: String,
    /// What it is written in: a crate whose library is loaded, or a script that the agent for programs runs.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Lang,
    /// The folder of the agents' interface, to build with in place of a copy: `plugin-api` of a clone.
    #[arg(long, value_name = "FOLDER")]
    api: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Lang {
    Rust,
    Shell,
    Python,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: String,
    folder: &'a Path,
    files: Vec<&'a Path>,
    next: Vec<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let cannot = format!("cannot write agent `{}`", arguments.name);
    let language = match arguments.lang {
        Lang::Rust => Language::Rust,
        Lang::Shell => Language::Shell,
        Lang::Python => Language::Python,
    };
    let name = Name::parse(&arguments.name, language).map_err(|why| Failure::wrong(&cannot, why))?;
    if let Some(path) = library_called(context, &arguments.name).filter(|_| language == Language::Rust) {
        let why = format!("{} is there already, and of two agents of one name neither is used", path.display());
        return Err(Failure::wrong(&cannot, why));
    }
    let api = arguments.api.as_deref().map(|folder| interface(folder, &cannot)).transpose()?;
    if api.is_some() && language != Language::Rust {
        return Err(Failure::wrong(&cannot, "--api is for a crate; a script needs no interface"));
    }
    let folder = std::path::absolute(name.to_string()).map_err(|error| Failure::of(&cannot, &error))?;
    let draft = Draft::new(&name, language, &folder, api.as_deref());
    draft.write(&folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::wrong(&cannot, format!("{} is there already", folder.display())),
        _ => Failure::of(&cannot, &error),
    })?;
    let next = next(&name, language);
    if context.json {
        return print_json(&Answer { name: name.to_string(), folder: &folder, files: draft.paths().collect(), next });
    }
    println!("{name}: {}", draft.paths().map(|path| format!("{name}/{}", path.display())).collect::<Vec<_>>().join(" "));
    println!("\nNext, with \"{name}/sample.toml\" among the `schedules` of the configuration:");
    next.iter().for_each(|line| println!("  {line}"));
    Ok(())
}

/// The library of that name, where agents are looked for.
fn library_called(context: &Context, name: &str) -> Option<PathBuf> {
    let folders = context.plugin_folders(&[]).unwrap_or_default();
    let mut libraries = folders.iter().flat_map(|folder| libraries_of(folder).unwrap_or_default());
    libraries.find(|path| name_of(path) == name)
}

/// The folder of the interface, whole: a manifest names it, and its reader need not stand where we do.
fn interface(folder: &Path, cannot: &str) -> Result<PathBuf, Failure> {
    let wrong = |why: String| Failure::wrong(cannot, format!("{} is no interface of agents: {why}", folder.display()));
    let whole = folder.canonicalize().map_err(|error| wrong(crate::chain(&error)))?;
    let manifest =
        std::fs::read_to_string(whole.join("Cargo.toml")).map_err(|error| wrong(format!("Cargo.toml: {}", crate::chain(&error))))?;
    match manifest.contains("name = \"watchpost-plugin-api\"") {
        true => Ok(whole),
        false => Err(wrong("its Cargo.toml has another name".into())),
    }
}

/// The next three commands.
fn next(name: &Name, language: Language) -> Vec<String> {
    let script = |extension: &str, shell: &str| {
        let lines = [format!("{shell} {name}/test.{extension}"), "watchpost check".into(), "watchpost reload".into()];
        lines.into()
    };
    match language {
        Language::Shell => script("sh", "sh"),
        Language::Python => script("py", "python3"),
        Language::Rust => {
            let library = format!("{name}/target/release/lib{name}.so");
            vec![
                format!("(cd {name} && cargo test && cargo build --release)"),
                format!("watchpost test-agent {library}"),
                format!("watchpost plugins install {library} && watchpost reload"),
            ]
        }
    }
}
