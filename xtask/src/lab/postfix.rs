//! Postfix: mail in (smtp), submission with STARTTLS and AUTH, the same with implicit TLS (smtps).

use super::faulty::{FAULTY, Faulty};
use super::ports::Port;
use super::server::Server;
use super::{Lab, accounts, dovecot};
use crate::error::{Outcome, doing};
use crate::packages::unpack;
use crate::{process, programs, template, user};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const SMTP: Port = Port::new("smtp", 2525, 25, "mail in, STARTTLS; stuck.test waits, hold.test is held");
pub(crate) const SUBMISSION: Port = Port::new("submission", 2587, 87, "users send: STARTTLS and AUTH");
pub(crate) const SMTPS: Port = Port::new("smtps", 2465, 65, "the same under TLS");

const MAIN: &str = include_str!("../../lab/postfix/main.cf");
/// Where Debian keeps the program that leads the others.
const MASTER_PROGRAM: &str = "usr/lib/postfix/sbin/master";
const MASTER: &str = include_str!("../../lab/postfix/master.cf");

/// Postfix.
pub(crate) struct Postfix;

impl Server for Postfix {
    fn name(&self) -> &'static str {
        "postfix"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["postfix"]
    }

    fn ports(&self) -> &'static [Port] {
        &[SMTP, SUBMISSION, SMTPS]
    }

    fn faulty_ports(&self) -> &'static [Port] {
        &[SMTP, SMTPS]
    }

    fn obstacle(&self) -> Option<String> {
        if unpack::is_wanted() {
            return None;
        }
        if programs::find("postfix").is_none() {
            return Some("there is no postfix".into());
        }
        let as_in_debian = Path::new("/").join(MASTER_PROGRAM).exists();
        (!as_in_debian).then(|| format!("there is no /{MASTER_PROGRAM}"))
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let programs = programs_of(lab)?;
        let data = lab.made("postfix/data")?;
        if let Some(owner) = user::find("postfix") {
            chown(&data, Some(owner.uid), None).map_err(doing("give Postfix its data folder"))?;
        }
        lab.made("postfix/queue")?;
        let etc = lab.made("postfix/etc")?;
        lab.write(&etc.join("main.cf"), &main_cf(self, lab, &programs)?)?;
        lab.write(&etc.join("master.cf"), &master_cf(lab)?)?;
        let mut check = Command::new(programs.join("usr/sbin/postfix"));
        process::output(with_libraries(check.arg("-c").arg(&etc).arg("check"), &programs))?;
        let mut master = Command::new(programs.join(MASTER_PROGRAM));
        with_libraries(master.arg("-c").arg(&etc), &programs);
        Ok(master)
    }
}

/// Gives the root of the file tree that holds Postfix: the system's, or that unpacked in the lab.
fn programs_of(lab: &Lab) -> Outcome<PathBuf> {
    if !unpack::is_wanted() {
        return Ok("/".into());
    }
    let tree = lab.made("unpacked/postfix")?;
    unpack::postfix(&tree, &lab.dir.join("packages.log"))?;
    Ok(tree)
}

/// Lets an unpacked Postfix find the libraries that came with it.
fn with_libraries<'a>(command: &'a mut Command, programs: &Path) -> &'a mut Command {
    if programs != Path::new("/") {
        command.env("LD_LIBRARY_PATH", unpack::library_path(programs));
    }
    command
}

fn main_cf(postfix: &Postfix, lab: &Lab, programs: &Path) -> Outcome<String> {
    let folder = lab.folder(postfix.name());
    let known = accounts::MAILBOXES.map(|user| format!("{user}@{} = known", accounts::DOMAIN));
    let known = known.map(|user| format!("{{ {user} }}")).join(", ");
    let programs = programs.display().to_string();
    template::fill(
        MAIN,
        &[
            ("etc", &folder.join("etc").display().to_string()),
            ("queue", &folder.join("queue").display().to_string()),
            ("data", &folder.join("data").display().to_string()),
            ("programs", programs.trim_end_matches('/')),
            ("log", &postfix.log(lab).display().to_string()),
            ("lab", &lab.dir.display().to_string()),
            ("users", &known),
            ("lmtp", &lab.port(&dovecot::LMTP).to_string()),
            ("certificate", &lab.certificate().display().to_string()),
            ("key", &lab.key().display().to_string()),
            ("auth", &dovecot::auth_socket(lab).display().to_string()),
        ],
    )
}

fn master_cf(lab: &Lab) -> Outcome<String> {
    template::fill(
        MASTER,
        &[
            ("smtp", &lab.port(&SMTP).to_string()),
            ("submission", &lab.port(&SUBMISSION).to_string()),
            ("smtps", &lab.port(&SMTPS).to_string()),
            ("faulty", &faulty(lab)),
        ],
    )
}

/// Serves mail in, and submission under TLS, at each faulty address with its certificate.
fn faulty(lab: &Lab) -> String {
    let line = |faulty: &Faulty, port: &Port, more: &str| {
        let (name, host, port) = (faulty.name, faulty.address, lab.port(port));
        let (certificate, key) = (faulty.certificate(lab), faulty.key(lab));
        format!(
            "{host}:{port} inet n - n - - smtpd\n  -o syslog_name=postfix/{name}\n{more}  -o smtpd_tls_cert_file={}\n  -o smtpd_tls_key_file={}\n",
            certificate.display(),
            key.display()
        )
    };
    let lines = |it| line(it, &SMTP, "") + &line(it, &SMTPS, "  -o smtpd_tls_wrappermode=yes\n");
    FAULTY.iter().map(lines).collect()
}
