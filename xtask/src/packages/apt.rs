//! Installing with apt: asking nothing, starting no service.

use super::policy::Policy;
use crate::error::{Outcome, doing};
use crate::process;
use crate::progress;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long another apt may hold the lock, in seconds.
const LOCK_SECONDS: u32 = 600;
const UPDATE_WITHIN: Duration = Duration::from_secs(15 * 60);
const INSTALL_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Answers to what packages would ask: servers get no configuration outside the lab.
const ANSWERS: [(&str, &str); 5] = [
    ("postfix", "postfix postfix/main_mailer_type select No configuration\n"),
    ("slapd", "slapd slapd/no_configuration boolean true\n"),
    ("roundcube-core", "roundcube-core roundcube/dbconfig-install boolean false\n"),
    ("rt5-db-sqlite", "rt5-db-sqlite request-tracker5/dbconfig-install boolean false\n"),
    ("request-tracker5", RT_ANSWERS),
];

const RT_ANSWERS: &str = "request-tracker5 request-tracker5/dbconfig-install boolean false
request-tracker5 request-tracker5/initialize-database boolean false
request-tracker5 request-tracker5/webbaseurl string http://127.0.0.1:8085
";

/// Installs packages; everything said goes to `log`.
pub(crate) fn install(names: &[&str], log: &Path) -> Outcome {
    eprintln!("missing: {}; apt's words go to {}", names.join(" "), log.display());
    let _quiet = Policy::lay_down()?;
    update(log)?;
    for (_, answer) in ANSWERS.iter().filter(|(package, _)| names.contains(package)) {
        preseed(answer, log)?;
    }
    let mut install = apt_get();
    install.args(["install", "--yes", "--no-install-recommends"]).args(names);
    progress::run("installing packages", &mut install, log, INSTALL_WITHIN)
}

/// Refreshes apt's lists.
pub(crate) fn update(log: &Path) -> Outcome {
    progress::run("asking for the lists of packages", apt_get().arg("update"), log, UPDATE_WITHIN)
}

/// Begins an apt-get command that waits for the lock and asks nothing.
pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
    command.args(["-o", &format!("DPkg::Lock::Timeout={LOCK_SECONDS}")]);
    for answer in ["--force-confdef", "--force-confold"] {
        command.args(["-o", &format!("Dpkg::Options::={answer}")]);
    }
    command
}

fn preseed(answer: &str, log: &Path) -> Outcome {
    let answers = log.with_extension("answers");
    fs::write(&answers, answer).map_err(doing("write the answers for a package"))?;
    let told = process::output(Command::new("debconf-set-selections").arg(&answers));
    fs::remove_file(&answers).map_err(doing("remove the answers for a package"))?;
    told.map(drop)
}
