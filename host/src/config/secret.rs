//! Where a secret comes from: a file, a variable of the environment, a credential of the service manager.

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    fault::{At, Fault, Place, listed},
    text::{Data, Table},
};

/// Keys of a reference to a secret.
const SOURCES: [&str; 3] = ["credential", "env", "file"];

/// The variable by which a service manager says where credentials lie (systemd.exec(5), "CREDENTIALS").
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

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

/// Says whether a table has the looks of a reference to a secret.
pub(super) fn is_reference(table: &Table) -> bool {
    table.0.len() == 1 && table.0.iter().all(|(key, entry)| SOURCES.contains(&key.as_str()) && matches!(entry.value.value, Data::Text(_)))
}

/// Fetches the secret that a table refers to.
pub(super) fn fetch(path: &str, table: &Table, place: &Place, environment: Environment<'_>) -> Result<String, Fault> {
    let mut entries = table.0.iter();
    let (Some((source, entry)), None) = (entries.next(), entries.next()) else {
        return Err(Fault::new(place, format!("`{path}`: a secret has one source")).hint(FORMS));
    };
    let Data::Text(name) = &entry.value.value else {
        return Err(Fault::new(&entry.value.place, format!("`{path}`: {} where a text belongs", entry.value.value.shape())).hint(FORMS));
    };
    let name = At { value: name.as_str(), place: entry.value.place.clone() };
    let fetched = match source.as_str() {
        "file" => from_file(&name.place.resolve(name.value), true),
        "env" => environment(name.value).ok_or_else(|| Refused::plain(format!("variable {} is not set", name.value))),
        "credential" => credential(name.value, environment).and_then(|file| from_file(&file, false)),
        _ => {
            let fault = Fault::new(&entry.key, format!("`{path}`: `{source}` is no source of a secret"));
            return Err(fault.hint(format!("sources: {}", listed(SOURCES))));
        }
    };
    fetched.and_then(not_empty).map_err(|refused| Fault::new(&name.place, format!("`{path}`: {}", refused.why)).maybe_hint(refused.hint))
}

/// Why there is no secret.
struct Refused {
    why: String,
    hint: Option<String>,
}

impl Refused {
    fn plain(why: String) -> Self {
        Self { why, hint: None }
    }
}

fn not_empty(secret: String) -> Result<String, Refused> {
    if secret.is_empty() { Err(Refused::plain("the secret is empty".into())) } else { Ok(secret) }
}

fn credential(name: &str, environment: Environment<'_>) -> Result<PathBuf, Refused> {
    let folder = environment(CREDENTIALS).ok_or_else(|| Refused {
        why: format!("no credentials were passed: {CREDENTIALS} is not set"),
        hint: Some("start it by systemd with LoadCredential=, or write { file = \"…\" }".into()),
    })?;
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Refused::plain(format!("\"{}\" is no name of a credential", name.escape_debug())));
    }
    Ok(Path::new(&folder).join(name))
}

/// Reads a secret and takes one newline off its end.
fn from_file(file: &Path, guarded: bool) -> Result<String, Refused> {
    let cannot = |error: std::io::Error| Refused::plain(format!("cannot read secret file {}: {error}", file.display()));
    // Non-blocking: opening a named pipe would wait for its other end.
    let open = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(file).map_err(cannot)?;
    let facts = open.metadata().map_err(cannot)?;
    if !facts.is_file() {
        return Err(Refused::plain(format!("secret file {} is not a regular file", file.display())));
    }
    // A service manager may grant a credential by an access list, which shows as group bits.
    if guarded {
        check_guarded(file, &facts)?;
    }
    let mut bytes = Vec::new();
    open.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(Refused::plain(format!("secret file {} is larger than {SECRET_BYTES_MAX} bytes", file.display())));
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused::plain(format!("secret file {} is not a text in UTF-8", file.display())))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// Refuses a file that others may read or that somebody else owns.
fn check_guarded(file: &Path, facts: &fs::Metadata) -> Result<(), Refused> {
    let shown = file.display();
    if facts.mode() & 0o077 != 0 {
        return Err(Refused {
            why: format!("secret file {shown} is open to others, mode {:04o}", facts.mode() & 0o7777),
            hint: Some(format!("run: chmod 600 {shown}")),
        });
    }
    // The owner of a process's own folder in /proc is its effective user.
    let own = fs::metadata("/proc/self").map(|own| own.uid()).ok();
    if facts.uid() != 0 && Some(facts.uid()) != own {
        return Err(Refused {
            why: format!("secret file {shown} belongs to user {}, neither root nor the one that reads it", facts.uid()),
            hint: Some(format!("run: chown {} {shown}", own.map_or("root".into(), |own| own.to_string()))),
        });
    }
    Ok(())
}
