//! Dovecot: commands and deletions of IMAP, deliveries, lookups of passwords.

use std::{fs, net::TcpStream, path::Path, thread};

use super::{
    Counting, job,
    talk::{Talk, deliver},
};
use crate::{harness::until, programs, servers::Lab};

/// Both ways to the same figures.
const WAYS: [&str; 2] = ["dovecot", "doveadm"];

pub(super) fn jobs(lab: &Lab) -> String {
    let metrics = format!("source = \"dovecot\", url = \"http://127.0.0.1:{}/metrics\"", lab.port("dovecot_stats"));
    let key = lab.doveadm_key_file();
    let url = format!("http://127.0.0.1:{}/doveadm/v1", lab.port("doveadm"));
    let doveadm = format!("source = \"doveadm\", url = \"{url}\", key = {{ file = {key:?} }}");
    let mut jobs = job("dovecot-pop3", "serverstats", &format!("{doveadm}, service = \"pop3\""));
    for service in ["imap", "lmtp", "auth"] {
        jobs += &job(&format!("dovecot-{service}"), "serverstats", &format!("{metrics}, service = \"{service}\""));
        jobs += &job(&format!("doveadm-{service}"), "serverstats", &format!("{doveadm}, service = \"{service}\""));
    }
    jobs += &job("wrong-key", "serverstats", &format!("source = \"doveadm\", url = \"{url}\", key = \"wrong\", service = \"imap\""));
    jobs
}

#[test]
fn dovecot_counts_what_is_delivered_read_deleted_and_looked_up() {
    let Some(counting) = Counting::start() else { return };
    delivered(&counting);
    read_and_deleted(&counting);
    looked_up(&counting);
    counting.fails("wrong-key", "auth");
}

/// Rows of the mail store.
fn delivered(counting: &Counting) {
    let lab = &counting.lab;
    deliver(lab, &["bob@lab.test"], "Subject: first\r\n\r\n"); // what a first message makes is there then
    let before = WAYS.map(|way| counting.measure(&format!("{way}-lmtp")));
    let had = mail(&lab.dir);
    let text = |lines: usize| format!("Subject: counted\r\n\r\n{}", "a line of thirty characters ok\r\n".repeat(lines));
    let texts = [text(10), text(100), text(1000)];
    assert_eq!(deliver(lab, &["bob@lab.test"], &texts[0]).len(), 1);
    assert_eq!(deliver(lab, &["bob@lab.test", "alice@lab.test"], &texts[1]).len(), 2);
    assert_eq!(deliver(lab, &["bob@people.lab.test"], &texts[2]).len(), 1);
    assert!(deliver(lab, &["nobody@lab.test"], &texts[0]).is_empty());
    let sent = texts.iter().map(String::len).sum::<usize>() as f64;
    let stored = mail(&lab.dir);
    let figures = [("connections", 4.0), ("connection_errors/failed", 1.0), ("messages_received", 3.0), ("messages_stored", 4.0)];
    for (way, before) in WAYS.iter().zip(&before) {
        counting.grown(&format!("{way}-lmtp"), before, &figures);
    }
    // What the files have grown by is what Dovecot says, to the byte.
    let volumes = [("received_bytes", sent), ("stored_bytes", (stored.1 - had.1) as f64)];
    counting.grown("doveadm-lmtp", &before[1], &volumes);
    assert_eq!(stored.0 - had.0, 4);
}

/// Files below the folder of all mail that are messages, and their bytes.
fn mail(dir: &Path) -> (usize, u64) {
    fn below(folder: &Path, found: &mut (usize, u64)) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.parent().is_some_and(|parent| parent.ends_with("new") || parent.ends_with("cur")) {
                *found = (found.0 + 1, found.1 + entry.metadata().unwrap().len());
            }
        }
    }
    let mut found = (0, 0);
    below(&dir.join("mail"), &mut found);
    found
}

/// Rows 53 to 55.
fn read_and_deleted(counting: &Counting) {
    let lab = &counting.lab;
    let before = WAYS.map(|way| counting.measure(&format!("{way}-imap")));
    let messages = || -> u32 {
        let conf = lab.dir.join("dovecot/dovecot.conf");
        let words = ["-c", conf.to_str().unwrap(), "-f", "flow", "mailbox", "status", "-u", "bob@lab.test", "messages", "INBOX"];
        let said = programs::output_of("doveadm", &words);
        said.trim().rsplit('=').next().unwrap().parse().unwrap()
    };
    let had = messages();
    let (mut session, said) = Talk::log_in(lab, "bob@lab.test", &lab.password("bob"));
    assert!(said.starts_with("OK"), "{said}");
    let commands = ["SELECT INBOX", "FETCH 1 (FLAGS)", "FETCH 1:* (RFC822.SIZE)", "UID FETCH 1:* (FLAGS)", "SEARCH ALL", "UID SEARCH SEEN"];
    for command in commands.iter().chain(&["STORE 1:2 +FLAGS (\\Deleted)"]) {
        assert!(session.imap(command).starts_with("OK"), "{command}");
    }
    // A flag deletes nothing yet.
    let now = counting.grown("dovecot-imap", &before[0], &[("commands/store", 1.0)]);
    assert_eq!(now.get("messages_deleted"), before[0].get("messages_deleted"));
    for command in ["EXPUNGE", "LOGOUT"] {
        assert!(session.imap(command).starts_with("OK"), "{command}");
    }
    let commands = ["select", "fetch", "search", "store", "expunge"].map(|name| format!("commands/{name}"));
    let grown = [1.0, 3.0, 2.0, 1.0, 1.0];
    let mut figures: Vec<(&str, f64)> = commands.iter().map(String::as_str).zip(grown).collect();
    figures.push(("messages_deleted", 2.0));
    for (way, before) in WAYS.iter().zip(&before) {
        counting.grown(&format!("{way}-imap"), before, &figures);
    }
    assert_eq!(had - messages(), 2, "as doveadm counts them");
}

/// Rows of the directory cache.
fn looked_up(counting: &Counting) {
    let lab = &counting.lab;
    let before = WAYS.map(|way| counting.measure(&format!("{way}-auth")));
    let asked = |what: &str| slapd_log(lab).lines().filter(|line| line.contains(what)).count();
    let said = |what: &str| fs::read_to_string(lab.dir.join("dovecot/log")).unwrap().matches(what).count();
    let (asked_before, said_before) = ([" err=49 ", " nentries=0 "].map(asked), [": Password mismatch", ": unknown user"].map(said));
    for _ in 0..3 {
        let (_, said) = Talk::log_in(lab, "alice@people.lab.test", &lab.password("alice"));
        assert!(said.starts_with("OK"), "{said}");
    }
    // Dovecot takes two seconds for each that is wrong, to make guessing slow: all at once.
    let wrong = [("alice", "wrong-one"), ("alice", "wrong-two"), ("nobody1", "x"), ("nobody2", "x")];
    thread::scope(|scope| {
        for (user, password) in wrong {
            scope.spawn(move || {
                let (_, said) = Talk::log_in(lab, &format!("{user}@people.lab.test"), password);
                assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
            });
        }
    });
    let reasons = ["unknown_user", "bad_password", "refused", "internal"].map(|reason| format!("query_errors/{reason}"));
    let mut figures: Vec<(&str, f64)> = reasons.iter().map(String::as_str).zip([2.0, 2.0, 0.0, 0.0]).collect();
    figures.extend([("queries", 7.0), ("queries_succeeded", 3.0), ("queries_failed", 4.0)]);
    // A known user with another password is a hit: the directory is asked about the password all the same.
    figures.extend([("cache_lookups/hit", 4.0), ("cache_lookups/miss", 3.0)]);
    // Each login process asks by a connection of its own; who is let in has a second one, for where the mail is.
    figures.extend([("connections", 10.0), ("connection_errors/failed", 0.0)]);
    for (way, before) in WAYS.iter().zip(&before) {
        counting.grown(&format!("{way}-auth"), before, &figures);
    }
    assert_eq!([": Password mismatch", ": unknown user"].map(said), said_before.map(|had| had + 2), "as Dovecot's log has them");
    // Who was wrong a moment ago is not asked about again: the cache spares slapd the second bind, if the first has ended by then.
    let [refused, unknown] = [" err=49 ", " nentries=0 "].map(asked);
    assert!(
        (1..=2).contains(&(refused - asked_before[0])) && unknown - asked_before[1] == 2,
        "as slapd wrote it down: {refused} {unknown}"
    );
}

fn slapd_log(lab: &Lab) -> String {
    fs::read_to_string(lab.dir.join("slapd/log")).unwrap()
}

#[test]
fn a_restarted_dovecot_begins_anew_and_one_that_is_held_or_gone_has_no_figure() {
    let Some(counting) = Counting::start() else { return };
    let lab = &counting.lab;
    let (mut session, _) = Talk::log_in(lab, "alice@lab.test", &lab.password("alice"));
    let before = counting.measure("dovecot-imap");
    for command in ["SELECT INBOX", "SEARCH ALL", "LOGOUT"] {
        assert!(session.imap(command).starts_with("OK"), "{command}");
    }
    let before = counting.grown("dovecot-imap", &before, &[("commands/search", 1.0)]);
    let before_auth = WAYS.map(|way| counting.measure(&format!("{way}-auth")));
    let given_up = auth_never_answers(lab);
    for (way, before) in WAYS.iter().zip(&before_auth) {
        counting.grown(&format!("{way}-auth"), before, &[("connection_errors/failed", given_up)]);
    }
    lab.stall("dovecot");
    for way in WAYS {
        counting.fails(&format!("{way}-imap"), "timeout");
    }
    lab.resume("dovecot");
    assert_eq!(counting.measure("dovecot-imap").get("commands/search"), before.get("commands/search"));
    lab.stop("dovecot");
    for way in WAYS {
        counting.fails(&format!("{way}-imap"), "connect");
    }
    lab.start("dovecot");
    for way in WAYS {
        assert_eq!(counting.measure(&format!("{way}-imap")).get("commands/search"), 0.0, "it has begun anew");
    }
}

/// A connection to auth that is given up before auth has said a word is one that failed; gives how many were, each by a client of IMAP.
pub(crate) fn auth_never_answers(lab: &Lab) -> f64 {
    let log = || fs::read_to_string(lab.dir.join("dovecot/log")).unwrap();
    let noticed = || ["no auth attempts", "before auth was ready"].map(|words| log().matches(words).count());
    let before = noticed();
    let conf = lab.dir.join("dovecot/dovecot.conf");
    let said = programs::output_of("doveadm", &["-c", conf.to_str().unwrap(), "process", "status", "auth"]);
    let auth = said.lines().find_map(|line| line.strip_prefix("auth ")?.split_whitespace().next()).expect("auth runs").to_owned();
    programs::output_of("kill", &["-STOP", &auth]);
    // Nobody is greeted before auth has answered.
    let clients = [(); 2].map(|()| TcpStream::connect(("127.0.0.1", lab.port("imap"))).unwrap());
    // Each of their login processes has to have knocked before they go.
    let socket = lab.dir.join("dovecot/run/login/login").display().to_string();
    let knocked = until(std::time::Duration::from_secs(20), || {
        let unix = fs::read_to_string("/proc/net/unix").unwrap();
        (unix.lines().filter(|line| line.ends_with(&socket) && !line.contains(" 00010000 ")).count() >= 2).then_some(())
    });
    drop(clients);
    let gone =
        until(std::time::Duration::from_secs(20), || noticed().iter().zip(&before).any(|(now, before)| *now >= before + 2).then_some(()));
    programs::output_of("kill", &["-CONT", &auth]);
    assert!(knocked.is_some() && gone.is_some(), "the clients were not noticed");
    2.0
}
