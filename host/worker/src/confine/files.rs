//! Files, TCP ports, and whom a worker may signal: landlock.
//!
//! Never widened by a later interface of the kernel's: what was not tried may deny what agents need.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use watchpost_plugin_api::Transport;

use super::{Confinement, Unconfined};

/// The interface that is made use of: Linux 6.12. Of an older kernel, what it has.
const INTERFACE: ABI = ABI::V6;

/// Where shared libraries, authorities and time zones are.
const SYSTEM_FOLDERS: [&str; 16] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/ssl/certs",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/var/lib/ca-certificates",
    "/proc/self",
];

/// How this machine finds libraries, names, zones and users.
const SYSTEM_FILES: [&str; 17] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/networks",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/group",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/sys/devices/system/cpu/online",
];

/// Those of them that change while agents run, and say where names are looked up.
const OF_NAMES: [&str; 4] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"];

/// Devices that do nothing but give bytes.
const DEVICES: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/zero"];

/// Where the system's authorities may be said to be, for TLS.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What the kernel starts before a program that is linked dynamically.
const LOADERS: [&str; 6] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux.so.2",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Beside their own files, what programs read.
const OF_PROGRAMS: [&str; 3] = ["/usr/share", "/etc/alternatives", "/etc/locale.alias"];

/// Where names are looked up when an answer was too long for a datagram.
const DNS: u16 = 53;

/// Files of the system that every worker reads.
pub(super) fn system_files<'a>() -> impl Iterator<Item = &'a Path> {
    SYSTEM_FILES.into_iter().map(Path::new)
}

/// Files of the system that every worker reads again and again.
pub(super) fn files_of_names<'a>() -> impl Iterator<Item = &'a Path> {
    OF_NAMES.into_iter().map(Path::new)
}

/// Folders of the system that every worker reads.
pub(super) fn system_folders<'a>() -> impl Iterator<Item = &'a Path> {
    SYSTEM_FOLDERS.into_iter().map(Path::new)
}

pub(super) fn apply(confinement: &Confinement) -> Result<(), Unconfined> {
    restrict(confinement).map_err(|error| Unconfined::Files(error.to_string()))
}

fn restrict(confinement: &Confinement) -> Result<(), RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(INTERFACE))?
        .handle_access(AccessNet::from_all(INTERFACE))?
        .scope(Scope::from_all(INTERFACE))?
        .create()?;
    for Grant { path, access } in grants(confinement) {
        // It may have gone since.
        let Ok(file) = PathFd::new(&path) else { continue };
        if path.starts_with("/proc") {
            hold(&path);
        }
        ruleset = ruleset.add_rule(PathBeneath::new(file, access))?;
    }
    let declared = confinement.needs.ports.iter().filter(|port| port.transport == Transport::Tcp).map(|port| port.number);
    for port in declared.chain(confinement.connects().then_some(DNS)) {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    ruleset.restrict_self()?;
    Ok(())
}

/// Holds what is no file on a disk for as long as the process lives: the kernel makes another of it once nobody does, and that has no rule.
fn hold(path: &Path) {
    std::mem::forget(PathFd::new(path));
}

/// A file or folder that may be touched, by its true path.
struct Grant {
    path: PathBuf,
    access: BitFlags<AccessFs>,
}

fn grants(confinement: &Confinement) -> Vec<Grant> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let needs = &confinement.needs;
    let forbidden: Vec<PathBuf> = confinement.forbidden.iter().map(|path| truly(path)).collect();
    let otherwise_named = forbidden.iter().filter_map(|path| identity(path).filter(|_| path.is_file())).collect();
    let mut grants = Grants { forbidden, otherwise_named, made: Vec::new() };
    for folder in SYSTEM_FOLDERS {
        grants.make(folder.as_ref(), read);
    }
    for file in system_files() {
        grants.make(file, read);
        grants.make_home_of(file);
    }
    for device in DEVICES {
        grants.make(device.as_ref(), AccessFs::ReadFile.into());
    }
    grants.make("/dev/null".as_ref(), AccessFs::ReadFile | AccessFs::WriteFile);
    // A backtrace reads the names of functions from it.
    if let Ok(ours) = std::env::current_exe() {
        grants.make(&ours, AccessFs::ReadFile.into());
    }
    for path in AUTHORITIES.iter().filter_map(std::env::var_os) {
        grants.make(path.as_ref(), read);
    }
    for path in &needs.files {
        grants.make_or_above(path, read);
    }
    for folder in &needs.removes {
        grants.make_or_above(folder, AccessFs::RemoveFile | AccessFs::ReadDir);
    }
    for program in &needs.programs {
        grants.make_program(program, true);
    }
    if confinement.starts_programs() {
        LOADERS.iter().for_each(|loader| grants.make(loader.as_ref(), AccessFs::Execute | AccessFs::ReadFile));
        OF_PROGRAMS.iter().for_each(|path| grants.make(path.as_ref(), read));
    }
    grants.made
}

/// Grants that are being made.
struct Grants {
    forbidden: Vec<PathBuf>,
    /// Device and number of the forbidden that are files: these may have other names.
    otherwise_named: Vec<(u64, u64)>,
    made: Vec<Grant>,
}

impl Grants {
    /// Grants a path, but for what is forbidden in it; one that is not there is none.
    fn make(&mut self, path: &Path, access: BitFlags<AccessFs>) {
        let Ok(path) = fs::canonicalize(path) else { return };
        self.spare(path, access);
    }

    /// Grants a path, or what it will be made in until it is there.
    fn make_or_above(&mut self, path: &Path, access: BitFlags<AccessFs>) {
        /// Folders below the root that are not granted for what is to come in them: too much is there already.
        const TOO_HIGH: usize = 2;
        let there = path.ancestors().find(|above| above.exists());
        if let Some(there) = there.filter(|there| *there == path || there.components().count() > TOO_HIGH) {
            self.make(there, access);
        }
    }

    fn spare(&mut self, path: PathBuf, access: BitFlags<AccessFs>) {
        let is_otherwise_named = || identity(&path).is_some_and(|file| self.otherwise_named.contains(&file));
        if self.forbidden.iter().any(|forbidden| path.starts_with(forbidden)) || is_otherwise_named() {
            return;
        }
        let folder = path.is_dir();
        let access = if folder { access } else { access & AccessFs::from_file(INTERFACE) };
        if !self.forbidden.iter().any(|forbidden| forbidden.starts_with(&path)) {
            self.made.push(Grant { path, access });
            return;
        }
        // A right to a folder is one to everything in it: what is beside the forbidden is granted piece by piece, and names can be listed.
        let beside = fs::read_dir(&path).into_iter().flatten().flatten().filter(|entry| !entry.path().is_symlink());
        let beside: Vec<PathBuf> = beside.map(|entry| entry.path()).collect();
        self.made.push(Grant { path, access: access & AccessFs::ReadDir });
        beside.into_iter().for_each(|path| self.spare(path, access));
    }

    /// Grants the folder that a link leads to, if it is one of those that are made anew at every start: what is in it changes by renaming.
    fn make_home_of(&mut self, link: &Path) {
        if let Ok(file) = fs::canonicalize(link)
            && file.starts_with("/run")
            && let Some(folder) = file.parent().filter(|folder| folder.components().count() > 2)
        {
            self.spare(folder.to_owned(), AccessFs::ReadFile | AccessFs::ReadDir);
        }
    }

    /// Grants a program, and what interprets it.
    fn make_program(&mut self, program: &Path, may_be_script: bool) {
        self.make(program, AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir);
        if may_be_script {
            interpreters(program).iter().for_each(|interpreter| self.make_program(interpreter, false));
        }
    }
}

/// Device and number of a file, whatever it is called.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The path without links, also of a file that is not there yet.
pub(super) fn truly(path: &Path) -> PathBuf {
    let parent = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(parent).unwrap_or_else(|| path.to_owned())
}

/// The programs that a script names in its first line (execve(2), "Interpreter scripts").
fn interpreters(program: &Path) -> Vec<PathBuf> {
    /// Bytes of that line that the kernel reads.
    const LINE_BYTES: usize = 256;
    let mut line = Vec::new();
    let read = fs::File::open(program).and_then(|file| {
        use std::io::Read;
        file.take(LINE_BYTES as u64).read_to_end(&mut line)
    });
    let Some(line) = read.ok().and_then(|_| line.strip_prefix(b"#!")) else { return Vec::new() };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let mut words = line.split_whitespace().map(PathBuf::from);
    let Some(interpreter) = words.next() else { return Vec::new() };
    // `env NAME` finds the program of that name.
    let named = words.next().filter(|_| interpreter.ends_with("env"));
    let found = named.into_iter().flat_map(|name| ["/usr/local/bin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).join(&name)));
    std::iter::once(interpreter).chain(found).collect()
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Needs;

    use super::*;

    fn granted(needs: Needs, forbidden: &[PathBuf], below: &Path) -> Vec<(PathBuf, bool)> {
        let confinement = Confinement { needs, forbidden: forbidden.iter().cloned().collect(), ..Confinement::default() };
        let all = grants(&confinement).into_iter().filter(|grant| grant.path.starts_with(below));
        let mut told: Vec<_> = all.map(|grant| (grant.path, grant.access.contains(AccessFs::ReadFile))).collect();
        told.sort();
        told
    }

    #[test]
    fn what_is_forbidden_is_left_out_of_a_folder_that_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(folder.path()).unwrap();
        let at = |name: &str| top.join(name);
        fs::create_dir_all(at("house/data")).unwrap();
        for file in ["house/log", "house/secret", "other"] {
            fs::write(at(file), "").unwrap();
        }
        std::os::unix::fs::symlink(at("house/secret"), at("house/link")).unwrap();
        let forbidden = [at("house/data"), at("house/secret"), at("house/not-there-yet")];
        let whole = Needs::none().read(&top);
        assert_eq!(granted(whole.clone(), &[], &top), [(top.clone(), true)]);
        let expected = [(top.clone(), false), (at("house"), false), (at("house/log"), true), (at("other"), true)];
        assert_eq!(granted(whole, &forbidden, &top), expected);
        fs::hard_link(at("house/secret"), at("house/other-name")).unwrap();
        let itself = Needs::none().read(at("house/secret")).read(at("house/data/journal")).read(at("house/link"));
        let itself = itself.read(at("house/other-name"));
        assert_eq!(granted(itself, &forbidden, &top), []);
    }

    #[test]
    fn a_script_brings_what_interprets_it() {
        let folder = tempfile::tempdir().unwrap();
        let check = |line: &str, expected: &[&str]| {
            let script = folder.path().join("script");
            fs::write(&script, line).unwrap();
            let found = interpreters(&script);
            assert!(expected.iter().all(|path| found.contains(&PathBuf::from(path))), "{line}: {found:?}");
            assert_eq!(found.is_empty(), expected.is_empty(), "{line}");
        };
        check("#!/bin/sh\necho", &["/bin/sh"]);
        check("#! /usr/bin/env python3 -u\n", &["/usr/bin/env", "/usr/bin/python3"]);
        check("\x7fELF", &[]);
    }
}
