//! What an agent said it would touch, held against what it touches: the kernel denies the same, where it can, and gives no reason.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use watchpost_plugin_api::{AgentError, Endpoint, Needs, Port, Transport};

/// Refuses an endpoint that was not declared.
pub(crate) fn endpoint(needs: &Needs, endpoint: &Endpoint) -> Result<(), AgentError> {
    match endpoint {
        Endpoint::Tcp(addresses) => addresses.iter().try_for_each(|address| port(needs, Transport::Tcp, address.port())),
        Endpoint::Unix(path) if !needs.sockets.contains(path) => Err(undeclared(&format!("socket {}", path.display()))),
        _ => Ok(()),
    }
}

/// Refuses a port that was not declared.
pub(crate) fn port(needs: &Needs, transport: Transport, number: u16) -> Result<(), AgentError> {
    let name = match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    match needs.ports.contains(&Port { transport, number }) {
        true => Ok(()),
        false => Err(undeclared(&format!("{name} port {number}"))),
    }
}

fn undeclared(what: &str) -> AgentError {
    AgentError::local(format!("{what} is not declared in the agent's needs"))
}

/// Says why a file was denied, if it is the sandbox that denied it.
pub(crate) fn of_file(needs: &Needs, path: &Path, error: AgentError) -> AgentError {
    let denied = error.message().ends_with(&crate::stream::reason(&Errno::ACCESS.into()));
    let declared = |folders: &[PathBuf]| folders.iter().any(|folder| path.starts_with(folder));
    match denied && !declared(&needs.files) {
        true => AgentError::local(format!("{}, and it is not declared in the agent's needs", error.message())),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_declared_is_named() {
        let needs = Needs::none().tcp(25).udp(53).socket("/run/showq").read("/var/log");
        let tcp =
            |port: u16| endpoint(&needs, &Endpoint::Tcp(vec![([127, 0, 0, 1], port).into()])).map_err(|error| error.message().to_owned());
        assert_eq!((tcp(25), tcp(53)), (Ok(()), Err("TCP port 53 is not declared in the agent's needs".into())));
        assert!(port(&needs, Transport::Udp, 53).is_ok() && port(&needs, Transport::Udp, 25).is_err());
        let unix = |path: &str| endpoint(&needs, &Endpoint::Unix(path.into())).map_err(|error| error.message().to_owned());
        assert_eq!((unix("/run/showq"), unix("/x")), (Ok(()), Err("socket /x is not declared in the agent's needs".into())));
        let denied = |path: &str| of_file(&needs, path.as_ref(), AgentError::local(format!("cannot read {path}: Permission denied")));
        assert_eq!(denied("/var/log/mail.log").message(), "cannot read /var/log/mail.log: Permission denied");
        assert_eq!(
            denied("/etc/shadow").message(),
            "cannot read /etc/shadow: Permission denied, and it is not declared in the agent's needs"
        );
    }
}
