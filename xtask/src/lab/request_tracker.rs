//! Request Tracker 5: tickets, with people who work on them, on SQLite.
//!
//! To make its database takes ten seconds; it is made once for all labs, and each lab begins with a copy.

use super::Lab;
use super::accounts::{self, DOMAIN};
use super::ports::Port;
use super::server::Server;
use crate::error::{Error, Outcome, doing};
use crate::{place, process, progress, template, user};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const RT: Port = Port::new("rt", 8085, 85, "tickets in Request Tracker, web and REST");

const CONFIG: &str = include_str!("../../lab/request-tracker/RT_SiteConfig.pm");
const DATA: &str = include_str!("../../lab/request-tracker/initialdata");
const PROGRAM: &str = "/usr/share/request-tracker5/libexec/rt-server";
const SETUP: &str = "/usr/sbin/rt-setup-database-5";
/// Part of what makes one database differ from another.
const CODE: &str = "/usr/share/request-tracker5/lib/RT/Generated.pm";
const SETUP_WITHIN: Duration = Duration::from_secs(120);
/// Whom web pages belong to in Debian.
const OWNER: &str = "www-data";
/// Requests that are served at the same time.
const WORKERS: &str = "3";
/// The database, among what it writes.
const DATABASE: &str = "rt.sqlite";

/// Request Tracker.
pub(crate) struct RequestTracker;

impl Server for RequestTracker {
    fn name(&self) -> &'static str {
        "request-tracker"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["request-tracker5", "rt5-db-sqlite", "rt5-standalone"]
    }

    fn ports(&self) -> &'static [Port] {
        &[RT]
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        let absent = [PROGRAM, SETUP].into_iter().find(|file| !Path::new(file).exists());
        absent.map(|absent| format!("there is no {absent}"))
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let folder = lab.made(self.name())?;
        let state = lab.made("request-tracker/state")?;
        for own in ["conf.d", "state/mason", "state/sessions"] {
            lab.made(&format!("request-tracker/{own}"))?;
        }
        let values = [("domain", DOMAIN), ("port", &lab.port(&RT).to_string()), ("state", &state.display().to_string())];
        lab.write(&folder.join("RT_SiteConfig.pm"), &template::fill(CONFIG, &values)?)?;
        if !state.join(DATABASE).exists() {
            fill(lab, &folder)?;
        }
        let mut command = as_owner(&state)?;
        command.args(["--server", "Starlet", "--host", "127.0.0.1", "--port", &lab.port(&RT).to_string()]);
        command.args(["--max-workers", WORKERS]).envs(site(&folder));
        Ok(command)
    }

    fn log(&self, lab: &Lab) -> PathBuf {
        lab.folder("request-tracker/state").join("rt.log")
    }
}

/// What tells each of its programs that this is the site.
fn site(folder: &Path) -> [(&'static str, PathBuf); 2] {
    [("RT_SITE_CONFIG", folder.join("RT_SiteConfig.pm")), ("RT_SITE_CONFIG_DIR", folder.join("conf.d"))]
}

/// Puts a database, and what opens it, into the lab: those that were made for all, which are made now if there are none.
fn fill(lab: &Lab, folder: &Path) -> Outcome {
    let credentials = lab.made("request-tracker/credentials")?;
    let made = prepared()?;
    if !made.join(DATABASE).exists() {
        make(lab, folder, &credentials).inspect_err(|_| drop(fs::remove_file(folder.join("state").join(DATABASE))))?;
        keep(folder, &credentials, &made)?;
    }
    for file in files(&made)? {
        let name = file.file_name().unwrap_or_default();
        let is_database = name == DATABASE;
        let to = if is_database { folder.join("state").join(name) } else { credentials.join(name) };
        fs::copy(&file, &to).map_err(doing(format!("copy {}", file.display())))?;
        place::set_mode(&to, 0o600)?;
        if let Some(person) = user::person().filter(|_| !is_database) {
            chown(&to, Some(person.uid), Some(person.gid)).map_err(doing("hand over what opens Request Tracker"))?;
        }
    }
    Ok(())
}

/// The folder of what is made once: another one for another program, or other contents.
fn prepared() -> Outcome<PathBuf> {
    let code = fs::read_to_string(CODE).map_err(doing(format!("read {CODE}")))?;
    let mark = place::fingerprint(&[&code, DATA, CONFIG].concat());
    place::built(&format!("prepared/request-tracker-{mark:08x}"))
}

/// Makes the database of a lab; its users' tokens and the password of one of them go to a folder.
fn make(lab: &Lab, folder: &Path, credentials: &Path) -> Outcome {
    let password = accounts::random()?;
    let values = [("domain", DOMAIN), ("password", &password), ("credentials", &credentials.display().to_string())];
    let data = folder.join("initialdata");
    lab.write(&data, &template::fill(DATA, &values)?)?;
    place::set_mode(&data, 0o600)?;
    fs::write(credentials.join("alice-password"), &password).map_err(doing("write a password"))?;
    let log = folder.join("setup");
    let setup = |words: &[&str]| {
        let mut command = Command::new(SETUP);
        command.args(words).args(["--dba", "root", "--dba-password", ""]).envs(site(folder));
        progress::run("making a database for Request Tracker", &mut command, &log, SETUP_WITHIN)
    };
    setup(&["--action", "init"])?;
    setup(&["--action", "insert", "--datafile", &data.display().to_string()])?;
    fs::remove_file(&data).map_err(doing("remove the data with the password"))
}

/// Keeps what was made for labs to come; another lab may do the same at this moment.
fn keep(folder: &Path, credentials: &Path, made: &Path) -> Outcome {
    let what = "keep the database of Request Tracker for other labs";
    let twin = made.with_extension(std::process::id().to_string());
    fs::create_dir_all(&twin).map_err(doing(what))?;
    place::set_mode(&twin, 0o700)?;
    for file in files(credentials)?.into_iter().chain([folder.join("state").join(DATABASE)]) {
        fs::copy(&file, twin.join(file.file_name().unwrap_or_default())).map_err(doing(what))?;
    }
    if fs::rename(&twin, made).is_err() {
        fs::remove_dir_all(&twin).map_err(doing(what))?; // the other one was first
    }
    Ok(())
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(doing(format!("list {}", folder.display())))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Begins the command that runs it as nobody in particular, who then owns what it writes.
fn as_owner(state: &Path) -> Outcome<Command> {
    if !user::is_root() {
        return Ok(Command::new(PROGRAM));
    }
    let owner = user::find(OWNER).ok_or_else(|| Error::Refused(format!("there is no user `{OWNER}`")))?;
    let whose = format!("{}:{}", owner.uid, owner.gid);
    process::output(Command::new("chown").args(["-R", &whose]).arg(state))?;
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid)).args(["--clear-groups", "--", PROGRAM]);
    Ok(command)
}
