//! A Dovecot of its own with a message in a mailbox, gone when dropped.

use crate::error::{Error, Outcome, doing};
use crate::lab::Lab;
use crate::{arguments::Arguments, privilege, process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Bytes of the message's body, some.
const BODY_BYTES: usize = 8_000;
/// How long a server may take to answer a command.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is measured, and where there is room to work.
pub(super) struct Scene {
    pub(super) folder: PathBuf,
    lab: PathBuf,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) password_file: PathBuf,
    pub(super) ca_file: PathBuf,
    pub(super) server_name: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        if lab(&["down", "--wipe"], &self.lab).is_err() {
            eprintln!("the lab does not end; see `cargo xtask lab status --dir {}`", self.lab.display());
        }
    }
}

impl Scene {
    pub(super) fn begin(folder: &Path) -> Outcome<Self> {
        let dir = crate::place::for_everybody("bench-imap");
        lab(&["up", "dovecot", "--port-base", "free"], &dir)?;
        let facts = fs::read_to_string(dir.join("lab.json")).map_err(doing("read what the lab says of itself"))?;
        let fact = |key: &str| {
            let value = facts.split_once(&format!("\"{key}\":")).map(|(_, rest)| rest.trim_start().trim_start_matches('"'));
            let value = value.and_then(|value| value.split(['"', ',', '\n', ' ']).next());
            value.map(str::to_owned).ok_or_else(|| Error::Refused(format!("the lab does not tell its {key}")))
        };
        let port = |key: &str| fact(key)?.parse().map_err(|_| Error::Refused(format!("{key} is no port")));
        let found = Lab::of(&Arguments::parse(&["--dir".into(), dir.display().to_string()], &[], &["dir"])?)?;
        let files = found.password_files();
        let secret = files.iter().find(|(user, _)| *user == "alice").map(|(_, file)| file);
        let secret = secret.ok_or_else(|| Error::Refused("the lab has no alice".into()))?;
        let password = fs::read_to_string(secret).map_err(doing("read a password of the lab"))?.trim().to_owned();
        let scene = Self {
            folder: folder.to_owned(),
            lab: dir,
            port: port("imaps")?,
            user: "alice@lab.test".into(),
            password,
            password_file: secret.clone(),
            ca_file: found.ca_file(),
            server_name: fact("server_name")?,
        };
        deliver(port("lmtp")?, &scene.user)?;
        Ok(scene)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(doing(format!("write {name}")))?;
        Ok(path)
    }
}

fn lab(words: &[&str], dir: &Path) -> Outcome {
    let mut command = Command::new(privilege::own_program()?);
    command.arg("lab").args(words).arg("--dir").arg(dir).stdout(Stdio::null());
    match process::attend(&mut command)? {
        status if status.success() => Ok(()),
        status => Err(Error::Program { program: format!("lab {}", words.join(" ")), why: status.to_string() }),
    }
}

/// Puts one message into the mailbox, by LMTP.
fn deliver(port: u16, user: &str) -> Outcome {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(doing("connect to the lab's LMTP"))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(doing("set a time limit"))?;
    let mut answers = BufReader::new(stream.try_clone().map_err(doing("share a connection"))?);
    let mut stream = stream;
    let body = format!("{}\r\n", "x".repeat(70)).repeat(BODY_BYTES / 72);
    let message = format!("Subject: one to download\r\nMessage-ID: <bench@lab.test>\r\n\r\n{body}.");
    for step in ["", "LHLO bench.lab.test", "MAIL FROM:<>", &format!("RCPT TO:<{user}>"), "DATA", &message, "QUIT"] {
        if !step.is_empty() {
            stream.write_all(format!("{step}\r\n").as_bytes()).map_err(doing("deliver a message"))?;
        }
        let mut line = String::new();
        // The last line of an answer has no dash. Source: RFC 5321 4.2.
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            if answers.read_line(&mut line).map_err(doing("deliver a message"))? == 0 {
                return Err(Error::Refused("the lab's LMTP hangs up".into()));
            }
        }
        if !line.starts_with(['2', '3']) {
            return Err(Error::Refused(format!("the lab's LMTP says {}", line.trim_end())));
        }
    }
    Ok(())
}
