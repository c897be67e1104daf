//! What clients of this story do to the servers of the lab, and how often.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::strict::{Hasty, SESSIONS};
use crate::{
    counts::{Talk, auth_never_answers},
    harness::until,
    programs,
    servers::Lab,
};

/// How long a message may take until it is where it belongs.
const ARRIVE_TIMEOUT: Duration = Duration::from_secs(40);
/// Whose mailboxes the messages of this story go to; another one's is read.
pub(super) const RECIPIENTS: [&str; 2] = ["alice", "bob"];
const READER: &str = "probe";
/// Who comes with more sessions than are allowed.
const CROWD: &str = "echo";

/// What was done, in the words of the rows.
#[derive(Default)]
pub(super) struct Done {
    pub(super) smtp: f64,
    pub(super) pop3: f64,
    pub(super) pop3_failed: f64,
    pub(super) pop3_rejected: f64,
    pub(super) pop3_timed_out: f64,
    pub(super) pop3_retrieved: f64,
    pub(super) imap: f64,
    pub(super) imap_failed: f64,
    pub(super) imap_rejected: f64,
    pub(super) imap_timed_out: f64,
    pub(super) imap_fetches: f64,
    pub(super) imap_searches: f64,
    pub(super) imap_deleted: f64,
    /// Connections to LMTP that are not Postfix'.
    pub(super) lmtp: f64,
    pub(super) lmtp_failed: f64,
    pub(super) received: f64,
    pub(super) directory_good: f64,
    pub(super) directory_bad: f64,
    pub(super) directory_unknown: f64,
    pub(super) auth_failed: f64,
}

impl Done {
    pub(super) fn directory_logins(&self) -> f64 {
        self.directory_good + self.directory_bad + self.directory_unknown
    }
}

/// Gives each mailbox a message, so that there is one to download.
pub(super) fn fill_mailboxes(lab: &Lab) {
    for user in ["alice", "bob", READER] {
        send(lab, &[&format!("{user}@lab.test")], "one");
        arrived(lab, user, 1);
    }
}

/// Makes a server say that something is wrong: a password that is not.
pub(super) fn cause_a_fault(lab: &Lab) {
    let words = ["--ssl-reqd", "-k", "-u", "alice@lab.test:wrong", "-X", "NOOP"];
    assert!(!curl(lab, &format!("smtp://127.0.0.1:{}", lab.port("submission")), &words), "a wrong password is taken");
}

/// Does a bit of everything.
pub(super) fn act(lab: &Lab) -> Done {
    let mut done = Done::default();
    mail(lab, &mut done);
    read(lab, &mut done);
    log_in(lab, &mut done);
    come_in_a_crowd(lab, &mut done);
    say_nothing(lab, &mut done);
    done.auth_failed = auth_never_answers(lab);
    done.imap += done.auth_failed;
    done.imap_failed += done.auth_failed;
    done.lmtp_failed += refused_by_lmtp(lab);
    done.lmtp += 1.0;
    set_aside(lab);
    done
}

/// Mail that arrives, that is refused, that waits, and that is held.
fn mail(lab: &Lab, done: &mut Done) {
    let before = RECIPIENTS.map(|user| files_of(lab, user).len());
    send(lab, &["alice@lab.test"], "to one");
    send(lab, &["alice@lab.test", "bob@lab.test"], &"to two\r\n".repeat(100));
    arrived(lab, "alice", before[0] + 2);
    arrived(lab, "bob", before[1] + 1);
    done.received = 2.0;
    for to in ["a@stuck.test", "b@stuck.test", "c@hold.test"] {
        send(lab, &[to], "waits");
    }
    assert!(!hand_in(lab, &["nobody@lab.test"], "refused"), "nobody is known");
    done.smtp = 6.0;
}

/// Mail that is fetched, by POP3 and by IMAP, and a wrong password for either.
fn read(lab: &Lab, done: &mut Done) {
    let (right, wrong) = (format!("{READER}@lab.test:{}", lab.password(READER)), format!("{READER}@lab.test:wrong"));
    let (pop3, imap) = (format!("pop3://127.0.0.1:{}/", lab.port("pop3")), format!("imap://127.0.0.1:{}/INBOX", lab.port("imap")));
    let asks = |url: &str, login: &str, more: &[&str]| curl(lab, url, &[&["-u", login][..], more].concat());
    assert!(asks(&pop3, &right, &[]) && asks(&format!("{pop3}1"), &right, &[]) && asks(&format!("{pop3}1"), &right, &[]));
    assert!(!asks(&pop3, &wrong, &[]));
    (done.pop3, done.pop3_failed, done.pop3_retrieved) = (4.0, 1.0, 2.0);
    // Two messages are there, one of them from the probe itself.
    for command in ["SEARCH ALL", "SEARCH UNSEEN", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
        assert!(asks(&imap, &right, &["-X", command]), "{command}");
    }
    assert!(asks(&format!("{imap};MAILINDEX=1"), &right, &[]) && !asks(&imap, &wrong, &["-X", "NOOP"]));
    (done.imap, done.imap_failed, done.imap_fetches, done.imap_searches, done.imap_deleted) = (6.0, 1.0, 1.0, 2.0, 1.0);
}

/// Passwords that are looked up in the directory, or in the cache before it.
fn log_in(lab: &Lab, done: &mut Done) {
    let config = lab.dir.join("dovecot/dovecot.conf");
    let asks = |user: &str, password: &str| {
        let words = ["-c", config.to_str().unwrap(), "auth", "test", user, password];
        Command::new("doveadm").args(words).output().unwrap().status.success()
    };
    let right = lab.password("alice");
    assert!((0..3).all(|_| asks("alice@people.lab.test", &right)) && asks("bob@people.lab.test", &lab.password("bob")));
    assert!(!(0..2).any(|_| asks("alice@people.lab.test", "wrong")) && !asks("nobody@people.lab.test", "wrong"));
    (done.directory_good, done.directory_bad, done.directory_unknown) = (4.0, 2.0, 1.0);
}

/// More sessions than a user may have: all but the last are let in.
fn come_in_a_crowd(lab: &Lab, done: &mut Done) {
    let (user, password) = (format!("{CROWD}@lab.test"), lab.password(CROWD));
    let imap = || Talk::log_in(lab, &user, &password);
    let pop3 = || {
        let mut session = Talk::to(lab, "pop3");
        session.ask(&format!("USER {user}"));
        let said = session.ask(&format!("PASS {password}"));
        (session, said)
    };
    crowd(lab, "imap", imap, ["OK", "NO [LIMIT]"]);
    crowd(lab, "pop3", pop3, ["+OK", "-ERR [IN-USE]"]);
    let sessions = SESSIONS as f64 + 1.0;
    (done.imap, done.pop3) = (done.imap + sessions, done.pop3 + sessions);
    (done.imap_rejected, done.pop3_rejected) = (1.0, 1.0);
}

fn crowd(lab: &Lab, service: &str, log_in: impl Fn() -> (Talk, String), [taken, refused]: [&str; 2]) {
    let inside: Vec<(Talk, String)> = (0..SESSIONS).map(|_| log_in()).collect();
    assert!(inside.iter().all(|(_, said)| said.starts_with(taken)));
    // A session tells who keeps count some time after its client.
    let config = lab.dir.join("dovecot/dovecot.conf");
    let all_known = until(ARRIVE_TIMEOUT, || {
        let who = programs::output_of("doveadm", &["-c", config.to_str().unwrap(), "who", "-1"]);
        let is_one = |line: &&str| line.starts_with(CROWD) && line.split_whitespace().any(|word| word == service);
        (who.lines().filter(is_one).count() == SESSIONS).then_some(())
    });
    assert!(all_known.is_some(), "{service}: not all sessions are known");
    let (_, said) = log_in();
    assert!(said.starts_with(refused), "{said}");
}

/// Clients that connect and say nothing, until the server has had enough.
fn say_nothing(lab: &Lab, done: &mut Done) {
    let hasty = Hasty::begin(lab);
    let mut silent = ["imap", "imap", "pop3"].map(|service| Talk::to(lab, service));
    for (client, farewell) in silent.iter_mut().zip(["* BYE", "* BYE", "-ERR"]) {
        assert_eq!(client.answer(), format!("{farewell} Disconnected for inactivity."));
    }
    drop(hasty);
    (done.imap, done.pop3) = (done.imap + 2.0, done.pop3 + 1.0);
    (done.imap_timed_out, done.pop3_timed_out) = (2.0, 1.0);
}

/// Offers LMTP a message for somebody whom it does not know; gives how many transactions failed.
fn refused_by_lmtp(lab: &Lab) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", lab.port("lmtp"))).unwrap();
    stream.set_read_timeout(Some(ARRIVE_TIMEOUT)).unwrap();
    let mut said = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut answer = |expected: &str| {
        // The last line of an answer has a space behind its code.
        let last = said.by_ref().map(Result::unwrap).find(|line| line.as_bytes().get(3) == Some(&b' ')).unwrap();
        assert!(last.starts_with(expected), "{last}");
    };
    answer("220");
    for (command, expected) in
        [("LHLO test", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<nobody@lab.test>", "550"), ("DATA", "5"), ("QUIT", "221")]
    {
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        answer(expected);
    }
    1.0
}

/// Leaves a file that is no message of Postfix' among those that come; Postfix sets it aside.
fn set_aside(lab: &Lab) {
    let queue = lab.dir.join("postfix/queue");
    let file = queue.join("incoming/4AbCdEf");
    fs::write(&file, "garbage").unwrap();
    chown(&file, Some(fs::metadata(queue.join("incoming")).unwrap().uid()), None).unwrap();
    // As Postfix marks a message that has come whole.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    let set_aside = until(ARRIVE_TIMEOUT, || {
        programs::output_of("postqueue", &["-c", lab.dir.join("postfix/etc").to_str().unwrap(), "-f"]);
        std::thread::sleep(Duration::from_millis(200));
        queue.join("corrupt/4AbCdEf").exists().then_some(())
    });
    assert!(set_aside.is_some(), "Postfix does not see to it");
}

/// Connections that are open, and a delivery that is under way because Dovecot is held; until this is dropped.
pub(super) struct Held<'a> {
    lab: &'a Lab,
    _open: Vec<TcpStream>,
}

/// Holds connections open to each service.
pub(super) fn hold(lab: &Lab) -> Held<'_> {
    let services = ["smtp", "smtp", "submission", "pop3", "pop3s", "imap", "imap", "imaps"];
    let open = services.map(|service| TcpStream::connect(("127.0.0.1", lab.port(service))).unwrap());
    lab.stall("dovecot");
    hand_in_here(lab);
    let under_way = until(ARRIVE_TIMEOUT, || (super::witness::established(&format!("dport = :{}", lab.port("lmtp"))) > 0.0).then_some(()));
    assert!(under_way.is_some(), "no delivery begins");
    Held { lab, _open: open.into() }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.lab.resume("dovecot");
    }
}

/// Hands Postfix a message that it takes.
fn send(lab: &Lab, to: &[&str], text: &str) {
    assert!(hand_in(lab, to, text), "a message for {to:?} is refused");
}

/// Hands Postfix a message as a program of this machine does: by SMTP it takes none while AUTH is held.
fn hand_in_here(lab: &Lab) {
    let etc = lab.dir.join("postfix/etc");
    let said =
        programs::fed("sendmail", &["-C", etc.to_str().unwrap(), "-f", "bob@lab.test", "alice@lab.test"], "Subject: esm\n\non its way\n");
    assert_eq!(said.1, Some(0), "{said:?}");
}

fn hand_in(lab: &Lab, to: &[&str], text: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("From: <bob@lab.test>\r\nSubject: esm\r\n\r\n{text}\r\n")).unwrap();
    let recipients = to.iter().flat_map(|to| ["--mail-rcpt", to]);
    let words: Vec<&str> = ["--mail-from", "bob@lab.test", "-T", file.path().to_str().unwrap()].into_iter().chain(recipients).collect();
    curl(lab, &format!("smtp://127.0.0.1:{}", lab.port("smtp")), &words)
}

/// Whether curl is content.
fn curl(_: &Lab, url: &str, words: &[&str]) -> bool {
    programs::run("curl", &[&["-sS", "--max-time", "20", "-o", "/dev/null", "--url", url][..], words].concat()).status.success()
}

fn arrived(lab: &Lab, user: &str, files: usize) {
    let come = until(ARRIVE_TIMEOUT, || (files_of(lab, user).len() >= files).then_some(()));
    assert!(come.is_some(), "{user} has {:?}", files_of(lab, user));
}

/// The messages of a mailbox.
pub(super) fn files_of(lab: &Lab, user: &str) -> Vec<PathBuf> {
    let folder = lab.dir.join("mail/lab.test").join(user);
    let of = |name: &str| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(Path::new(&folder).join(name)) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).collect()
    };
    [of("new"), of("cur")].concat()
}
