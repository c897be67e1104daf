//! Queues that may not be read: seen by an ordinary user, as whom this program runs itself once more where it is root's.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

use crate::{
    server::{HELLO, Showq, Then},
    *,
};

/// Runs the test of that name again as nobody; says whether that was done, and was well.
fn ran_as_nobody(test: &str) -> bool {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return false;
    }
    // A copy, for the folders of the original may be closed to nobody. Made by another program: a child that another test forks in that moment
    // would hold it open for writing, and nobody could start it (ETXTBSY).
    let folder = folder();
    permit(folder.path(), 0o777);
    let program = folder.path().join("tests");
    assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    let mut again = Command::new("setpriv");
    again.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(["--exact", test]).env("TMPDIR", folder.path());
    let output = again.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    true
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_socket_that_may_not_be_opened_says_nothing_of_postfix() {
    if ran_as_nobody("denied::a_socket_that_may_not_be_opened_says_nothing_of_postfix") {
        return;
    }
    let showq = Showq::start(format!("{HELLO}\0"), usize::MAX, Then::Close);
    let public = showq.path().join("public");
    permit(&public, 0o600);
    let ran = run("postfix", showq.path()).await;
    permit(&public, 0o700);
    let message = format!("cannot connect to {}/showq: Permission denied", public.display());
    assert_unknown(&ran, Some(("local", &message)));
    assert_eq!(ran.outcome.status.up(), None);
}

#[tokio::test]
async fn corrupt_messages_that_may_not_be_listed_are_unknown() {
    if ran_as_nobody("denied::corrupt_messages_that_may_not_be_listed_are_unknown") {
        return;
    }
    let showq = Showq::start(format!("{HELLO}\0"), usize::MAX, Then::Close);
    permit(&showq.path().join("corrupt"), 0);
    let ran = run("postfix", showq.path()).await;
    permit(&showq.path().join("corrupt"), 0o700);
    assert_queues(&ran, &["maildrop", "incoming", "active", "deferred", "hold", "all"]);
    assert!(ran.logged[0].1.ends_with("/corrupt: Permission denied"), "{ran:#?}");
}

#[tokio::test]
async fn a_folder_or_an_envelope_that_may_not_be_read_is_named() {
    if ran_as_nobody("denied::a_folder_or_an_envelope_that_may_not_be_read_is_named") {
        return;
    }
    for (kind, path) in [
        ("exim", "input"),
        ("exim", "input/a"),
        ("exim", "input/a/1xVvSq-0000g1-2k-H"),
        ("sendmail", ""),
        ("sendmail", "q1/qf"),
        ("sendmail", "q1/qf/qf1"),
        ("opensmtpd", "queue"),
        ("opensmtpd", "queue/ab"),
        ("opensmtpd", "queue/ab/ab12cd34"),
        ("opensmtpd", "queue/ab/ab12cd34/ab12cd3400000000"),
        ("directory", ""),
        ("maildir", "new"),
        ("maildir", "cur"),
    ] {
        let folder = folder();
        let made: &[&str] = match kind {
            "exim" => &["input/a/1xVvSq-0000g1-2k-H", "input/a/1xVvSq-0000g1-2k-D"],
            "sendmail" => &["q1/qf/qf1", "q1/df/df1"],
            "opensmtpd" => &["queue/ab/ab12cd34/ab12cd3400000000", "queue/ab/ab12cd34/message"],
            "directory" => &["a"],
            _ => &["new/a", "cur/b"],
        };
        made.iter().for_each(|file| write(&folder.path().join(file), "x", 0));
        let closed = folder.path().join(path);
        permit(&closed, 0);
        let ran = run(kind, folder.path()).await;
        permit(&closed, 0o700);
        let shown = closed.display().to_string();
        let message = format!("cannot read {}: Permission denied", shown.trim_end_matches('/'));
        let said = ran.failure().map(|(kind, message)| (kind, message.replace("/: ", ": ")));
        assert_eq!(said, Some(("local", message)), "{kind} {path}");
        assert!(ran.recorded().is_empty() && ran.outcome.status.up().is_none(), "{ran:#?}");
    }
}
