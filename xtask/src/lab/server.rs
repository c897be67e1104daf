//! What a server of the lab is: one file, one type, this trait.

use super::Lab;
use super::faulty::FAULTY;
use super::ports::Port;
use crate::error::Outcome;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long one connection to loopback may take.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// A real server that the lab can run.
pub(crate) trait Server: Sync {
    /// Its name on the command line; also the name of its folder.
    fn name(&self) -> &'static str;

    /// The Debian packages that bring it.
    fn packages(&self) -> &'static [&'static str];

    /// The ports it answers on when it is up.
    fn ports(&self) -> &'static [Port];

    /// Those of its ports that it serves at each of the [`FAULTY`] addresses, too.
    fn faulty_ports(&self) -> &'static [Port] {
        &[]
    }

    /// Tells whether it comes up with all others; one that does not has to be named.
    fn is_usual(&self) -> bool {
        true
    }

    /// Tells whether it must be started by root.
    fn needs_root(&self) -> bool {
        true
    }

    /// Says why it cannot run on this machine; `None` if it can.
    fn obstacle(&self) -> Option<String>;

    /// Writes its configuration and gives the command that runs it in the foreground.
    ///
    /// The lab runs that as the leader of a session of its own, and ends that session.
    fn prepare(&self, lab: &Lab) -> Outcome<Command>;

    /// Tells whether it answers; by default, whether each port takes a connection, at faulty addresses, too.
    fn is_ready(&self, lab: &Lab) -> bool {
        let faulty = || self.faulty_ports().iter().flat_map(|port| FAULTY.map(|faulty| (faulty.address, lab.port(port))));
        self.ports().iter().all(|port| answers(lab.port(port))) && faulty().all(|(host, port)| answers_at(host, port))
    }

    /// Gives the log that explains why it does not answer.
    fn log(&self, lab: &Lab) -> PathBuf {
        lab.folder(self.name()).join("log")
    }
}

/// Tells whether something on loopback takes connections on a port.
pub(crate) fn answers(port: u16) -> bool {
    answers_at(Ipv4Addr::LOCALHOST, port)
}

fn answers_at(host: Ipv4Addr, port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((host, port)), CONNECT_WITHIN).is_ok()
}
