//! The demo's folder: programs, plugins, schedule and secrets where an ordinary user reaches them.
//!
//! Programs and plugins belong to whoever runs the demo and nobody else may write them, so that
//! the daemon's ownership check passes; only `data` and the secrets belong to the daemon's user.

use crate::error::{Error, Outcome, doing};
use crate::lab::Lab;
use crate::lab::schedule::{self, Sheet};
use crate::place;
use crate::user::Account;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// What the daemon consists of, beside its plugins.
const PROGRAMS: [&str; 2] = ["watchpost", "watchpost-worker"];
/// The schedule that the demo runs, from the workspace's root.
const SCHEDULE: &str = "schedules/demo.toml";
/// The lab's things as the copied schedule sees them.
const LAB_FROM_SCHEDULES: &str = "../lab";

/// The demo's folder; gone when this is dropped, unless it is to be kept.
pub(crate) struct Folder {
    root: PathBuf,
    keep: bool,
    /// The names of all jobs of the schedule.
    pub(crate) jobs: Vec<String>,
    /// How many of them each agent has.
    pub(crate) agents: Vec<(String, usize)>,
}

impl Folder {
    /// Makes and fills the folder.
    pub(crate) fn make(lab: &Lab, account: &Account, listen: SocketAddr, keep: bool, built: &str) -> Outcome<Self> {
        let name = format!("watchpost-demo-{}", std::process::id());
        let root = Path::new(place::FOR_EVERYBODY).join(name);
        // Not create_dir_all: a folder that somebody prepared under this name is refused.
        fs::create_dir(&root).map_err(doing(format!("make {}", root.display())))?;
        let mut folder = Self { root, keep, jobs: Vec::new(), agents: Vec::new() };
        place::set_mode(&folder.root, 0o755)?;
        folder.copy_programs(built)?;
        folder.copy_secrets(lab, account)?;
        folder.write_schedule(lab)?;
        folder.write_config(listen)?;
        let data = folder.made("data")?;
        place::set_mode(&data, 0o700)?;
        give(&data, account)?;
        Ok(folder)
    }

    /// Gives the path of a copied program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// Gives the path of the daemon's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("watchpost.toml")
    }

    /// Gives the path of the schedule, which has the lab's ports filled in.
    pub(crate) fn schedule(&self) -> PathBuf {
        self.root.join("schedules/demo.toml")
    }

    /// Gives the path of the daemon's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("watchpost.log")
    }

    fn made(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(doing(format!("make {}", folder.display())))?;
        place::set_mode(&folder, 0o755)?;
        Ok(folder)
    }

    fn copy_programs(&self, built: &str) -> Outcome {
        let release = place::built(built)?;
        let bin = self.made("bin")?;
        for program in PROGRAMS {
            copy(&release.join(program), &bin.join(program), 0o755)?;
        }
        let plugins = self.made("plugins")?;
        let entries = fs::read_dir(&release).map_err(doing("list the built plugins"))?;
        for entry in entries.flatten().filter(|entry| is_library(&entry.path())) {
            copy(&entry.path(), &plugins.join(entry.file_name()), 0o644)?;
        }
        Ok(())
    }

    fn copy_secrets(&self, lab: &Lab, account: &Account) -> Outcome {
        self.made("lab")?;
        copy(&lab.ca_file(), &self.made("lab/ca")?.join("ca.pem"), 0o644)?;
        let secrets = self.made("lab/secrets")?;
        for (user, file) in lab.password_files() {
            let secret = secrets.join(user);
            copy(&file, &secret, 0o600)?;
            give(&secret, account)?;
        }
        Ok(())
    }

    fn write_schedule(&mut self, lab: &Lab) -> Outcome {
        let source = place::workspace().join(SCHEDULE);
        let text = fs::read_to_string(&source).map_err(doing(format!("read {}", source.display())))?;
        let mut sheet = Sheet::of(&schedule::fill(&text, &lab.renumbered(), LAB_FROM_SCHEDULES));
        let gone = sheet.leave_out(&lab.silent_ports());
        if !gone.is_empty() {
            println!("left out, because their servers are: {}", gone.join(", "));
        }
        (self.jobs, self.agents) = (sheet.names(), sheet.agents());
        if self.jobs.is_empty() {
            return Err(Error::Refused("no server of the lab is up, so there is nothing to measure".into()));
        }
        self.made("schedules")?;
        write(&self.schedule(), &sheet.text())
    }

    fn write_config(&self, listen: SocketAddr) -> Outcome {
        let text = format!(
            "# Written by `cargo xtask demo`.\ndata = \"data\"\nplugins = [\"plugins\"]\n\
             schedules = [\"schedules/demo.toml\"]\nlisten = \"{listen}\"\n"
        );
        write(&self.config(), &text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            println!("kept: {}", self.root.display());
        } else if let Err(error) = fs::remove_dir_all(&self.root) {
            eprintln!("cannot remove {}: {error}", self.root.display());
        }
    }
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("lib") && name.ends_with(".so")
}

fn copy(from: &Path, to: &Path, mode: u32) -> Outcome {
    let what = format!("copy {} to {}", from.display(), to.display());
    fs::copy(from, to).map_err(doing(what))?;
    place::set_mode(to, mode)
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(doing(format!("write {}", path.display())))?;
    place::set_mode(path, 0o644)
}

fn give(path: &Path, account: &Account) -> Outcome {
    chown(path, Some(account.uid), Some(account.gid)).map_err(doing(format!("give {} to {}", path.display(), account.name)))
}
