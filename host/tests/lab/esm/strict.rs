//! Dovecot where sessions are few, and where a login process can be given a clock that runs faster: whom it refuses, and whom it no longer
//! waits for, come about within a test's time.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{harness::until, programs, servers::Lab};

/// Sessions that a user may have at once from one address.
pub(super) const SESSIONS: usize = 4;
/// How much faster a clock runs. Dovecot waits three minutes for a login, which none of its settings changes.
const FASTER: u32 = 30;
/// How long Dovecot may take to read its configuration.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Has Dovecot read the stricter configuration; what it has counted begins anew.
pub(super) fn make(lab: &Lab) {
    let (folder, launcher) = (folder(lab), folder(lab).join("login"));
    fs::DirBuilder::new().mode(0o755).create(&folder).unwrap();
    fs::write(&launcher, self::launcher(&folder)).unwrap();
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).unwrap();
    let mut more = format!("\nmail_max_userip_connections = {SESSIONS}\n");
    for service in ["imap-login", "pop3-login"] {
        more += &format!("service {service} {{\n  executable = {} {service}\n}}\n", launcher.display());
    }
    let config = lab.dir.join("dovecot/dovecot.conf");
    fs::File::options().append(true).open(&config).unwrap().write_all(more.as_bytes()).unwrap();
    programs::output_of("doveadm", &["-c", config.to_str().unwrap(), "reload"]);
    let has_read = || fs::read_to_string(lab.dir.join("dovecot/log")).unwrap().contains("reloading configuration").then_some(());
    assert!(until(READ_TIMEOUT, has_read).is_some(), "Dovecot does not read its configuration");
}

fn folder(lab: &Lab) -> PathBuf {
    lab.dir.join("strict")
}

/// What starts a login process; where the list of hasty ones is, it becomes one of them.
fn launcher(folder: &Path) -> String {
    let library = programs::output_of("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"]);
    let hasty = hasty(folder);
    format!(
        "#!/bin/sh\nif [ -e '{0}' ]; then\n  echo $$ >> '{0}'\n  export LD_PRELOAD='{1}' FAKETIME='+0 x{FASTER}'\nfi\nexec /usr/lib/dovecot/$1\n",
        hasty.display(),
        library.trim()
    )
}

fn hasty(folder: &Path) -> PathBuf {
    folder.join("hasty")
}

/// Login processes that start now have a clock that runs faster; until this is dropped.
pub(super) struct Hasty {
    list: PathBuf,
}

impl Hasty {
    pub(super) fn begin(lab: &Lab) -> Self {
        let list = hasty(&folder(lab));
        fs::write(&list, "").unwrap();
        Self { list }
    }
}

impl Drop for Hasty {
    /// The library shares its clock in files that a login process, which is locked in a folder, cannot remove.
    fn drop(&mut self) {
        let pids = fs::read_to_string(&self.list).unwrap();
        fs::remove_file(&self.list).unwrap();
        for name in pids.lines().flat_map(|pid| [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")]) {
            fs::remove_file(Path::new("/dev/shm").join(name)).ok();
        }
    }
}
