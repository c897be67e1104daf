//! Accounts of this machine: who we are, who the demo runs as, who reads the lab's secrets.

use crate::process;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Gives our own effective user id.
pub(crate) fn own_uid() -> u32 {
    // The kernel shows a process' own folder under its effective ids. Source: proc(5).
    std::fs::metadata("/proc/self").map_or(u32::MAX, |folder| folder.uid())
}

/// Tells whether we are root.
pub(crate) fn is_root() -> bool {
    own_uid() == 0
}

/// Looks an account up by name or number.
pub(crate) fn find(name: &str) -> Option<Account> {
    let line = process::output(Command::new("getent").args(["passwd", name])).ok()?;
    parse(line.trim())
}

/// The ordinary person behind the command: whoever called sudo, else ourselves.
pub(crate) fn person() -> Option<Account> {
    behind_sudo().or_else(|| find(&own_uid().to_string()))
}

/// The user that an ordinary service may run as: never root.
///
/// Root hands over to whoever called sudo, else to `nobody`.
pub(crate) fn ordinary() -> Option<Account> {
    if is_root() {
        return behind_sudo().or_else(|| find("nobody"));
    }
    find(&own_uid().to_string())
}

fn behind_sudo() -> Option<Account> {
    if !is_root() {
        return None;
    }
    let account = find(&std::env::var("SUDO_USER").ok()?)?;
    (account.uid != 0).then_some(account)
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_gives_name_and_numbers() {
        let alice = parse("alice:x:1000:1001:Alice,,,:/home/alice:/bin/sh").unwrap();
        assert_eq!((alice.name.as_str(), alice.uid, alice.gid), ("alice", 1000, 1001));
        assert_eq!(parse("broken:x:many"), None);
    }

    #[test]
    fn the_ordinary_user_is_never_root() {
        assert!(ordinary().is_none_or(|account| account.uid != 0));
    }
}
