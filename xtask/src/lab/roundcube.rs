//! Roundcube: web mail over the lab's Dovecot and Postfix, served by PHP's own server.

use super::Lab;
use super::accounts::{self, DOMAIN};
use super::ports::Port;
use super::server::Server;
use super::{dovecot, postfix};
use crate::error::{Error, Outcome, doing};
use crate::{process, programs, template, user};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const WEBMAIL: Port = Port::new("webmail", 8083, 83, "web mail by Roundcube");

const CONFIG: &str = include_str!("../../lab/roundcube/config.inc.php");
const TIMES: &str = include_str!("../../lab/roundcube/times.php");
/// What Roundcube reads beside its configuration.
const DEFAULTS: [&str; 2] = ["/etc/roundcube/defaults.inc.php", "/etc/roundcube/mimetypes.php"];
/// The pages.
const PAGES: &str = "/var/lib/roundcube/public_html";
const TABLES: &str = "/usr/share/roundcube/SQL/sqlite.initial.sql";
/// Makes the database; the lab needs no other program for it.
const MAKE_DATABASE: &str = "$database = new PDO('sqlite:' . $argv[1]); $database->exec('PRAGMA synchronous = OFF; BEGIN;' . file_get_contents($argv[2]) . 'COMMIT;');";
/// Whom web pages belong to in Debian: not root, and nobody who could read the lab's passwords.
const OWNER: &str = "www-data";
/// Pages that are made at the same time.
const WORKERS: &str = "4";
/// What Roundcube asks of PHP and Debian packs apart.
const EXTENSIONS: [&str; 4] = ["dom", "intl", "mbstring", "pdo_sqlite"];

/// Roundcube.
pub(crate) struct Roundcube;

impl Server for Roundcube {
    fn name(&self) -> &'static str {
        "roundcube"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["php-cli", "php-cgi", "roundcube-core", "roundcube-sqlite3"]
    }

    fn ports(&self) -> &'static [Port] {
        &[WEBMAIL]
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        let Some(php) = programs::find("php") else {
            return Some("there is no php".into());
        };
        let files = DEFAULTS.into_iter().chain([TABLES, "/var/lib/roundcube/public_html/index.php"]);
        if let Some(absent) = files.into_iter().find(|file| !Path::new(file).exists()) {
            return Some(format!("there is no {absent}"));
        }
        let known = process::output(Command::new(php).arg("-m")).unwrap_or_default();
        let absent = EXTENSIONS.into_iter().find(|wanted| !known.lines().any(|line| line.eq_ignore_ascii_case(wanted)));
        absent.map(|absent| format!("php has no {absent}"))
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let php = programs::find("php").unwrap_or("php".into());
        let folder = lab.made("roundcube/config")?;
        let state = fresh_state(lab)?;
        lab.write(&folder.join("config.inc.php"), &config(lab, &state)?)?;
        let times = folder.join("times.php");
        lab.write(&times, &template::fill(TIMES, &[("times", &state.join("times").display().to_string())])?)?;
        for file in DEFAULTS.map(Path::new) {
            let name = file.file_name().unwrap_or_default();
            fs::copy(file, folder.join(name)).map_err(doing(format!("copy {}", file.display())))?;
        }
        make_database(&php, &state)?;
        let mut command = as_owner(&php, &state)?;
        command.env("ROUNDCUBE_CONFIG_DIR", folder).env("PHP_CLI_SERVER_WORKERS", WORKERS);
        // Compiled pages are kept, as every server in earnest does.
        let settings = [format!("auto_prepend_file={}", times.display()), "opcache.enable_cli=1".into(), "date.timezone=UTC".into()];
        command.args(settings.iter().flat_map(|setting| ["-d", setting]));
        command.arg("-S").arg(format!("127.0.0.1:{}", lab.port(&WEBMAIL))).arg("-t").arg(PAGES);
        Ok(command)
    }

    fn log(&self, lab: &Lab) -> PathBuf {
        lab.folder(self.name()).join("state/logs/errors.log")
    }
}

/// A folder for what Roundcube writes, with nothing in it: each life begins with the same database.
fn fresh_state(lab: &Lab) -> Outcome<PathBuf> {
    fs::remove_dir_all(lab.folder("roundcube/state")).ok(); // it may not be there yet
    let state = lab.made("roundcube/state")?;
    lab.made("roundcube/state/logs")?;
    lab.made("roundcube/state/temp")?;
    Ok(state)
}

fn config(lab: &Lab, state: &Path) -> Outcome<String> {
    template::fill(
        CONFIG,
        &[
            ("ca", &lab.ca_file().display().to_string()),
            ("state", &state.display().to_string()),
            ("imap", &lab.port(&dovecot::IMAP).to_string()),
            ("submission", &lab.port(&postfix::SUBMISSION).to_string()),
            ("key", &accounts::random()?),
            ("domain", DOMAIN),
        ],
    )
}

fn make_database(php: &Path, state: &Path) -> Outcome {
    let mut make = Command::new(php);
    make.args(["-r", MAKE_DATABASE]).arg(state.join("database")).arg(TABLES);
    process::output(&mut make).map(drop)
}

/// Begins the command that runs PHP as nobody in particular, who then owns what it writes.
fn as_owner(php: &Path, state: &Path) -> Outcome<Command> {
    if !user::is_root() {
        return Ok(Command::new(php));
    }
    let owner = user::find(OWNER).ok_or_else(|| Error::Refused(format!("there is no user `{OWNER}`")))?;
    for path in [state.to_owned(), state.join("logs"), state.join("temp"), state.join("database")] {
        chown(&path, Some(owner.uid), Some(owner.gid)).map_err(doing(format!("give {} its owner", path.display())))?;
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid)).args(["--clear-groups", "--"]).arg(php);
    Ok(command)
}
