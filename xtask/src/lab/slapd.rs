//! slapd: a directory of the lab's people, with its monitor, and a crowd to search through.

use super::Lab;
use super::accounts::{self, DOMAIN, USERS};
use super::faulty::{FAULTY, Faulty};
use super::ports::Port;
use super::server::Server;
use crate::error::{Outcome, doing};
use crate::{place, process, programs, template, user};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const LDAP: Port = Port::new("ldap", 1389, 89, "the directory, StartTLS");
pub(crate) const LDAPS: Port = Port::new("ldaps", 1636, 36, "the same under TLS");

const CONFIG: &str = include_str!("../../lab/slapd/slapd.conf");
const FAULTY_CONFIG: &str = include_str!("../../lab/slapd/faulty.conf");
const ENTRIES: &str = include_str!("../../lab/slapd/lab.test.ldif");
/// Who may read `cn=Monitor`.
const READER: &str = "probe";
/// People without a mailbox.
const CROWD: u32 = 1200;
/// Entries that one search gives at most.
const ENTRIES_MAX: &str = "1000";

/// Runs the lines of its first argument beside the command that follows. One slapd has one certificate: each faulty address has its own.
const BESIDE: &str = r#"eval "$1"; shift; exec "$@""#;

/// slapd.
pub(crate) struct Slapd;

impl Server for Slapd {
    fn name(&self) -> &'static str {
        "slapd"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["slapd"]
    }

    fn ports(&self) -> &'static [Port] {
        &[LDAP, LDAPS]
    }

    fn faulty_ports(&self) -> &'static [Port] {
        &[LDAP, LDAPS]
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        let absent = ["/usr/lib/ldap/back_mdb.so", "/etc/ldap/schema/core.schema"].into_iter().find(|file| !Path::new(file).exists());
        match programs::find("slapd") {
            None => Some("there is no slapd".into()),
            Some(_) => absent.map(|file| format!("slapd has no {file}")),
        }
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let folder = lab.made(self.name())?;
        let database = emptied(lab, "slapd/database")?;
        let config = folder.join("slapd.conf");
        lab.write(&config, &slapd_conf(self, lab, &database)?)?;
        // A copy of the program: Debian's AppArmor profile is bound to the path /usr/sbin/slapd
        // and would keep that one out of this folder.
        let program = folder.join("slapd");
        if let Some(installed) = programs::find("slapd") {
            fs::remove_file(&program).ok(); // may still be mapped by one that is ending
            fs::copy(installed, &program).map_err(doing("copy slapd into the lab"))?;
            place::set_mode(&program, 0o755)?;
        }
        fill(lab, &folder, &program, &config)?;
        let mut command = Command::new("sh");
        command.args(["-c", BESIDE, "slapd", &faulty(lab, &folder, &program)?]).arg(program);
        // Statistics on standard error keep it in the foreground; the configuration copies them into the log.
        command.arg("-d").arg("stats").arg("-f").arg(config).arg("-h").arg(listeners(lab));
        Ok(command)
    }
}

/// Gives the commands that serve a directory without entries at each faulty address.
fn faulty(lab: &Lab, folder: &Path, program: &Path) -> Outcome<String> {
    let command = |faulty: &Faulty| {
        let config = folder.join(format!("{}.conf", faulty.name));
        let (certificate, key) = (faulty.certificate(lab), faulty.key(lab));
        let values = [("certificate", certificate.display().to_string()), ("key", key.display().to_string())];
        lab.write(&config, &template::fill(FAULTY_CONFIG, &values.each_ref().map(|(name, value)| (*name, value.as_str())))?)?;
        let doors = format!("ldap://{0}:{1}/ ldaps://{0}:{2}/", faulty.address, lab.port(&LDAP), lab.port(&LDAPS));
        Ok(format!("'{}' -d none -f '{}' -h '{doors}' &\n", program.display(), config.display()))
    };
    FAULTY.iter().map(command).collect()
}

/// Gives the Unix socket of the directory.
fn socket(lab: &Lab) -> PathBuf {
    lab.folder("slapd").join("ldapi")
}

/// Where it listens, as slapd(8) writes it.
fn listeners(lab: &Lab) -> String {
    let socket = socket(lab).display().to_string().replace('/', "%2F");
    format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/ ldapi://{socket}/????x-mod=0777", lab.port(&LDAP), lab.port(&LDAPS))
}

fn slapd_conf(slapd: &Slapd, lab: &Lab, database: &Path) -> Outcome<String> {
    let person = user::person().map_or(user::own_uid(), |person| person.uid);
    template::fill(
        CONFIG,
        &[
            ("folder", &lab.folder(slapd.name()).display().to_string()),
            ("log", &slapd.log(lab).display().to_string()),
            ("certificate", &lab.certificate().display().to_string()),
            ("key", &lab.key().display().to_string()),
            ("entries_max", ENTRIES_MAX),
            ("person", &person.to_string()),
            ("reader", &dn(READER)),
            ("database", &database.display().to_string()),
        ],
    )
}

/// The entry of a user.
fn dn(user: &str) -> String {
    format!("uid={user},ou=people,dc=lab,dc=test")
}

/// A folder of the lab for nobody else's eyes, with nothing in it: each life begins with the same entries.
fn emptied(lab: &Lab, name: &str) -> Outcome<PathBuf> {
    fs::remove_dir_all(lab.folder(name)).ok(); // it may not be there yet
    let folder = lab.made(name)?;
    place::set_mode(&folder, 0o700)?;
    Ok(folder)
}

/// Writes the entries, passwords and all, into the empty database.
fn fill(lab: &Lab, folder: &Path, program: &Path, config: &Path) -> Outcome {
    let entries = folder.join("database/entries.ldif");
    lab.write(&entries, &ldif(lab)?)?;
    let mut add = Command::new(program);
    add.arg("-T").arg("add").arg("-q").arg("-f").arg(config).arg("-b").arg("dc=lab,dc=test").arg("-l").arg(&entries);
    process::output(&mut add)?;
    fs::remove_file(&entries).map_err(doing("remove the entries with the passwords"))
}

fn ldif(lab: &Lab) -> Outcome<String> {
    let mut text = ENTRIES.to_owned();
    for user in USERS {
        let password = accounts::password(lab, user)?;
        let name = user[..1].to_uppercase() + &user[1..];
        let mail = format!("mail: {user}@{DOMAIN}\nuserPassword: {password}");
        text += &format!("dn: {}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {name}\nsn: Lab\n{mail}\n\n", dn(user));
    }
    for number in 1..=CROWD {
        let name = format!("nobody{number:04}");
        text += &format!("dn: cn={name},ou=crowd,dc=lab,dc=test\nobjectClass: person\ncn: {name}\nsn: Crowd\n\n");
    }
    Ok(text)
}
