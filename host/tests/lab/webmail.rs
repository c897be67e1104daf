//! Roundcube, with Dovecot and Postfix behind it, as the agent `webmail` measures it, beside what each of the three says itself.

use std::{collections::BTreeMap, fs, thread::sleep, time::Duration};

use serde_json::Value;

use crate::{harness::until, programs, servers::Lab, watch::Watch};

/// How long Postfix and Dovecot may take to put a message into its mailbox, or a line into a log.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// What is around a page that Roundcube times itself: its connection, PHP's own work before and after, our reading; a few milliseconds,
/// and more where nine compilers run beside.
const AROUND_A_PAGE: Duration = Duration::from_millis(500);
/// Whose mailbox is measured.
const ALICE: &str = "alice";
/// What nobody may see of a message.
const TEXT: &str = "Mirabelle-1761";
/// Phases, and the pages that each consists of, as Roundcube names them.
const PHASES: [(&str, &[&str]); 5] = [
    ("authenticate", &["GET login -", "POST login login"]),
    ("select", &["GET mail -", "GET mail list"]),
    ("download", &["GET mail show"]),
    ("compose_send", &["GET mail compose", "GET mail compose", "POST mail send"]),
    ("logout", &["GET logout -"]),
];

#[test]
fn a_session_is_measured_as_roundcube_served_it_and_each_fault_behind_it_is_told_by_its_kind() {
    let Some(lab) = Lab::up() else { return };
    if !lab.runs("roundcube") {
        eprintln!("left out: there is no roundcube");
        return;
    }
    if !programs::there("curl") {
        return;
    }
    let schedule = job("good", &format!("{{ file = {:?} }}", lab.password_file(ALICE)), "") + &job("wrong", "\"no such password\"", "");
    let reading = job("reading", &format!("{{ file = {:?} }}", lab.password_file(ALICE)), "leave_out = [\"compose_send\"]\n");
    let schedule = (schedule + &reading).replace("PORT", &lab.port("webmail").to_string());
    let watch = Watch::start(lab, &schedule);

    an_empty_mailbox_has_no_download(&watch);
    deliver(&watch.lab);
    every_phase_is_as_long_as_roundcube_says(&watch);
    one_message_is_sent_and_arrives_and_is_gone(&watch, 2);
    nothing_secret_is_shown(&watch);
    a_session_may_send_nothing(&watch);

    fails(&watch, "wrong", "auth", "login: status 401 instead of 302; the page says \"Login failed.\"", &["connect_time", "resolve_time"]);
    watch.lab.stop("dovecot");
    let behind = "login: \"Connection to storage server failed.\" in the page; the status is 401; \
                  the page says \"Connection to storage server failed.\"";
    fails(&watch, "good", "protocol", behind, &["connect_time", "resolve_time"]);
    watch.lab.start("dovecot");
    watch.lab.stop("postfix");
    fails(&watch, "good", "protocol", "send: no \"sent_successfully\" in the page", &UNTIL_COMPOSED);
    watch.lab.start("postfix");
    watch.lab.stop("roundcube");
    let refused = format!("login page: cannot connect to 127.0.0.1:{}: Connection refused", watch.lab.port("webmail"));
    fails(&watch, "good", "connect", &refused, &[]);
    watch.lab.start("roundcube");
    one_message_is_sent_and_arrives_and_is_gone(&watch, 1);
}

const UNTIL_COMPOSED: [&str; 6] = ["authenticate_time", "connect_time", "download_bytes", "download_time", "resolve_time", "select_time"];

/// A job that runs when it is asked to.
fn job(name: &str, password: &str, more: &str) -> String {
    let config =
        format!("url = \"http://127.0.0.1:PORT/\"\nscript = \"roundcube\"\nuser = \"alice@lab.test\"\npassword = {password}\n{more}");
    format!("[[job]]\nname = \"{name}\"\nagent = \"webmail\"\nevery = \"1d\"\ntimeout = \"60s\"\n\n[job.config]\n{config}\n")
}

/// Runs a job now; gives what it recorded.
fn ran(watch: &Watch, job: &str) -> BTreeMap<String, f64> {
    let said = watch.house.run(&["jobs", "run", job]).ok();
    assert!(said.starts_with(&format!("{job}: ok in ")), "{said}");
    recorded(watch, job)
}

/// What the metrics say of a job but for what the host adds, by the metric's name.
fn recorded(watch: &Watch, job: &str) -> BTreeMap<String, f64> {
    let scrape = watch.scrape();
    let short =
        |family: &str| family.trim_start_matches("watchpost_").trim_start_matches("webmail_").trim_end_matches("_seconds").to_owned();
    let lines = scrape.of_job(job).map(|line| (short(&line.family), line.value.parse().unwrap()));
    lines.filter(|(name, _)| name != "up" && name != "run_duration").collect()
}

fn an_empty_mailbox_has_no_download(watch: &Watch) {
    assert_eq!(mails(&watch.lab), "");
    let found = ran(watch, "good");
    assert!(!found.contains_key("download_time") && !found.contains_key("download_bytes") && found.contains_key("total_time"), "{found:?}");
    assert_eq!(mails(&watch.lab), "");
}

fn every_phase_is_as_long_as_roundcube_says(watch: &Watch) {
    let before = served(&watch.lab).len();
    let found = ran(watch, "good");
    let pages = &served(&watch.lab)[before..];
    let mut at = 0;
    for (phase, expected) in PHASES {
        let own = &pages[at..at + expected.len()];
        assert_eq!(own.iter().map(|(page, _)| page.as_str()).collect::<Vec<_>>(), expected, "{pages:?}");
        let (seen, server) = (found[&format!("{phase}_time")], own.iter().map(|(_, seconds)| seconds).sum::<f64>());
        let around = AROUND_A_PAGE.as_secs_f64() * expected.len() as f64;
        // Its clock and ours agree to a millisecond: both count what one machine's kernel counts.
        assert!(seen > server - 0.001 && seen < server + around, "{phase}: {seen} s, by Roundcube {server} s");
        at += expected.len();
        // Looking for the message and removing it belong to no phase.
        if phase == "compose_send" {
            at += pages[at..].iter().take_while(|(page, _)| page == "GET mail search" || page == "POST mail delete").count();
        }
    }
    assert_eq!(at, pages.len(), "{pages:?}");
    let sum = |names: &mut dyn Iterator<Item = &String>| names.map(|name| nanos(found[name])).sum::<u64>();
    let phases = sum(&mut found.keys().filter(|name| name.ends_with("_time") && *name != "total_time"));
    assert_eq!(nanos(found["total_time"]), phases, "{found:?}");
    let expected = ["authenticate", "compose_send", "connect", "download", "logout", "resolve", "select", "total"];
    let names: Vec<&str> = found.keys().filter_map(|name| name.strip_suffix("_time")).collect();
    assert_eq!(names, expected);
    assert!(found["download_bytes"] > TEXT.len() as f64, "{found:?}");
}

fn one_message_is_sent_and_arrives_and_is_gone(watch: &Watch, runs: usize) {
    let lab = &watch.lab;
    let (mails_before, arrived_before) = (mails(lab), arrived(lab));
    let sent_before = sent(lab).len();
    for run in 1..=runs {
        ran(watch, "good");
        assert_eq!(mails(lab), mails_before, "the mailbox is as it was");
        let sent = sent(lab);
        assert_eq!(sent.len(), sent_before + run, "{sent:?}");
        let queue_id = sent.last().unwrap().rsplit(' ').next().unwrap();
        // Dovecot has it before Postfix says so.
        let once = until(DELIVERY_TIMEOUT, || (arrived(lab) == arrived_before + run).then_some(()));
        assert!(once.is_some(), "{} of {run} messages, the last is {queue_id}", arrived(lab) - arrived_before);
        assert_eq!(log(lab).matches(&format!(" {queue_id}: to=<alice@lab.test>, ")).count(), 1);
    }
}

fn nothing_secret_is_shown(watch: &Watch) {
    let said = watch.house.run(&["measure", "good", "--explain"]).ok();
    assert!(!said.contains(&watch.lab.password(ALICE)) && !said.contains(TEXT), "{said}");
    let mut rest = said.as_str();
    let steps = ["--> POST /?_task=login ", "Set-Cookie: roundcube_sessauth=<secret>;", "Location: /?_task=mail&_token=<secret>"];
    for step in steps.into_iter().chain([
        "x-roundcube-request: <secret>",
        "_action=show&_uid=",
        "GET /?_task=logout&_token=<secret> ",
        "status: ok",
    ]) {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} at its place in:\n{said}")).1;
    }
}

fn a_session_may_send_nothing(watch: &Watch) {
    let sent_before = sent(&watch.lab).len();
    let found = ran(watch, "reading");
    assert!(!found.contains_key("compose_send_time") && found.contains_key("logout_time"), "{found:?}");
    assert_eq!(sent(&watch.lab).len(), sent_before);
}

/// Runs a job that has to fail so, and to keep just that.
fn fails(watch: &Watch, job: &str, kind: &str, message: &str, kept: &[&str]) {
    let said = watch.house.run(&["jobs", "run", job]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let told: Value = watch.status(job);
    let found = told["why"].as_str().unwrap_or_default();
    assert!(told["kind"] == kind && found.starts_with(message), "{told}");
    let scrape = watch.scrape();
    assert_eq!(scrape.up(job), Some("0"));
    assert_eq!(recorded(watch, job).keys().collect::<Vec<_>>(), kept);
}

/// Pages that Roundcube served, with what each took by its own clock.
fn served(lab: &Lab) -> Vec<(String, f64)> {
    let times = fs::read_to_string(lab.dir.join("roundcube/state/times")).unwrap();
    let page = |line: &str| {
        let mut words = line.splitn(4, ' ').skip(1);
        let (seconds, page) = (words.next().unwrap().parse().unwrap(), words.nth(1).unwrap().to_owned());
        (page, seconds)
    };
    times.lines().map(page).collect()
}

/// What Roundcube's own log says of the messages it sent.
fn sent(lab: &Lab) -> Vec<String> {
    let log = fs::read_to_string(lab.dir.join("roundcube/state/logs/sendmail.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// Deliveries to the mailbox, by Postfix's log.
fn arrived(lab: &Lab) -> usize {
    log(lab).lines().filter(|line| line.contains("to=<alice@lab.test>") && line.contains("status=sent")).count()
}

fn log(lab: &Lab) -> String {
    fs::read_to_string(lab.dir.join("postfix/log")).unwrap()
}

/// UIDs in the mailbox, as Dovecot gives them to curl.
fn mails(lab: &Lab) -> String {
    let (inbox, login) = (format!("imap://127.0.0.1:{}/INBOX", lab.port("imap")), format!("alice@lab.test:{}", lab.password(ALICE)));
    let found = programs::output_of("curl", &["-sS", "--max-time", "10", &inbox, "-u", &login, "-X", "UID SEARCH ALL"]);
    found.trim().strip_prefix("* SEARCH").unwrap_or_else(|| panic!("{found}")).trim().to_owned()
}

/// Sends the user a message, and waits until it is there.
fn deliver(lab: &Lab) {
    let file = lab.dir.join("message");
    fs::write(&file, format!("From: <probe@lab.test>\r\nTo: <alice@lab.test>\r\nSubject: {TEXT}\r\n\r\n{TEXT}\r\n")).unwrap();
    let (url, file) = (format!("smtp://127.0.0.1:{}", lab.port("smtp")), file.display().to_string());
    let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "probe@lab.test", "--mail-rcpt", "alice@lab.test", "-T", &file];
    programs::output_of("curl", &words);
    let come = until(DELIVERY_TIMEOUT, || {
        sleep(Duration::from_millis(50));
        (!mails(lab).is_empty()).then_some(())
    });
    assert!(come.is_some(), "no message comes");
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
