//! What an agent will touch, told before it runs: the sandbox is built from it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How bytes reach a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port an agent connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// How it is reached.
    pub transport: Transport,
    /// Its number.
    pub number: u16,
}

/// Everything outside itself that a job of this agent uses; what is not named here is denied, and the run fails with the kind `local`.
///
/// Nobody has to name what every agent has: libraries and time zones of the system, its authorities, and how it finds names. Needs come
/// from the configuration, so they are as narrow as the job. A secret's file is none of them: the host reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Needs {
    /// Ports connected to.
    pub ports: Vec<Port>,
    /// Files and directories read.
    pub files: Vec<PathBuf>,
    /// Directories in which, at any depth, files are removed.
    pub removes: Vec<PathBuf>,
    /// Unix sockets connected to.
    pub sockets: Vec<PathBuf>,
    /// Programs started, by their absolute paths.
    pub programs: Vec<PathBuf>,
}

impl Needs {
    /// Needs nothing but time.
    pub fn none() -> Self {
        Self::default()
    }

    /// Also connects to that TCP port.
    pub fn tcp(mut self, number: u16) -> Self {
        self.ports.push(Port { transport: Transport::Tcp, number });
        self
    }

    /// Also sends datagrams to that UDP port.
    pub fn udp(mut self, number: u16) -> Self {
        self.ports.push(Port { transport: Transport::Udp, number });
        self
    }

    /// Also reads that file or directory, with everything in it; what is not there yet will do. What the data folder holds, and files of
    /// secrets, stay denied.
    pub fn read(mut self, path: impl AsRef<Path>) -> Self {
        self.files.push(path.as_ref().to_owned());
        self
    }

    /// Also reads those files or directories, where there are any.
    pub fn read_all(self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        paths.into_iter().fold(self, Self::read)
    }

    /// Also removes files in that directory or below it.
    pub fn remove_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.removes.push(folder.as_ref().to_owned());
        self
    }

    /// Also connects to that Unix socket.
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        self.sockets.push(path.as_ref().to_owned());
        self
    }

    /// Also starts that program, or any in that directory; its path is absolute. It runs in the same sandbox: what it reads, connects to and
    /// starts itself has to be named too, but for the interpreter in the first line of a script. Of changing user or group when it starts
    /// (setuid, setgid) nothing comes.
    pub fn program(mut self, path: impl AsRef<Path>) -> Self {
        self.programs.push(path.as_ref().to_owned());
        self
    }

    /// Also needs all that the other does.
    pub fn and(mut self, other: Self) -> Self {
        let Self { ports, files, removes, sockets, programs } = other;
        self.ports.extend(ports);
        self.files.extend(files);
        self.removes.extend(removes);
        self.sockets.extend(sockets);
        self.programs.extend(programs);
        self
    }
}
