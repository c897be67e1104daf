//! BIND's named: the zone lab.test, domains of mail good and bad, a block list; by UDP, TCP and TLS.

use super::Lab;
use super::accounts;
use super::faulty::{FAULTY, Faulty};
use super::ports::Port;
use super::server::{Server, answers};
use super::{dovecot, postfix};
use crate::error::{Outcome, doing};
use crate::{place, programs, template};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::Duration;

pub(crate) const DNS: Port = Port::new("dns", 5300, 53, "lab.test by UDP and TCP; broken.test fails, other names are refused");
pub(crate) const STATS: Port = Port::new("dns_stats", 9053, 54, "what BIND counts, as JSON and XML");
pub(crate) const DOT: Port = Port::new("dot", 1853, 52, "the same by TLS");
// Like [`DOT`], each with the certificate of a faulty address: BIND takes no address that is not on an interface, so these are ports.
pub(crate) const DOT_EXPIRED: Port = Port::new("dot_expired", 1811, 11, "the same by TLS, certificate expired");
pub(crate) const DOT_WRONG_NAME: Port = Port::new("dot_wrong_name", 1812, 12, "the same by TLS, certificate for another name");
pub(crate) const DOT_UNKNOWN_CA: Port = Port::new("dot_unknown_ca", 1813, 13, "the same by TLS, certificate from an unknown authority");
pub(crate) const RNDC: Port = Port::new("rndc", 9530, 55, "commands of rndc, with named/rndc.conf");

const CONFIG: &str = include_str!("../../lab/named/named.conf");
const CONTROL: &str = include_str!("../../lab/named/rndc.conf");
const ZONE: &str = include_str!("../../lab/named/lab.test.zone");
/// Not what a zone file may hold, so that named loads no zone and answers SERVFAIL for it.
const BROKEN_ZONE: &str = include_str!("../../lab/named/broken.test.zone");
const AUTH_ZONE: &str = include_str!("../../lab/named/auth.test.zone");
const LIST_ZONE: &str = include_str!("../../lab/named/list.test.zone");
const REVERSE_ZONE: &str = include_str!("../../lab/named/127.0.0.zone");

/// Asks for the SOA record of lab.test. Source: RFC 1035 4.1.
const QUESTION: &[u8] = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x03lab\x04test\0\0\x06\0\x01";
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// BIND's named.
pub(crate) struct Named;

impl Server for Named {
    fn name(&self) -> &'static str {
        "named"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["bind9"]
    }

    fn ports(&self) -> &'static [Port] {
        &[DNS, DOT, DOT_EXPIRED, DOT_WRONG_NAME, DOT_UNKNOWN_CA, STATS, RNDC]
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        programs::find("named").is_none().then(|| "there is no named".into())
    }

    /// It takes connections before its zones are loaded, and answers SERVFAIL until then.
    fn is_ready(&self, lab: &Lab) -> bool {
        answers(lab.port(&DNS)) && answers(lab.port(&STATS)) && knows_its_zone(lab.port(&DNS)).unwrap_or(false)
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let folder = lab.made(self.name())?;
        let (certificates, listeners) = faulty(lab);
        let secret = accounts::password(lab, accounts::RNDC)?;
        let config = template::fill(
            CONFIG,
            &[
                ("folder", &folder.display().to_string()),
                ("log", &self.log(lab).display().to_string()),
                ("dns", &lab.port(&DNS).to_string()),
                ("stats", &lab.port(&STATS).to_string()),
                ("dot", &lab.port(&DOT).to_string()),
                ("certificate", &lab.certificate().display().to_string()),
                ("key", &lab.key().display().to_string()),
                ("faulty_certificates", &certificates),
                ("faulty_listeners", &listeners),
                ("rndc", &lab.port(&RNDC).to_string()),
                ("secret", &secret),
            ],
        )?;
        let control = template::fill(CONTROL, &[("rndc", &lab.port(&RNDC).to_string()), ("secret", &secret)])?;
        let zone = template::fill(
            ZONE,
            &[("imaps", &lab.port(&dovecot::IMAPS).to_string()), ("submission", &lab.port(&postfix::SUBMISSION).to_string())],
        )?;
        lab.write(&folder.join("lab.test.zone"), &zone)?;
        lab.write(&folder.join("auth.test.zone"), AUTH_ZONE)?;
        lab.write(&folder.join("list.test.zone"), LIST_ZONE)?;
        lab.write(&folder.join("127.0.0.zone"), REVERSE_ZONE)?;
        lab.write(&folder.join("broken.test.zone"), BROKEN_ZONE)?;
        for (name, text) in [("named.conf", config), ("rndc.conf", control)] {
            let path = folder.join(name);
            lab.write(&path, "")?;
            place::set_mode(&path, 0o600)?; // it holds a key
            lab.write(&path, &text)?;
        }
        // A copy of the program: Debian's AppArmor profile is bound to the path /usr/sbin/named
        // and would keep that one out of this folder.
        let program = folder.join("named");
        if let Some(installed) = programs::find("named") {
            fs::remove_file(&program).ok(); // may still be mapped by one that is ending
            fs::copy(installed, &program).map_err(doing("copy named into the lab"))?;
            place::set_mode(&program, 0o755)?;
        }
        let mut command = Command::new(program);
        command.arg("-f").arg("-c").arg(folder.join("named.conf"));
        Ok(command)
    }
}

/// Gives what serves the zones by TLS once more for each faulty certificate: the certificates, and the listeners.
fn faulty(lab: &Lab) -> (String, String) {
    let lines = |(faulty, port): (&Faulty, &Port)| {
        let (name, certificate, key) = (port.name, faulty.certificate(lab), faulty.key(lab));
        let tls = format!("tls {name} {{ cert-file \"{}\"; key-file \"{}\"; }};\n", certificate.display(), key.display());
        (tls, format!("  listen-on port {} tls {name} {{ 127.0.0.1; }};\n", lab.port(port)))
    };
    FAULTY.iter().zip(&[DOT_EXPIRED, DOT_WRONG_NAME, DOT_UNKNOWN_CA]).map(lines).unzip()
}

fn knows_its_zone(port: u16) -> io::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.send(QUESTION)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    // The response code is the low half of the fourth byte, 0 for NOERROR.
    Ok(answer[..length].get(3).is_some_and(|flags| flags & 0x0f == 0))
}
