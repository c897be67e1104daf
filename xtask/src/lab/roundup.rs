//! roundup: a tracker of issues unlike the other one, with versions of issues in its REST interface, and messages apart from issues.

use super::Lab;
use super::accounts::{self, DOMAIN};
use super::ports::Port;
use super::server::Server;
use crate::error::{Error, Outcome, doing};
use crate::packages::roundup::{PYTHON, ROUNDUP, tree};
use crate::{place, process, user};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PORT: Port = Port::new("roundup", 8086, 86, "tickets in roundup, web and REST");

/// What of its tree runs: its code, and the tracker that is copied.
const PARTS: [&str; 2] = ["roundup", "share/roundup/templates/classic"];
/// The end of the class of issues in the schema of the classic tracker, and what stands there with one property more.
const ISSUE_ENDS: [&str; 2] = ["status=Link(\"status\"))", "status=Link(\"status\"),\n                watchpost=String())"];
/// Who makes tickets, and who works on them.
const PEOPLE: [&str; 2] = ["watchpost", "alice"];
/// It refuses root.
const OWNER: &str = "nobody";
/// What tells that the tracker is made.
const COMPLETE: &str = "complete";

/// roundup.
pub(crate) struct Roundup;

impl Server for Roundup {
    fn name(&self) -> &'static str {
        "roundup"
    }

    fn packages(&self) -> &'static [&'static str] {
        &[ROUNDUP, "python3"]
    }

    fn ports(&self) -> &'static [Port] {
        &[PORT]
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        if !Path::new(PYTHON).exists() {
            return Some(format!("there is no {PYTHON}"));
        }
        tree().is_none().then(|| "there is no roundup; `cargo xtask packages tests` fetches it".into())
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let code = lab.made("roundup/code")?;
        if !code.join(PARTS[0]).exists() {
            let tree = tree().ok_or_else(|| Error::Refused("there is no roundup".into()))?;
            copy(&tree, &code)?;
        }
        let tracker = lab.folder("roundup").join("tracker");
        if !tracker.join(COMPLETE).exists() {
            fs::remove_dir_all(&tracker).ok(); // half of one is none
            make(lab, &code, &tracker)?;
        }
        let mut command = as_owner(&code, &tracker)?;
        command.args(["-m", "roundup.scripts.roundup_server", "-n", "127.0.0.1", "-p", &lab.port(&PORT).to_string()]);
        command.arg(format!("tracker={}", tracker.display()));
        Ok(command)
    }

    fn log(&self, lab: &Lab) -> PathBuf {
        lab.folder("roundup").join("setup")
    }
}

/// Copies what runs into the lab, where its user can reach it.
fn copy(tree: &Path, code: &Path) -> Outcome {
    for part in PARTS {
        let to = code.join(part);
        let above = to.parent().unwrap_or(code);
        fs::create_dir_all(above).map_err(doing(format!("make {}", above.display())))?;
        process::output(Command::new("cp").arg("-r").arg(tree.join(part)).arg(&to))?;
    }
    process::output(Command::new("chmod").args(["-R", "a+rX"]).arg(code)).map(drop)
}

/// Makes a tracker that has a place for the key, and its people.
fn make(lab: &Lab, code: &Path, tracker: &Path) -> Outcome {
    let settings = [
        format!("tracker_web=http://127.0.0.1:{}/tracker/", lab.port(&PORT)),
        format!("mail_domain={DOMAIN}"),
        "mail_host=127.0.0.1".to_owned(),
        format!("mail_debug={}", tracker.join("mail").display()),
    ];
    admin(code, tracker, &["install", "classic", "sqlite", &settings.join(",")])?;
    let schema = tracker.join("schema.py");
    let text = fs::read_to_string(&schema).map_err(doing("read the schema of roundup"))?;
    if text.matches(ISSUE_ENDS[0]).count() != 1 {
        return Err(Error::Refused("roundup's classic tracker has another schema than it had".into()));
    }
    fs::write(&schema, text.replace(ISSUE_ENDS[0], ISSUE_ENDS[1])).map_err(doing("write the schema of roundup"))?;
    let credentials = lab.made("roundup/credentials")?;
    let mut people = "\nfrom roundup.password import Password\n".to_owned();
    for name in PEOPLE {
        let password = accounts::random()?;
        keep(&credentials.join(name), &password)?;
        people += &format!(
            "user.create(username='{name}', password=Password('{password}', config=db.config), address='{name}@{DOMAIN}', roles='User')\n"
        );
    }
    place::set_mode(tracker, 0o700)?;
    let first = tracker.join("initial_data.py");
    let text = fs::read_to_string(&first).map_err(doing("read what roundup begins with"))?;
    fs::write(&first, text + &people).map_err(doing("write what roundup begins with"))?;
    admin(code, tracker, &["initialise", &accounts::random()?])?;
    fs::write(tracker.join(COMPLETE), "").map_err(doing("note that the tracker is made"))
}

/// Writes a password that only the person who uses the lab may read.
fn keep(path: &Path, password: &str) -> Outcome {
    let what = "write a password of roundup";
    fs::remove_file(path).ok(); // that of a tracker which was not finished
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    writeln!(opened.map_err(doing(what))?, "{password}").map_err(doing(what))?;
    let person = user::person().map(|person| (person.uid, person.gid));
    person.map_or(Ok(()), |(uid, gid)| chown(path, Some(uid), Some(gid)).map_err(doing(what)))
}

fn admin(code: &Path, tracker: &Path, words: &[&str]) -> Outcome {
    let mut command = python(code);
    command.args(["-m", "roundup.scripts.roundup_admin", "-i"]).arg(tracker).args(words);
    process::output(&mut command).map(drop)
}

fn python(code: &Path) -> Command {
    let mut command = Command::new(PYTHON);
    command.env("PYTHONPATH", code).current_dir("/");
    command
}

/// Begins the command that runs it as nobody in particular, who then owns what it writes.
fn as_owner(code: &Path, tracker: &Path) -> Outcome<Command> {
    let own = python(code);
    if !user::is_root() {
        return Ok(own);
    }
    let owner = user::find(OWNER).ok_or_else(|| Error::Refused(format!("there is no user `{OWNER}`")))?;
    process::output(Command::new("chown").args(["-R", &format!("{}:{}", owner.uid, owner.gid)]).arg(tracker))?;
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid)).args(["--clear-groups", "--", PYTHON]);
    command.env("PYTHONPATH", code);
    Ok(command)
}
