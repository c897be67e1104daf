//! BIND's named: the zone lab.test.

use super::Lab;
use super::ports::Port;
use super::server::Server;
use super::{dovecot, postfix};
use crate::error::{Outcome, doing};
use crate::{place, programs, template};
use std::fs;
use std::process::Command;

pub(crate) const DNS: Port = Port::new("dns", 5300, 53);

const CONFIG: &str = include_str!("../../lab/named/named.conf");
const ZONE: &str = include_str!("../../lab/named/lab.test.zone");
const REVERSE_ZONE: &str = include_str!("../../lab/named/127.0.0.zone");

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
        &[DNS]
    }

    fn needs_root(&self) -> bool {
        false
    }

    fn obstacle(&self) -> Option<String> {
        programs::find("named").is_none().then(|| "there is no named".into())
    }

    fn prepare(&self, lab: &Lab) -> Outcome<Command> {
        let folder = lab.made(self.name())?;
        let config = template::fill(
            CONFIG,
            &[
                ("folder", &folder.display().to_string()),
                ("log", &self.log(lab).display().to_string()),
                ("dns", &lab.port(&DNS).to_string()),
            ],
        )?;
        let zone = template::fill(
            ZONE,
            &[("imaps", &lab.port(&dovecot::IMAPS).to_string()), ("submission", &lab.port(&postfix::SUBMISSION).to_string())],
        )?;
        lab.write(&folder.join("lab.test.zone"), &zone)?;
        lab.write(&folder.join("127.0.0.zone"), REVERSE_ZONE)?;
        lab.write(&folder.join("named.conf"), &config)?;
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
