//! Root, where it is needed: we are it, or sudo lends it.

use crate::error::{Error, Outcome};
use crate::{process, programs, user};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What sudo would take away and the work as root must still know.
const PASSED_ON: [&str; 2] = ["WATCHPOST_LAB_UNPACK", "NO_COLOR"];

/// How we come by root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Root {
    /// We are root.
    Already,
    /// sudo lends it, without asking again for some minutes.
    Sudo,
}

/// Finds a way to root; asks for sudo's password at most once, saying what for.
///
/// Errors: [`Error::Refused`] if there is none.
pub(crate) fn root(reason: &str) -> Outcome<Root> {
    if user::is_root() {
        return Ok(Root::Already);
    }
    let Some(sudo) = programs::find("sudo") else {
        return Err(Error::Refused(format!("{reason} needs root, and there is no sudo")));
    };
    let quiet = Command::new(&sudo).args(["-n", "true"]).stderr(Stdio::null()).status();
    if quiet.is_ok_and(|status| status.success()) {
        return Ok(Root::Sudo);
    }
    eprintln!("{reason} needs root; sudo may ask for your password");
    if process::attend(Command::new(&sudo).arg("-v"))?.success() {
        return Ok(Root::Sudo);
    }
    Err(Error::Refused(format!("{reason} needs root, and sudo refused")))
}

impl Root {
    /// Makes the command that runs this very program, as root, with other arguments.
    pub(crate) fn xtask(self, arguments: &[OsString]) -> Outcome<Command> {
        let xtask = own_program()?;
        let mut command = match self {
            Root::Already => Command::new(xtask),
            Root::Sudo => through_sudo(&xtask),
        };
        command.args(arguments);
        Ok(command)
    }
}

fn through_sudo(xtask: &Path) -> Command {
    let mut command = Command::new("sudo");
    command.args(["-n", "env"]);
    for name in PASSED_ON {
        if let Ok(value) = std::env::var(name) {
            command.arg(format!("{name}={value}"));
        }
    }
    command.arg(xtask);
    command
}

/// Gives the path of this program, also after cargo put a newer one in its place.
pub(crate) fn own_program() -> Outcome<PathBuf> {
    let path = std::env::current_exe().map_err(crate::error::doing("find this program"))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}
