//! Where a secret comes from: a file, a variable of the environment, a credential of the service manager.

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    At, Fault, Place, Rule,
    near::{listed, nearest},
    text::{Data, Table},
};

/// Keys of a reference to a secret.
const SOURCES: [&str; 3] = ["credential", "env", "file"];

/// The variable by which a service manager says where credentials lie (systemd.exec(5), "CREDENTIALS").
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Bytes of one secret, at most.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// What would be right.
const FORMS: &str = "write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";

/// Looks a variable of the environment up.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Looks a variable of this process's environment up.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Finds the files that secrets of a table come from, at any depth.
pub(super) fn files_of(table: &Table) -> Vec<PathBuf> {
    fn collect(data: &At<Data>, found: &mut Vec<PathBuf>) {
        match &data.value {
            Data::Table(table) if is_reference(table) => {
                let file = table.get("file").and_then(|name| Some((&name.place, as_text(&name.value)?)));
                found.extend(file.map(|(place, name)| place.absolute(name)));
            }
            Data::Table(table) => table.0.values().for_each(|entry| collect(&entry.value, found)),
            Data::List(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    table.0.values().for_each(|entry| collect(&entry.value, &mut found));
    found
}

fn as_text(data: &Data) -> Option<&str> {
    match data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}

/// Says whether a table has the looks of a reference to a secret.
pub(super) fn is_reference(table: &Table) -> bool {
    table.0.len() == 1 && table.0.iter().all(|(key, entry)| SOURCES.contains(&key.as_str()) && matches!(entry.value.value, Data::Text(_)))
}

/// The fault of a reference to a secret where none belongs; `what` names the place.
pub(super) fn misplaced(what: &str, place: &Place) -> Fault {
    let fault = Fault::new(Rule::SecretMisplaced, place, format!("{what}: refers to a secret, but no secret belongs here"));
    fault.hint("write the value as it is; what stands here may be shown to everybody")
}

/// The fault of a value that is neither a secret nor a reference to one.
pub(super) fn misshapen(path: &str, data: &Data, place: &Place) -> Fault {
    Fault::new(Rule::SecretTypeWrong, place, format!("`{path}`: {} where a secret belongs", data.shape())).hint(FORMS)
}

/// Fetches the secret that a table refers to; a fault that was told of already is none.
pub(super) fn fetch(path: &str, table: &Table, place: &Place, environment: Environment<'_>) -> Result<String, Option<Fault>> {
    let mut entries = table.0.iter();
    let (Some((source, entry)), None) = (entries.next(), entries.next()) else {
        let found = if table.0.is_empty() { "none" } else { "several" };
        let message = format!("`{path}`: a secret comes from one source, here are {found}");
        return Err(Some(Fault::new(Rule::SecretSources, place, message).hint(FORMS)));
    };
    if !SOURCES.contains(&source.as_str()) {
        let message = format!("`{path}`: `{}` is no source of a secret", source.escape_debug());
        let hint =
            nearest(source, SOURCES).map_or_else(|| format!("sources: {}", listed(SOURCES)), |near| format!("did you mean `{near}`?"));
        return Err(Some(Fault::new(Rule::SecretSourceUnknown, &entry.key, message).hint(hint)));
    }
    let name = match &entry.value.value {
        Data::Text(name) => At { value: name.as_str(), place: entry.value.place.clone() },
        Data::Broken => return Err(None),
        other => {
            let message = format!("`{path}.{source}`: {} where a text belongs", other.shape());
            return Err(Some(Fault::new(Rule::SecretTypeWrong, &entry.value.place, message).hint(FORMS)));
        }
    };
    let fetched = match source.as_str() {
        "file" => from_file(&name.place.resolve(name.value), true),
        "env" => from_environment(name.value, environment),
        _ => credential(name.value, environment).and_then(|file| from_file(&file, false)),
    };
    let refused =
        |refused: Refused| Some(Fault::new(refused.rule, &name.place, format!("`{path}`: {}", refused.why)).maybe_hint(refused.hint));
    fetched.and_then(of_one_line).map_err(refused)
}

/// Why there is no secret.
struct Refused {
    rule: Rule,
    why: String,
    hint: Option<String>,
}

impl Refused {
    fn new(rule: Rule, why: String) -> Self {
        Self { rule, why, hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Refuses what no login takes: nothing, and what an end of line would cut in two.
fn of_one_line(secret: String) -> Result<String, Refused> {
    if secret.is_empty() {
        return Err(Refused::new(Rule::SecretEmpty, "the secret is empty".into()));
    }
    let ends = secret.replace("\r\n", "\n").matches(['\n', '\r']).count();
    if ends > 0 {
        let refused = Refused::new(Rule::SecretLines, format!("the secret has {} lines, and is to be one", ends + 1));
        return Err(refused.hint("write the secret alone, in the first line; the end of that line is left out"));
    }
    Ok(secret)
}

fn from_environment(name: &str, environment: Environment<'_>) -> Result<String, Refused> {
    let shown = name.escape_debug();
    environment(name).ok_or_else(|| {
        let refused = Refused::new(Rule::SecretEnvUnset, format!("the variable \"{shown}\" is not set, or no text"));
        refused.hint("it has to be set where watchpost is started")
    })
}

fn credential(name: &str, environment: Environment<'_>) -> Result<PathBuf, Refused> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let refused = Refused::new(Rule::SecretCredentialIllegal, format!("\"{}\" is no name of a credential", name.escape_debug()));
        return Err(refused.hint("write the name alone, as LoadCredential= has it; for a path write { file = \"…\" }"));
    }
    let folder = environment(CREDENTIALS).ok_or_else(|| {
        let refused = Refused::new(Rule::SecretCredentialsMissing, format!("no credentials were passed: {CREDENTIALS} is not set"));
        refused.hint("start it by systemd with LoadCredential=, or write { file = \"…\" }")
    })?;
    Ok(Path::new(&folder).join(name))
}

/// Reads a secret and takes one newline off its end.
fn from_file(file: &Path, guarded: bool) -> Result<String, Refused> {
    let shown = file.display();
    let cannot = |why: &str| Refused::new(Rule::SecretFileUnreadable, format!("cannot read secret file {shown}: {why}"));
    // Non-blocking: opening a named pipe would wait for its other end.
    let open = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(file);
    let open = open.map_err(|error| cannot(&crate::chain(&error)))?;
    let facts = open.metadata().map_err(|error| cannot(&crate::chain(&error)))?;
    if !facts.is_file() {
        return Err(cannot("not a regular file"));
    }
    // A service manager may grant a credential by an access list, which shows as group bits.
    if guarded {
        check_guarded(file, &facts)?;
    }
    let mut bytes = Vec::new();
    open.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| cannot(&crate::chain(&error)))?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        let refused = Refused::new(Rule::SecretFileTooLarge, format!("secret file {shown} is too large"));
        return Err(refused.hint(format!("{SECRET_BYTES_MAX} bytes are allowed")));
    }
    let not_text = |_| Refused::new(Rule::SecretFileNotUtf8, format!("secret file {shown} is not a text in UTF-8"));
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// Refuses a file that others may read or that somebody else owns.
fn check_guarded(file: &Path, facts: &fs::Metadata) -> Result<(), Refused> {
    let shown = file.display();
    if facts.mode() & 0o077 != 0 {
        let refused =
            Refused::new(Rule::SecretFileOpen, format!("secret file {shown} is open to others, mode {:04o}", facts.mode() & 0o7777));
        return Err(refused.hint(format!("run: chmod 600 {shown}")));
    }
    // The owner of a process's own folder in /proc is its effective user.
    let own = fs::metadata("/proc/self").map(|own| own.uid()).ok();
    if facts.uid() != 0 && Some(facts.uid()) != own {
        let why = format!("secret file {shown} belongs to user {}, neither root nor the one that reads it", facts.uid());
        let to = own.map_or("root".into(), |own| own.to_string());
        return Err(Refused::new(Rule::SecretFileForeign, why).hint(format!("run: chown {to} {shown}")));
    }
    Ok(())
}
