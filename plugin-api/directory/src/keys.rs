//! Where a directory is and as whom to bind, as a job of any agent says it.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Door, Login, Needs, PathBuf, Secret, TlsMode};

use crate::entrance::Directory;

/// Keys of a configuration that are the same in every agent that asks a directory; their manuals are its own.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Name or address.
    pub host: Option<String>,
    /// Unix socket, in place of it.
    pub socket: Option<PathBuf>,
    /// TCP port.
    pub port: Option<NonZeroU16>,
    /// How the session is encrypted.
    pub tls: TlsMode,
    /// Name that the certificate must carry, where it is not `host`.
    pub server_name: Option<String>,
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Entry to bind as.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// How to bind.
    pub auth: Auth,
}

/// How to bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// By name and password, or without both.
    #[default]
    Simple,
    /// By SASL EXTERNAL.
    External,
}

/// Where the directory is.
#[derive(Clone, Debug)]
pub enum Place {
    /// Over the network.
    Door(Door),
    /// On this machine.
    Socket(PathBuf),
}

/// As whom to bind.
#[derive(Clone, Debug)]
pub enum Who {
    /// Nobody.
    Nobody,
    /// An entry, by its password.
    Entry(Login),
    /// Whom the socket says.
    OfSocket,
}

impl Place {
    /// `host:port`, or the path of the socket.
    pub fn target(&self) -> String {
        match self {
            Self::Door(door) => door.target(),
            Self::Socket(path) => path.display().to_string(),
        }
    }

    /// What a connection touches.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Door(door) => door.needs(),
            Self::Socket(path) => Needs::none().socket(path),
        }
    }
}

impl Keys {
    /// Understands them.
    ///
    /// Errors: kind `config`, at the key.
    pub fn directory(&self) -> Result<Directory, AgentError> {
        self.check()?;
        Ok(Directory::new(self.place(), self.who()?))
    }

    /// The port, given or usual.
    fn port(&self) -> u16 {
        let usual = match self.tls {
            TlsMode::None | TlsMode::Starttls => 389,
            TlsMode::Implicit => 636,
        };
        self.port.map_or(usual, NonZeroU16::get)
    }

    /// Where the directory is, whether or not the keys fit together.
    pub fn place(&self) -> Place {
        if let Some(path) = &self.socket {
            return Place::Socket(path.clone());
        }
        let door = Door::new(self.host.clone().unwrap_or_default(), self.port()).tls(self.tls);
        Place::Door(door.server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone()))
    }

    /// Checks what the types cannot hold.
    fn check(&self) -> Result<(), AgentError> {
        match (&self.host, self.place()) {
            (None, Place::Door(_)) => Err(AgentError::config("", "neither `host` nor `socket` is there")),
            (Some(_), Place::Door(door)) => door.check("ldap.example.org"),
            (Some(_), Place::Socket(_)) => Err(AgentError::config("socket", "stands in place of `host`, not beside it")),
            (None, Place::Socket(_)) if self.port.is_some() => Err(AgentError::config("port", "goes with `host`; a socket has none")),
            (None, Place::Socket(_)) if self.tls != TlsMode::None => {
                Err(AgentError::config("tls", "goes with `host`; what crosses a socket stays on this machine"))
            }
            (None, Place::Socket(_)) => Ok(()),
        }
    }

    /// As whom to bind.
    fn who(&self) -> Result<Who, AgentError> {
        match (self.auth, &self.user, &self.password) {
            (Auth::External, Some(_), _) => Err(AgentError::config("user", "goes with `auth = \"simple\"`; the socket says who we are")),
            (Auth::External, _, Some(_)) => Err(AgentError::config("password", "goes with `auth = \"simple\"`")),
            (Auth::External, None, None) if self.socket.is_none() => Err(AgentError::config("auth", "\"external\" needs `socket`")),
            (Auth::External, None, None) => Ok(Who::OfSocket),
            // RFC 4513 5.1.2: a name with an empty password would be a bind as nobody, which succeeds and proves nothing.
            (Auth::Simple, user, password) => Ok(Login::of(user.as_ref(), password.as_ref())?.map_or(Who::Nobody, Who::Entry)),
        }
    }
}
