//! What others say: servers' own programs and logs, the kernel's table, and the clocks of other clients.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::clients::{self, Done};
use crate::{harness::until, programs, servers::Lab};

/// How long a log may take to be written.
const WRITTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Figures by name.
pub(super) type Counts = BTreeMap<&'static str, f64>;

/// All that others say.
pub(super) struct Theirs<'a> {
    pub(super) before: &'a Counts,
    pub(super) after: &'a Counts,
    pub(super) done: &'a Done,
    pub(super) clocks: &'a Counts,
    pub(super) connected: &'a Counts,
}

impl Theirs<'_> {
    /// By how much a count has risen.
    pub(super) fn added(&self, name: &str) -> f64 {
        self.after[name] - self.before[name]
    }

    /// What two agree on; nothing that equals anything where they do not.
    pub(super) fn both(&self, name: &str, other: f64) -> f64 {
        if self.added(name) == other { other } else { f64::NAN }
    }
}

/// Counts as they are now.
pub(super) fn counts(lab: &Lab) -> Counts {
    let (postfix, dovecot) = (lab.dir.join("postfix/log"), lab.dir.join("dovecot/log"));
    let summary = programs::output_of("pflogsumm", &["--smtpd_stats", "--detail", "0", postfix.to_str().unwrap()]);
    let (mta, store) = (fs::read_to_string(&postfix).unwrap(), fs::read_to_string(&dovecot).unwrap());
    let queue = programs::output_of("postqueue", &["-c", lab.dir.join("postfix/etc").to_str().unwrap(), "-j"]);
    let files: Vec<_> = clients::RECIPIENTS.iter().flat_map(|user| clients::files_of(lab, user)).collect();
    let statistics = statistics(lab);
    let count = |name: &str| statistics.get(name).copied().unwrap_or(0.0);
    Counts::from([
        ("smtpd connections", summed(&summary, "connections")),
        ("deferrals", deferrals(&summary)),
        ("removed", lines(&mta, |line| line.ends_with(": removed"))),
        ("refused", lines(&mta, |line| line.contains(": connect to 127.0.0.1[127.0.0.1]:9: Connection refused"))),
        ("pop3 refused", lines(&store, |line| line.contains(" pop3-login: ") && line.contains("Maximum number of connections"))),
        ("imap refused", lines(&store, |line| line.contains(" imap-login: ") && line.contains("Maximum number of connections"))),
        ("pop3 inactive", lines(&store, |line| line.contains(" pop3-login: ") && line.contains("Inactivity"))),
        ("imap inactive", lines(&store, |line| line.contains(" imap-login: ") && line.contains("Inactivity"))),
        ("lmtp connections", lines(&store, |line| line.contains(" lmtp(") && line.contains("Connect from "))),
        ("lmtp bytes", bytes_by_lmtp(&mta)),
        ("files", files.len() as f64),
        ("file bytes", files.iter().map(|file| fs::metadata(file).map_or(0.0, |facts| facts.len() as f64)).sum()),
        ("auth connections", count("auth_connection")),
        ("auth connections failed", count("auth_connection_failed")),
        ("faults", lines(&mta, is_fault) + lines(&store, is_fault)),
        ("deferred", lines(&queue, |line| line.contains("\"queue_name\": \"deferred\""))),
        ("queued", lines(&queue, |_| true)),
        ("corrupt", fs::read_dir(lab.dir.join("postfix/queue/corrupt")).unwrap().count() as f64),
    ])
}

/// How large the messages were, as Postfix has it, that LMTP took; each once, however many recipients it has.
fn bytes_by_lmtp(log: &str) -> f64 {
    let id = |line: &str| line.split_once("]: ").and_then(|(_, rest)| rest.split_once(':')).map(|(id, _)| id.to_owned());
    let taken: BTreeSet<String> =
        log.lines().filter(|line| line.contains("postfix/lmtp[") && line.contains("status=sent")).filter_map(id).collect();
    let size = |line: &str| line.split_once(", size=")?.1.split(',').next()?.parse::<f64>().ok();
    let sizes: BTreeMap<String, f64> = log.lines().filter_map(|line| Some((id(line)?, size(line)?))).collect();
    taken.iter().filter_map(|id| sizes.get(id)).sum()
}

fn lines(text: &str, such: impl Fn(&str) -> bool) -> f64 {
    text.lines().filter(|line| such(line)).count() as f64
}

fn is_fault(line: &str) -> bool {
    ["warning: ", "error: ", "fatal: ", "panic: "].iter().any(|word| line.to_lowercase().contains(&format!(": {word}")))
}

/// A line of pflogsumm: `     6   connections`.
fn summed(summary: &str, name: &str) -> f64 {
    let found = summary.lines().filter_map(|line| line.trim().split_once(' ')).find(|(_, rest)| rest.trim() == name);
    found.map_or(0.0, |(number, _)| number.parse().unwrap())
}

/// As in `     2   deferred  (4  deferrals)`.
fn deferrals(summary: &str) -> f64 {
    let line = summary.lines().find(|line| line.contains(" deferred "));
    let number = line.and_then(|line| line.split_once('(')?.1.split_whitespace().next());
    number.map_or(0.0, |number| number.parse().unwrap())
}

/// `doveadm stats dump`: the name of a metric and how often it was met.
fn statistics(lab: &Lab) -> BTreeMap<String, f64> {
    let config = lab.dir.join("dovecot/dovecot.conf");
    let dump = programs::output_of("doveadm", &["-c", config.to_str().unwrap(), "-f", "tab", "stats", "dump"]);
    let of_line = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        // The first field that counts stands behind the name of what is counted.
        fields.find_map(|field| field.parse::<f64>().ok()).map(|count| (name, count))
    };
    dump.lines().skip(1).filter_map(of_line).collect()
}

/// Who is connected, by the kernel.
pub(super) fn connected(lab: &Lab) -> Counts {
    let at = |services: &[&str]| {
        let ports: Vec<String> = services.iter().map(|service| format!("sport = :{}", lab.port(service))).collect();
        established(&ports.join(" or "))
    };
    Counts::from([
        ("smtp", at(&["smtp", "smtps", "submission"])),
        ("pop3", at(&["pop3", "pop3s"])),
        ("imap", at(&["imap", "imaps"])),
        ("delivery", established(&format!("dport = :{}", lab.port("lmtp")))),
        ("store", at(&["lmtp"])),
        ("auth", at_sockets_of_auth(lab)),
    ])
}

/// Connections that are established, by a filter of ss(8).
pub(super) fn established(filter: &str) -> f64 {
    let listed = programs::output_of("ss", &["-Htn", "state", "established", &format!("( {filter} )")]);
    lines(&listed, |line| !line.trim().is_empty())
}

fn at_sockets_of_auth(lab: &Lab) -> f64 {
    let run = lab.dir.join("dovecot/run");
    let names = ["login/login", "auth-login", "auth-client", "auth-userdb", "auth-master"].map(|name| run.join(name));
    let paths: Vec<String> = names.iter().chain([&lab.dir.join("dovecot/auth-postfix")]).map(|path| path.display().to_string()).collect();
    let listed = programs::output_of("ss", &["-Hx", "state", "established"]);
    lines(&listed, |line| line.split_whitespace().any(|word| paths.iter().any(|path| path == word)))
}

/// Pages of a session by web mail, by phase: method, task, action.
const PAGES: [(&str, &[&str]); 5] = [
    ("authenticate", &["GET login -", "POST login login"]),
    ("select", &["GET mail -", "GET mail list"]),
    ("download", &["GET mail show"]),
    ("compose_send", &["GET mail compose", "POST mail send"]),
    ("logout", &["GET logout -"]),
];

/// The pages that web mail has served, each with its seconds.
pub(super) fn served(lab: &Lab) -> Vec<(String, f64)> {
    let times = fs::read_to_string(lab.dir.join("roundcube/state/times")).unwrap_or_default();
    let lines = times.lines().filter_map(|line| {
        let mut fields = line.splitn(4, ' ');
        let seconds = fields.nth(1)?.parse().ok()?;
        Some((fields.nth(1)?.to_owned(), seconds))
    });
    lines.collect()
}

/// How long other clients take, and whether they get what they ask for (1); web mail served these pages.
pub(super) fn clocks(lab: &Lab, served: &[(String, f64)]) -> Counts {
    let mut clocks = Counts::new();
    for (phase, pages) in PAGES {
        let own = served.iter().filter(|(page, _)| pages.contains(&page.as_str()));
        clocks.insert(phase, own.map(|(_, seconds)| seconds).sum());
    }
    let message = tempfile::NamedTempFile::new().unwrap();
    fs::write(message.path(), "Subject: clock\r\n\r\nhello\r\n").unwrap();
    let words = ["--mail-from", "bob@lab.test", "--mail-rcpt", "probe@lab.test", "-T", message.path().to_str().unwrap()];
    let smtp = curl(lab, &format!("smtp://mail.lab.test:{}", lab.port("smtp")), &words);
    clocks.extend([("smtp up", 1.0), ("smtp connect", smtp["time_connect"])]);
    clocks.insert("smtp transmission", smtp["time_total"] - smtp["time_pretransfer"]);

    let login = format!("probe@lab.test:{}", lab.password("probe"));
    let reads = |url: &str, more: &[&str]| curl(lab, url, &[&["--ssl-reqd", "-u", &login][..], more].concat());
    let phases = |times: &BTreeMap<String, f64>| {
        (times["time_connect"], times["time_pretransfer"] - times["time_appconnect"], times["time_total"] - times["time_appconnect"])
    };
    let place = format!("pop3://mail.lab.test:{}/", lab.port("pop3"));
    let (connect, login_time, session) = phases(&reads(&place, &[]));
    let download = phases(&reads(&format!("{place}1"), &[])).2;
    clocks.extend([
        ("pop3 up", 1.0),
        ("pop3 connect", connect),
        ("pop3 login", login_time),
        ("pop3 session", session),
        ("pop3 download", download),
    ]);
    let place = format!("imap://mail.lab.test:{}/INBOX", lab.port("imap"));
    let (connect, login_time, session) = phases(&reads(&place, &["-X", "NOOP"]));
    let download = phases(&reads(&format!("{place};MAILINDEX=1"), &[])).2;
    clocks.extend([
        ("imap up", 1.0),
        ("imap connect", connect),
        ("imap login", login_time),
        ("imap session", session),
        ("imap download", download),
    ]);

    let page = curl(lab, &format!("http://127.0.0.1:{}/", lab.port("webmail")), &[]);
    clocks.extend([("webmail up", 1.0), ("webmail connect", page["time_connect"])]);
    let (up, time) = directory(lab);
    clocks.extend([("ldap up", up), ("ldap", time), ("roundtrip", delay_of_roundtrip(&lab.dir.join("postfix/log")))]);
    let (up, time) = resolver(lab);
    clocks.extend([("dns up", up), ("dns", time)]);
    clocks
}

/// What curl clocks; it has to be content.
fn curl(lab: &Lab, url: &str, more: &[&str]) -> BTreeMap<String, f64> {
    let port = url.rsplit_once(':').unwrap().1.split(['/', ';']).next().unwrap();
    let resolve = format!("mail.lab.test:{port}:127.0.0.1");
    let words = [
        "-sS",
        "--max-time",
        "20",
        "--cacert",
        lab.ca_file(),
        "--resolve",
        &resolve,
        "-o",
        "/dev/null",
        "-w",
        "%{stdout}%{json}",
        "--url",
        url,
    ];
    let said = programs::output_of("curl", &[&words[..], more].concat());
    let parsed: Value = serde_json::from_str(&said).unwrap();
    parsed.as_object().unwrap().iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// Whether the person is found, and how long ldapsearch takes as a whole.
fn directory(lab: &Lab) -> (f64, f64) {
    let (url, begun) = (format!("ldap://127.0.0.1:{}", lab.port("ldap")), Instant::now());
    let words = ["-x", "-LLL", "-H", &url, "-b", "ou=people,dc=lab,dc=test", "(mail=alice@lab.test)", "uid"];
    let found = programs::output_of("ldapsearch", &words);
    (lines(&found, |line| line == "uid: alice"), begun.elapsed().as_secs_f64())
}

/// Whether the exchanger is named, and dig's clock.
fn resolver(lab: &Lab) -> (f64, f64) {
    let said = programs::output_of("dig", &["@127.0.0.1", "-p", &lab.port("dns").to_string(), "lab.test", "MX"]);
    let time = said.split_once(";; Query time: ").unwrap().1.split_once(" msec").unwrap().0;
    let is_named = said.lines().any(|line| line.starts_with("lab.test.") && line.ends_with("10 mail.lab.test."));
    (f64::from(u8::from(is_named)), time.parse::<f64>().unwrap() / 1000.0)
}

/// How long Postfix had the last message that alice wrote to herself, from the first word to the mailbox.
fn delay_of_roundtrip(log: &Path) -> f64 {
    let delay = until(WRITTEN_TIMEOUT, || {
        let log = fs::read_to_string(log).unwrap();
        let id = |line: &str| line.split_once("]: ").and_then(|(_, rest)| rest.split_once(':')).map(|(id, _)| id.to_owned());
        let sent = log.lines().rfind(|line| line.contains(": from=<alice@lab.test>")).and_then(id)?;
        let line =
            log.lines().rfind(|line| line.contains(&sent) && line.contains(" to=<alice@lab.test>") && line.contains("status=sent"))?;
        line.split_once(" delay=")?.1.split(',').next()?.parse().ok()
    });
    // Nothing equals that.
    delay.unwrap_or(f64::NAN)
}
