//! Dovecot: mailboxes, delivery, submission, the AUTH behind Postfix, and what it counts of all that.

use super::Lab;
use super::accounts;
use super::faulty::FAULTY;
use super::ports::Port;
use super::postfix;
use super::server::Server;
use super::slapd;
use crate::error::{Error, Outcome, doing};
use crate::{place, process, programs, template, user};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const IMAP: Port = Port::new("imap", 1143, 43, "mailboxes, STARTTLS");
pub(crate) const IMAPS: Port = Port::new("imaps", 1993, 93, "mailboxes under TLS");
pub(crate) const POP3: Port = Port::new("pop3", 1110, 10, "mail is fetched: STLS; PLAIN, LOGIN, APOP");
pub(crate) const POP3S: Port = Port::new("pop3s", 1995, 95, "the same under TLS");
pub(crate) const LMTP: Port = Port::new("lmtp", 2424, 24, "mail arrives from Postfix");
pub(crate) const SUBMISSION: Port = Port::new("dovecot_submission", 3587, 88, "users send, Dovecot hands on to Postfix");
pub(crate) const STATS: Port = Port::new("dovecot_stats", 9900, 0, "what Dovecot counts, as OpenMetrics");
pub(crate) const DOVEADM: Port = Port::new("doveadm", 9901, 1, "the same, and who is logged in, by doveadm's HTTP API");

const CONFIG: &str = include_str!("../../lab/dovecot/dovecot.conf");
const DIRECTORY: &str = include_str!("../../lab/dovecot/directory.conf");
/// How Dovecot asks a directory; it comes with a package of its own.
const DIRECTORY_LIBRARY: &str = "/usr/lib/dovecot/modules/auth/libauthdb_ldap.so";
/// The configuration's language changed with 2.4.
const SPEAKS: &str = "2.3.";
/// What each protocol is served by; each comes with a package of its own.
const SERVED_BY: [&str; 4] = ["imap", "pop3", "lmtp", "submission"];

/// Dovecot.
pub(crate) struct Dovecot;

impl Server for Dovecot {
    fn name(&self) -> &'static str {
        "dovecot"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd", "dovecot-submissiond", "dovecot-ldap"]
    }

    fn ports(&self) -> &'static [Port] {
        &[IMAP, IMAPS, POP3, POP3S, LMTP, SUBMISSION, STATS, DOVEADM]
    }

    fn faulty_ports(&self) -> &'static [Port] {
        &[IMAP, IMAPS, POP3, POP3S]
    }

    fn obstacle(&self) -> Option<String> {
        let Some(dovecot) = programs::find("dovecot") else {
            return Some("there is no dovecot".into());
        };
        let absent = SERVED_BY.iter().find(|it| !Path::new("/usr/lib/dovecot").join(it).exists());
        if let Some(protocol) = absent {
            return Some(format!("dovecot has no {protocol}"));
        }
        if !Path::new(DIRECTORY_LIBRARY).exists() {
            return Some("dovecot has no ldap".into());
        }
        let version = process::output(Command::new(dovecot).arg("--version")).unwrap_or_default();
        let known = version.starts_with(SPEAKS);
        (!known).then(|| format!("the lab's dovecot.conf is for {SPEAKS}x, this is {}", version.trim()))
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let folder = lab.made(self.name())?;
        let mail = lab.made("mail")?;
        let owner = account("mail")?;
        chown(&mail, Some(owner.uid), Some(owner.gid)).map_err(doing("give mail its owner"))?;
        let users = write_users(lab, &folder)?;
        let directory = folder.join("directory.conf");
        lab.write(&directory, &template::fill(DIRECTORY, &[("ldap", &lab.port(&slapd::LDAP).to_string())])?)?;
        let config = template::fill(
            CONFIG,
            &[
                ("run", &lab.made("dovecot/run")?.display().to_string()),
                ("instance", &format!("watchpost-lab-{}", lab.port(&IMAP))),
                ("log", &self.log(lab).display().to_string()),
                ("certificate", &lab.certificate().display().to_string()),
                ("key", &lab.key().display().to_string()),
                ("everywhere", &everywhere()),
                ("faulty", &faulty(lab)),
                ("mail", &mail.display().to_string()),
                ("uid", &owner.uid.to_string()),
                ("gid", &owner.gid.to_string()),
                ("users", &users.display().to_string()),
                ("imap", &lab.port(&IMAP).to_string()),
                ("imaps", &lab.port(&IMAPS).to_string()),
                ("pop3", &lab.port(&POP3).to_string()),
                ("pop3s", &lab.port(&POP3S).to_string()),
                ("lmtp", &lab.port(&LMTP).to_string()),
                ("submission", &lab.port(&SUBMISSION).to_string()),
                ("stats", &lab.port(&STATS).to_string()),
                ("doveadm", &lab.port(&DOVEADM).to_string()),
                ("key_of_doveadm", &accounts::password(lab, accounts::DOVEADM)?),
                ("directory", &directory.display().to_string()),
                ("smtp", &lab.port(&postfix::SMTP).to_string()),
                ("auth", &auth_socket(lab).display().to_string()),
            ],
        )?;
        let path = folder.join("dovecot.conf");
        lab.write(&path, "")?;
        // It holds a key; Dovecot reads it as root.
        place::set_mode(&path, 0o600)?;
        lab.write(&path, &config)?;
        let mut command = Command::new(programs::find("dovecot").unwrap_or("dovecot".into()));
        command.arg("-F").arg("-c").arg(path);
        Ok(command)
    }
}

/// Gives the socket on which Postfix asks whether a password is right.
pub(crate) fn auth_socket(lab: &Lab) -> PathBuf {
    lab.folder("dovecot").join("auth-postfix")
}

/// Lists loopback and every faulty address, as `address` of a listener takes them.
fn everywhere() -> String {
    FAULTY.iter().fold("127.0.0.1".into(), |all, faulty| format!("{all} {}", faulty.address))
}

/// Gives each faulty address its certificate.
fn faulty(lab: &Lab) -> String {
    let block = |host, certificate: PathBuf, key: PathBuf| {
        format!("local {host} {{\n  ssl_cert = <{}\n  ssl_key = <{}\n}}\n", certificate.display(), key.display())
    };
    FAULTY.iter().map(|faulty| block(faulty.address, faulty.certificate(lab), faulty.key(lab))).collect()
}

/// Writes the users for Dovecot's own eyes.
fn write_users(lab: &Lab, folder: &Path) -> Outcome<PathBuf> {
    let mut lines = String::new();
    for user in accounts::MAILBOXES {
        let password = accounts::password(lab, user)?;
        lines += &format!("{user}@{}:{{PLAIN}}{password}\n", accounts::DOMAIN);
    }
    let path = folder.join("users");
    let reader = account("dovecot")?;
    fs::write(&path, "").map_err(doing(format!("write {}", path.display())))?;
    place::set_mode(&path, 0o600)?;
    lab.write(&path, &lines)?;
    chown(&path, Some(reader.uid), Some(reader.gid)).map_err(doing("give Dovecot its users"))?;
    Ok(path)
}

fn account(name: &str) -> Outcome<user::Account> {
    user::find(name).ok_or_else(|| Error::Refused(format!("there is no user `{name}`")))
}
