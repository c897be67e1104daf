//! Mail servers without installing them: unpacked beside one that must stay.
//!
//! Debian lets one package at most provide `mail-transport-agent`; installing another would
//! remove the machine's own. So Postfix, if that is the other, is downloaded and unpacked into the
//! lab's folder; Exim, which always is, into a folder beside what cargo built, for all labs.

use super::apt;
use crate::error::{Outcome, doing};
use crate::{place, process, programs, progress, user};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Set to 1, this unpacks even where Postfix could be or is installed.
const FORCE: &str = "WATCHPOST_LAB_UNPACK";
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(10 * 60);
const UNPACK_WITHIN: Duration = Duration::from_secs(60);
/// How long another may take to make a user.
const USER_WITHIN: Duration = Duration::from_secs(20);
/// Written when everything is unpacked.
const COMPLETE: &str = "complete";
/// The package of an Exim that does what the lab asks, and no more.
pub(crate) const EXIM: &str = "exim4-daemon-light";

/// Tells whether Postfix has to be unpacked: forced, or another mail server is installed.
pub(crate) fn is_wanted() -> bool {
    let forced = std::env::var_os(FORCE).is_some_and(|value| value == "1");
    forced || (programs::find("postfix").is_none() && another_mail_server().is_some())
}

/// Unpacks Postfix and the libraries it lacks below `tree`, once; makes its users if there are none.
pub(crate) fn postfix(tree: &Path, log: &Path) -> Outcome {
    if !tree.join(COMPLETE).exists() {
        if let Some(other) = another_mail_server().filter(|other| other != "postfix") {
            eprintln!("{other} is this machine's mail server and stays: Postfix is unpacked into the lab");
        }
        unpack("postfix", tree, log)?;
    }
    let has_group = process::output(Command::new("getent").args(["group", "postdrop"])).is_ok();
    if !has_group {
        eprintln!("making the group postdrop, which Postfix needs");
        process::output(Command::new("groupadd").args(["--system", "postdrop"]))?;
    }
    make_user("postfix", "Postfix")
}

/// Gives the root of the file tree that holds Exim and the libraries it lacks: the system's, or the unpacked one.
pub(crate) fn exim() -> Option<PathBuf> {
    if programs::find("exim4").is_some() {
        return Some("/".into());
    }
    exim_tree().ok().filter(|tree| tree.join(COMPLETE).exists())
}

/// Unpacks Exim where [`exim`] finds it.
pub(crate) fn fetch_exim(log: &Path) -> Outcome {
    unpack(EXIM, &exim_tree()?, log)
}

fn exim_tree() -> Outcome<PathBuf> {
    place::built("unpacked/exim")
}

/// Downloads a package and those it lacks here, and unpacks them below `tree`.
fn unpack(package: &str, tree: &Path, log: &Path) -> Outcome {
    let debs = tree.join("debs");
    fs::create_dir_all(&debs).map_err(doing(format!("make {}", debs.display())))?;
    download(package, &debs, log)?;
    for deb in files_of(&debs)? {
        let stage = format!("unpacking {}", deb.file_name().unwrap_or_default().to_string_lossy());
        let mut unpack = Command::new("dpkg-deb");
        progress::run(&stage, unpack.arg("-x").arg(deb).arg(tree), log, UNPACK_WITHIN)?;
    }
    fs::write(tree.join(COMPLETE), "").map_err(doing(format!("note that {package} is unpacked")))
}

/// Gives the value of LD_LIBRARY_PATH for what was unpacked.
pub(crate) fn library_path(tree: &Path) -> String {
    let base = tree.join("usr/lib");
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = [base.join("postfix"), base.join(&multiarch), tree.join("lib").join(&multiarch)];
    folders.map(|folder| folder.display().to_string()).join(":")
}

/// Names the installed package that is this machine's mail server.
fn another_mail_server() -> Option<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}\t${Package}\t${Provides}\n"]);
    provider(&process::output(&mut query).ok()?).map(str::to_owned)
}

fn provider(packages: &str) -> Option<&str> {
    packages.lines().find_map(|line| {
        let mut fields = line.split('\t');
        let installed = fields.next()? == "installed";
        let name = fields.next()?;
        let provides = fields.next()?.split(", ").any(|it| it.split(' ').next() == Some("mail-transport-agent"));
        (installed && provides).then_some(name)
    })
}

fn download(package: &str, debs: &Path, log: &Path) -> Outcome {
    let names = match needed(package) {
        Ok(names) => names,
        Err(_) => {
            apt::update(log)?;
            needed(package)?
        }
    };
    let mut download = apt::apt_get();
    download.arg("download").args(&names).current_dir(debs);
    let stage = format!("downloading {}", names.join(" "));
    progress::run(&stage, &mut download, log, DOWNLOAD_WITHIN)
}

/// Lists what apt would install for a package; it only pretends to.
fn needed(package: &str) -> Outcome<Vec<String>> {
    let mut pretend = apt::apt_get();
    pretend.args(["--simulate", "--no-install-recommends", "install", package]);
    Ok(would_install(package, &process::output(&mut pretend)?))
}

fn would_install(package: &str, simulated: &str) -> Vec<String> {
    let lines = simulated.lines().filter_map(|line| line.strip_prefix("Inst "));
    let mut names: Vec<String> = lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    if !names.iter().any(|name| name == package) {
        names.push(package.into());
    }
    names
}

fn files_of(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(doing(format!("list {}", folder.display())))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Makes the user that an unpacked server will not run without, as its package would have done.
pub(crate) fn make_user(name: &str, server: &str) -> Outcome {
    if user::find(name).is_some() {
        return Ok(());
    }
    // Of two that make a user of one name at a time, either gets numbers of which the other knows nothing.
    let all = File::open("/etc/passwd").map_err(doing("read who is known here"))?;
    process::wait_until(USER_WITHIN, || all.try_lock().is_ok());
    if user::find(name).is_none() {
        eprintln!("making the user {name}, which {server} needs");
        let mut make = Command::new("useradd");
        make.args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]);
        process::output(make.args(["--shell", "/usr/sbin/nologin", name]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_server_is_the_installed_package_that_provides_one() {
        let packages = "config-files\tpostfix\tmail-transport-agent\n\
            installed\tmailutils\timap-client, mailx\n\
            installed\texim4-daemon-light\texim4-localscanapi-4.1, mail-transport-agent (= 1)\n";
        assert_eq!(provider(packages), Some("exim4-daemon-light"));
        assert_eq!(provider("installed\tbash\t\n"), None);
    }

    #[test]
    fn what_apt_would_install_is_taken_and_what_it_would_remove_is_not() {
        let simulated = "Remv exim4-base [4.96]\nInst libnsl2 (1.3 Debian [amd64])\nInst postfix (3.7)\nConf postfix\n";
        assert_eq!(would_install("postfix", simulated), ["libnsl2", "postfix"]);
        assert_eq!(would_install("postfix", "postfix is already the newest version"), ["postfix"]);
    }
}
