//! The lab: real mail servers on loopback, in a folder of its own, beside whatever runs already.
//!
//! One file per server ([`server::Server`]), one for a server's life ([`life`]). The lab starts
//! each server as the leader of a session of its own and ends exactly that.

mod accounts;
mod ca;
mod commands;
mod dovecot;
mod exim;
mod facts;
mod faulty;
mod life;
mod named;
pub(crate) mod ports;
mod postfix;
mod request_tracker;
mod roundcube;
mod roundup;
pub(crate) mod schedule;
mod server;
mod slapd;

pub(crate) use commands::{READY, run};

use crate::arguments::Arguments;
use crate::error::{Error, Outcome, doing};
use crate::place;
use crate::process;
use ports::{Port, Ports};
use server::Server;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The servers of the lab, in the order they start; they end in the opposite one.
pub(crate) const SERVERS: [&dyn Server; 8] = [
    &named::Named,
    &slapd::Slapd,
    &dovecot::Dovecot,
    &postfix::Postfix,
    &exim::Exim,
    &roundcube::Roundcube,
    &request_tracker::RequestTracker,
    &roundup::Roundup,
];

/// How long a command waits for another one at work on the same lab.
const LOCK_WITHIN: Duration = Duration::from_secs(90);
/// Written configuration looks this old: Postfix waits until a file is 2 s old before it reads it.
const LOOKS_OLD: Duration = Duration::from_secs(60);
/// What the usual ports are called in the lab's own notes.
const USUAL: &str = "usual";

/// One lab: its folder and its ports.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) dir: PathBuf,
    ports: Ports,
}

impl Lab {
    /// Finds the lab that `--dir` and `--port-base` mean; without a base, the one it was made with.
    pub(crate) fn of(arguments: &Arguments) -> Outcome<Self> {
        let given = arguments.value("port-base").map(Ports::parse).transpose()?;
        let dir = match arguments.value("dir") {
            Some(dir) => std::path::absolute(dir).map_err(doing("find the lab's folder"))?,
            None => {
                let (dir, note) = place::lab(given.as_ref().and_then(|ports| ports.base))?;
                note.iter().for_each(|note| eprintln!("{note}"));
                dir
            }
        };
        let saved = || Some(Ports::at(saved_base(&dir)?.parse().ok()?));
        let ports = given.or_else(saved).unwrap_or_default();
        Ok(Self { dir, ports })
    }

    /// Gives the options by which another command finds this lab.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let mut options = vec!["--dir".into(), self.dir.clone().into_os_string()];
        if let Some(base) = self.ports.base {
            options.extend(["--port-base".into(), base.to_string().into()]);
        }
        options
    }

    /// Gives the number of a port in this lab.
    pub(crate) fn port(&self, port: &Port) -> u16 {
        port.number(self.ports.base)
    }

    /// Gives each port's usual number with the one it has here.
    pub(crate) fn renumbered(&self) -> Vec<(u16, u16)> {
        let all = SERVERS.iter().flat_map(|server| server.ports());
        all.map(|port| (port.usual, self.port(port))).collect()
    }

    /// Gives the ports of this lab that nothing answers on.
    pub(crate) fn silent_ports(&self) -> Vec<u16> {
        let all = self.renumbered().into_iter().map(|(_, here)| here);
        all.filter(|&port| !server::answers(port)).collect()
    }

    /// Gives each server with the numbers of its ports here.
    pub(crate) fn ports_of_servers(&self) -> impl Iterator<Item = (&'static str, Vec<u16>)> {
        SERVERS.iter().map(|server| (server.name(), server.ports().iter().map(|port| self.port(port)).collect()))
    }

    /// Gives the authority that vouches for the lab's servers.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca/ca.pem")
    }

    /// Gives each user with the file of the password.
    pub(crate) fn password_files(&self) -> Vec<(&'static str, PathBuf)> {
        accounts::MAILBOXES.map(|user| (user, accounts::password_file(self, user))).into()
    }

    /// Gives the path of a folder of the lab.
    fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a folder of the lab, passable for the servers' users.
    fn made(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).map_err(doing(format!("make {}", folder.display())))?;
        place::set_mode(&folder, 0o755)?;
        Ok(folder)
    }

    /// Writes a configuration file that looks old enough to be read at once.
    fn write(&self, path: &Path, text: &str) -> Outcome {
        let what = format!("write {}", path.display());
        fs::write(path, text).map_err(doing(what.clone()))?;
        let file = File::options().write(true).open(path).map_err(doing(what.clone()))?;
        file.set_modified(SystemTime::now() - LOOKS_OLD).map_err(doing(what))
    }

    /// Gives the chain that servers present.
    fn certificate(&self) -> PathBuf {
        self.dir.join("ca/server.pem")
    }

    /// Gives the key of [`Lab::certificate`].
    fn key(&self) -> PathBuf {
        self.dir.join("ca/server.key")
    }

    /// Gives the file that says which process runs a server.
    fn record(&self, server: &str) -> PathBuf {
        self.dir.join("running").join(server)
    }

    /// Makes all that the servers share: folder, passwords, certificates, notes for tests.
    fn lay_out(&self) -> Outcome {
        self.made("running")?;
        self.remember_base()?;
        accounts::make(self)?;
        ca::make(self)?;
        facts::write(self)
    }

    /// Keeps others from changing this lab until the file is dropped.
    fn lock(&self) -> Outcome<File> {
        place::make_open(&self.dir)?;
        let file = File::create(self.dir.join("lock")).map_err(doing("open the lab's lock"))?;
        if process::wait_until(LOCK_WITHIN, || file.try_lock().is_ok()) {
            return Ok(file);
        }
        let dir = self.dir.display();
        Err(Error::Refused(format!("another command has been at work on the lab in {dir} for long")))
    }

    /// Notes the ports; a lab that runs keeps those it has.
    fn remember_base(&self) -> Outcome {
        let base = self.ports.base.map_or(USUAL.to_owned(), |base| base.to_string());
        let saved = saved_base(&self.dir);
        let mut records = SERVERS.iter().map(|server| self.record(server.name()));
        if saved.is_some_and(|saved| saved != base) && records.any(|record| record.exists()) {
            let dir = self.dir.display();
            return Err(Error::Refused(format!("the lab in {dir} runs with other ports")));
        }
        let path = self.dir.join("port-base");
        fs::write(&path, base).map_err(doing(format!("write {}", path.display())))
    }
}

fn saved_base(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join("port-base")).ok()
}
