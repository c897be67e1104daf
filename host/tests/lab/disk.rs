//! A mail disk that is full, and an AUTH that is gone: what suffers fails with its reason, what does not goes on, and all of it comes back.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    os::unix::fs::chown,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{programs, servers::Lab, watch::Watch};

/// How long a job may take to say what happens.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// After which time a message that is sent around is late.
const LATE_AFTER: Duration = Duration::from_secs(5);
/// Room for three mailboxes with a few messages.
const DISK_BYTES: &str = "256k";

/// A small disk in the place of a folder, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`, and a line that says so, where nobody may mount.
    fn mounted_at(folder: PathBuf) -> Option<Self> {
        let facts = fs::metadata(&folder).unwrap();
        let options = format!("size={DISK_BYTES},mode=0755,uid={},gid={}", facts.uid(), facts.gid());
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).status().is_ok_and(|it| it.success());
        if !mounted {
            eprintln!("left out: no disk can be mounted here");
            return None;
        }
        let disk = Self(folder);
        chown(&disk.0, Some(facts.uid()), Some(facts.gid())).unwrap();
        Some(disk)
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let error = fs::write(self.ballast(), vec![0; 1024 * 1024]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: who still reads there ends later.
        let _ended = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_mail_disk_delays_mail_and_an_auth_that_is_gone_logins_and_nothing_else_is_said() {
    let Some(lab) = Lab::up() else { return };
    if !programs::there("curl") {
        return;
    }
    // It goes before the lab, which removes its folder.
    let lab_folder = lab.dir.clone();
    let schedule = schedule(&lab);
    let watch = Watch::start(lab, &schedule);
    let Some(disk) = Disk::mounted_at(lab_folder.join("mail")) else { return };
    send(&watch, "alice");
    send(&watch, "probe");
    mailbox_has(&watch, "1");
    queue_agrees(&watch, 0);
    sent_around(&watch, 0.0, 0.0);

    disk.fill();
    send(&watch, "alice");
    send(&watch, "bob");
    queue_agrees(&watch, 2);
    // The way of mail is open, and longer than anybody waits: on its way is not lost, and no time is known.
    sent_around(&watch, 1.0, 0.0);
    let sent = Instant::now();
    queue_agrees(&watch, 3);
    // Her mailbox is read without writing; his cannot be made.
    refused(&watch, "imap-bob", "protocol: EXAMINE: the server answered NO [SERVERBUG]");
    refused(&watch, "pop3-bob", "protocol: STAT: the server answered -ERR [SYS/TEMP]");
    mailbox_has(&watch, "1");
    assert_eq!(watch.scrape().up("submission"), Some("1"));

    std::thread::sleep(LATE_AFTER.saturating_sub(sent.elapsed()));
    disk.free();
    programs::output_of("postqueue", &["-c", lab_folder.join("postfix/etc").to_str().unwrap(), "-f"]);
    queue_agrees(&watch, 0);
    mailbox_has(&watch, "2");
    sent_around(&watch, 0.0, 1.0);
    let said = watch.house.run(&["measure", "imap-bob"]).ok();
    assert!(said.contains("\n  mailbox_size = 1\n"), "{said}");

    watch.lab.stop("dovecot");
    let known = ["banner_time", "ehlo_time", "tls_time"];
    falls(&watch, "submission", "auth", "AUTH PLAIN: the server answered 454 4.7.0 Temporary authentication failure", &known);
    falls(&watch, "imap-alice", "connect", "Connection refused", &[]);
    queue_agrees(&watch, 0);
    watch.lab.start("dovecot");
    ["submission", "imap-alice", "pop3-alice"].iter().for_each(|job| watch.wait_for_up(job, "1", TURN_TIMEOUT));
    mailbox_has(&watch, "2");
    drop(disk);
}

fn schedule(lab: &Lab) -> String {
    let job = |name: &str, agent: &str, config: String| {
        // Only when it is asked for, unless New Year falls into this test: nobody looks into his mailbox before the disk is full.
        let when = if name.ends_with("-bob") || name == "around" { "cron = \"0 0 1 1 *\"" } else { "every = \"2s\"" };
        format!("[[job]]\nname = \"{name}\"\nagent = \"{agent}\"\n{when}\nconfig = {{ {config} }}\n\n")
    };
    let login = |user: &str, service: &str| {
        let file = lab.password_file(user);
        format!("host = \"127.0.0.1\", port = {}, user = \"{user}@lab.test\", password = {{ file = {file:?} }}", lab.port(service))
    };
    let tls = format!("tls = \"starttls\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file());
    let mailboxes = ["alice", "bob"]
        .map(|user| job(&format!("imap-{user}"), "imap", login(user, "imap")) + &job(&format!("pop3-{user}"), "pop3", login(user, "pop3")));
    let queue = job("queue", "queue", format!("kind = \"postfix\", path = {:?}", lab.dir.join("postfix/queue")));
    // It looks at the files, for IMAP opens no mailbox for writing on a full disk.
    let found_in = format!("maildir = {{ path = {:?} }}", lab.dir.join("mail/lab.test/probe"));
    let sending = format!("host = \"127.0.0.1\", port = {}, from = \"probe@lab.test\", to = \"probe@lab.test\"", lab.port("smtp"));
    let around = format!("{sending}, wait = \"1s\", late_after = \"{}s\", receive = {{ {found_in} }}", LATE_AFTER.as_secs());
    mailboxes.concat()
        + &queue
        + &job("around", "roundtrip", around)
        + &job("submission", "smtp", format!("{}, {tls}", login("alice", "submission")))
}

/// Sends a message around: so many are on their way now, and so many were late; a time is known unless this one is still on its way.
fn sent_around(watch: &Watch, in_flight: f64, late: f64) {
    watch.house.run(&["jobs", "run", "around"]).ok();
    let scrape = watch.scrape();
    let value = |name: &str| {
        let line = scrape.of_job("around").find(|line| line.family.trim_end_matches("_total").trim_end_matches("_seconds").ends_with(name));
        line.map(|line| line.value.parse::<f64>().unwrap())
    };
    let counted = ["in_flight", "messages_late", "messages_lost"].map(value);
    assert_eq!(counted, [Some(in_flight), Some(late), Some(0.0)], "{:?}", scrape.of_job("around").collect::<Vec<_>>());
    let time = value("roundtrip_time");
    assert_eq!(time.is_some(), in_flight == 0.0, "{time:?}");
    assert!(scrape.up("around") == Some("1") && time != Some(0.0), "{time:?}");
}

/// Measures once: it fails so, and claims a login, and nothing after it.
fn refused(watch: &Watch, job: &str, why: &str) {
    let said = watch.house.run(&["measure", job]);
    assert!(said.code == Some(1) && said.out.contains(why), "{said:?}");
    assert!(said.out.contains("  authenticate_time = ") && !["mailbox_", "total_"].iter().any(|word| said.out.contains(word)), "{said:?}");
}

/// Hands Postfix a message.
fn send(watch: &Watch, to: &str) {
    let file = watch.house.folder().join("message.eml");
    fs::write(&file, "Subject: disk\r\n\r\nhello\r\n").unwrap();
    let (url, to) = (format!("smtp://127.0.0.1:{}", watch.lab.port("smtp")), format!("{to}@lab.test"));
    let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "probe@lab.test", "--mail-rcpt", &to, "-T"];
    programs::output_of("curl", &[&words[..], &[file.to_str().unwrap()]].concat());
}

/// Waits until both readers of her mailbox find so many messages.
fn mailbox_has(watch: &Watch, messages: &str) {
    for (family, job) in [("watchpost_imap_mailbox_size", "imap-alice"), ("watchpost_pop3_mailbox_size", "pop3-alice")] {
        watch.wait_for(&format!("{job} does not find {messages}"), TURN_TIMEOUT, |scrape| {
            scrape.up(job) == Some("1") && scrape.value(family, job) == Some(messages)
        });
    }
}

/// Waits until so many messages are deferred, by `postqueue -j` as by us, and nothing else waits.
fn queue_agrees(watch: &Watch, deferred: usize) {
    let etc = watch.lab.dir.join("postfix/etc");
    let theirs = || programs::output_of("postqueue", &["-c", etc.to_str().unwrap(), "-j"]);
    watch.wait_for(&format!("{deferred} are not deferred: {}", theirs()), TURN_TIMEOUT, |scrape| {
        let listed = theirs();
        let of_theirs = listed.lines().filter(|line| line.contains("\"queue_name\": \"deferred\"")).count();
        let ours = |queue: &str| {
            let lines = scrape.of_family("watchpost_queue_size");
            lines.filter(|line| line.label("queue") == Some(queue)).map(|line| line.value.clone()).next()
        };
        let wanted = deferred.to_string();
        of_theirs == deferred
            && ours("deferred").as_ref() == Some(&wanted)
            && ours("all") == Some(wanted)
            && ours("error") == Some("0".into())
    });
}

/// Waits until a job fails in this way, and claims what came before that, and no more.
fn falls(watch: &Watch, job: &str, kind: &str, why: &str, known: &[&str]) {
    let connected: &[&str] = if kind == "connect" { &["resolve_time"] } else { &["resolve_time", "connect_time"] };
    let mut expected: Vec<String> = connected.iter().chain(known).map(|name| format!("watchpost_{name}_seconds")).collect();
    expected.extend(["watchpost_up".into(), "watchpost_run_duration_seconds".into()]);
    expected.sort();
    watch.wait_for(&format!("{job} does not fail by {kind}, {why}, with {expected:?}"), TURN_TIMEOUT, |scrape| {
        let told: Value = watch.status(job);
        let mut families: Vec<String> = scrape.of_job(job).map(|line| line.family.clone()).collect();
        families.sort();
        told["kind"] == kind && told["why"].as_str().is_some_and(|said| said.contains(why)) && families == expected
    });
}
