//! The lab's mail users and their passwords.

use super::Lab;
use crate::error::{Outcome, doing};
use crate::{place, user};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::PathBuf;

/// The lab's mail domain.
pub(crate) const DOMAIN: &str = "lab.test";
/// Who stands in the directory: two people, and one for probes.
pub(crate) const USERS: [&str; 3] = ["alice", "bob", "probe"];
/// Who has a mailbox: all of these, and one for messages that are deleted when they have come, so that nobody else counts them.
pub(crate) const MAILBOXES: [&str; 4] = ["alice", "bob", "probe", "echo"];

/// Whose secret is no password of a mailbox: who asks doveadm by HTTP shows it.
pub(crate) const DOVEADM: &str = "doveadm";
/// The same of who controls BIND by rndc.
pub(crate) const RNDC: &str = "rndc";

/// Gives the file that holds a user's password.
pub(crate) fn password_file(lab: &Lab, user: &str) -> PathBuf {
    lab.dir.join("secrets").join(user)
}

/// Reads a user's password.
pub(crate) fn password(lab: &Lab, user: &str) -> Outcome<String> {
    let path = password_file(lab, user);
    let text = fs::read_to_string(&path).map_err(doing(format!("read {}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Makes a password for each user that has none, and a key for doveadm and for rndc, readable only by the person who uses the lab.
pub(crate) fn make(lab: &Lab) -> Outcome {
    let folder = lab.dir.join("secrets");
    place::make_open(&folder)?;
    for user in MAILBOXES.into_iter().chain([DOVEADM, RNDC]) {
        let path = password_file(lab, user);
        if path.exists() {
            continue;
        }
        let what = format!("write {}", path.display());
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.map_err(doing(what.clone()))?;
        writeln!(file, "{}", random()?).map_err(doing(what.clone()))?;
        if let Some(reader) = user::person() {
            chown(&path, Some(reader.uid), Some(reader.gid)).map_err(doing(what))?;
        }
    }
    Ok(())
}

/// Gives 24 digits that nobody guesses; they are base64, too.
pub(crate) fn random() -> Outcome<String> {
    let mut bytes = [0_u8; 12];
    let mut source = File::open("/dev/urandom").map_err(doing("open /dev/urandom"))?;
    source.read_exact(&mut bytes).map_err(doing("read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
