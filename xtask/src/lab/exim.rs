//! Exim: a second mail server, which hands on to Postfix.
//!
//! As a package it would remove Postfix, so its program comes from where it was unpacked; a copy
//! in the lab is what its own user can reach, wherever the workspace is.

use super::Lab;
use super::ports::Port;
use super::postfix;
use super::server::Server;
use crate::error::{Error, Outcome, doing};
use crate::packages::unpack;
use crate::{place, template, user};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const EXIM: Port = Port::new("exim", 2526, 26, "mail in, Exim hands on to Postfix; stuck.test waits");

const CONFIG: &str = include_str!("../../lab/exim/exim.conf");
/// Whom Debian's Exim is compiled to run as.
const USER: &str = "Debian-exim";
/// How often it tries again what waits.
const TRIES_AGAIN: &str = "-q10s";

/// Exim.
pub(crate) struct Exim;

impl Server for Exim {
    fn name(&self) -> &'static str {
        "exim"
    }

    fn packages(&self) -> &'static [&'static str] {
        &[unpack::EXIM]
    }

    fn ports(&self) -> &'static [Port] {
        &[EXIM]
    }

    fn obstacle(&self) -> Option<String> {
        unpack::exim().is_none().then(|| "there is no exim4; `cargo xtask packages lab` unpacks one".into())
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let tree = unpack::exim().ok_or_else(|| Error::Refused("there is no exim4".into()))?;
        unpack::make_user(USER, "Exim")?;
        let folder = lab.made(self.name())?;
        let owner = user::find(USER).ok_or_else(|| Error::Refused(format!("there is no user `{USER}`")))?;
        // As its package would make them; Exim itself makes the last one for its first message.
        for own in ["exim/logs", "exim/spool", "exim/spool/input"] {
            chown(lab.made(own)?, Some(owner.uid), Some(owner.gid)).map_err(doing("give Exim its folders"))?;
        }
        let program = copied(&tree.join("usr/sbin/exim4"), &folder.join("exim4"))?;
        let config = template::fill(
            CONFIG,
            &[
                ("program", &program.display().to_string()),
                ("folder", &folder.display().to_string()),
                ("exim", &lab.port(&EXIM).to_string()),
                ("smtp", &lab.port(&postfix::SMTP).to_string()),
            ],
        )?;
        lab.write(&folder.join("exim.conf"), &config)?;
        let mut command = Command::new(program);
        if tree != Path::new("/") {
            command.env("LD_LIBRARY_PATH", libraries(&tree, &lab.made("exim/lib")?)?);
        }
        command.arg("-C").arg(folder.join("exim.conf")).args(["-bdf", TRIES_AGAIN]);
        Ok(command)
    }

    fn log(&self, lab: &Lab) -> PathBuf {
        lab.folder("exim/logs").join("mainlog")
    }
}

/// Copies the program, which is not set-user-ID in the lab.
fn copied(from: &Path, to: &Path) -> Outcome<PathBuf> {
    fs::remove_file(to).ok(); // may still be mapped by one that is ending
    fs::copy(from, to).map_err(doing("copy exim4 into the lab"))?;
    place::set_mode(to, 0o755)?;
    Ok(to.to_owned())
}

/// Copies the libraries that came with an unpacked Exim; gives the value of LD_LIBRARY_PATH.
fn libraries(tree: &Path, to: &Path) -> Outcome<String> {
    let what = "copy Exim's libraries into the lab";
    for folder in unpack::library_path(tree).split(':') {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).map_err(doing(what))?;
        }
    }
    Ok(to.display().to_string())
}
