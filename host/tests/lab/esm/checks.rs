//! Each row, who says the same, and how far both may differ.

use super::witness::Theirs;

/// How far two may differ.
pub(super) enum Tolerance {
    /// Not at all.
    None,
    /// By so many seconds, and neither is 0.
    Seconds(f64),
}

/// A row and its witness.
pub(super) struct Check {
    pub(super) row: u64,
    /// Whether it is what was added since the clients began.
    pub(super) is_counted: bool,
    pub(super) source: &'static str,
    pub(super) tolerance: Tolerance,
    pub(super) theirs: fn(&Theirs) -> f64,
}

/// Seconds by which two clients of a server on loopback may differ. `timing` compares phases over a wire on which each answer takes 0.3 s.
const SECONDS: f64 = 0.1;
/// The same of a page, which the server clocks from the request on, and the client with its connection.
const PAGE_SECONDS: f64 = 0.3;
const fn gauge(row: u64, source: &'static str, tolerance: Tolerance, theirs: fn(&Theirs) -> f64) -> Check {
    Check { row, is_counted: false, source, tolerance, theirs }
}

const fn count(row: u64, source: &'static str, theirs: fn(&Theirs) -> f64) -> Check {
    Check { row, is_counted: true, source, tolerance: Tolerance::None, theirs }
}

const fn time(row: u64, source: &'static str, theirs: fn(&Theirs) -> f64) -> Check {
    gauge(row, source, Tolerance::Seconds(SECONDS), theirs)
}

const fn page(row: u64, theirs: fn(&Theirs) -> f64) -> Check {
    gauge(row, "PHP's own clock of those pages", Tolerance::Seconds(PAGE_SECONDS), theirs)
}

impl Check {
    /// Whether it is a time, which another client clocks beside.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.tolerance, Tolerance::Seconds(_))
    }
}

/// The table.
pub(super) const CHECKS: [Check; 68] = [
    gauge(24, "curl, which hands in a message", Tolerance::None, |it| it.clocks["smtp up"]),
    time(25, "curl's time_connect", |it| it.clocks["smtp connect"]),
    time(26, "curl, from its first command to the end", |it| it.clocks["smtp transmission"]),
    gauge(27, "ss: established at ports of Postfix", Tolerance::None, |it| it.connected["smtp"]),
    count(28, "the clients of this test, and pflogsumm", |it| it.both("smtpd connections", it.done.smtp)),
    count(29, "pflogsumm's deferrals", |it| it.added("deferrals")),
    count(30, "messages removed by qmgr, a grep", |it| it.added("removed")),
    gauge(31, "curl, which lists a mailbox", Tolerance::None, |it| it.clocks["pop3 up"]),
    time(32, "curl's time_connect", |it| it.clocks["pop3 connect"]),
    time(33, "curl, from TLS to ready", |it| it.clocks["pop3 login"]),
    time(34, "curl, from TLS to the end", |it| it.clocks["pop3 session"]),
    time(35, "curl, from TLS to the end, with RETR", |it| it.clocks["pop3 download"]),
    gauge(36, "ss: established at ports of POP3", Tolerance::None, |it| it.connected["pop3"]),
    count(37, "the clients of this test", |it| it.done.pop3),
    count(38, "the clients of this test", |it| it.done.pop3_failed),
    count(39, "the client of this test, and a grep", |it| it.both("pop3 refused", it.done.pop3_rejected)),
    count(40, "the client of this test, and a grep", |it| it.both("pop3 inactive", it.done.pop3_timed_out)),
    count(41, "the clients of this test", |it| it.done.pop3_retrieved),
    gauge(42, "curl, which lists a mailbox", Tolerance::None, |it| it.clocks["imap up"]),
    time(43, "curl's time_connect", |it| it.clocks["imap connect"]),
    time(44, "curl, from TLS to ready", |it| it.clocks["imap login"]),
    time(45, "curl, from TLS to the end, with SELECT", |it| it.clocks["imap session"]),
    time(46, "curl, from TLS to the end, with FETCH", |it| it.clocks["imap download"]),
    time(47, "curl, from TLS to the end, with LOGOUT", |it| it.clocks["imap session"]),
    gauge(48, "ss: established at ports of IMAP", Tolerance::None, |it| it.connected["imap"]),
    count(49, "the clients of this test", |it| it.done.imap),
    count(50, "the clients of this test", |it| it.done.imap_failed),
    count(51, "the client of this test, and a grep", |it| it.both("imap refused", it.done.imap_rejected)),
    count(52, "the clients of this test, and a grep", |it| it.both("imap inactive", it.done.imap_timed_out)),
    count(53, "the clients of this test", |it| it.done.imap_fetches),
    count(54, "the clients of this test", |it| it.done.imap_deleted),
    count(55, "the clients of this test", |it| it.done.imap_searches),
    gauge(56, "curl, which gets the page of the login", Tolerance::None, |it| it.clocks["webmail up"]),
    time(57, "curl's time_connect", |it| it.clocks["webmail connect"]),
    page(58, |it| it.clocks["authenticate"]),
    page(59, |it| it.clocks["select"]),
    page(60, |it| it.clocks["download"]),
    page(61, |it| it.clocks["compose_send"]),
    page(62, |it| it.clocks["logout"]),
    gauge(63, "ss: established to the port of LMTP", Tolerance::None, |it| it.connected["delivery"]),
    count(64, "Dovecot's log and refused connections, a grep", |it| it.added("lmtp connections") - it.done.lmtp + it.added("refused")),
    count(65, "connections refused, a grep", |it| it.added("refused")),
    gauge(66, "ss: established at the port of LMTP", Tolerance::None, |it| it.connected["store"]),
    count(67, "Dovecot's log, a grep", |it| it.added("lmtp connections")),
    count(68, "the clients of this test", |it| it.done.lmtp_failed),
    count(69, "the clients of this test", |it| it.done.received),
    count(70, "the sizes in Postfix' log", |it| it.added("lmtp bytes")),
    count(71, "files in mailboxes", |it| it.added("files")),
    count(72, "files in mailboxes", |it| it.added("file bytes")),
    gauge(73, "ss: connections at sockets of auth", Tolerance::None, |it| it.connected["auth"]),
    count(74, "doveadm stats dump", |it| it.added("auth connections")),
    count(75, "the clients of this test, and doveadm stats dump", |it| it.both("auth connections failed", it.done.auth_failed)),
    count(76, "the clients of this test", |it| it.done.directory_logins()),
    count(77, "the clients of this test", |it| it.done.directory_bad + it.done.directory_unknown),
    count(78, "the clients of this test", |it| it.done.directory_good),
    count(79, "the clients of this test", |it| it.done.directory_unknown),
    count(80, "the clients of this test", |it| it.done.directory_bad),
    gauge(81, "ldapsearch, which finds the person", Tolerance::None, |it| it.clocks["ldap up"]),
    time(82, "ldapsearch as a whole", |it| it.clocks["ldap"]),
    time(83, "ldapsearch as a whole", |it| it.clocks["ldap"]),
    time(84, "ldapsearch as a whole", |it| it.clocks["ldap"]),
    gauge(85, "Postfix' delay of that message", Tolerance::Seconds(0.3), |it| it.clocks["roundtrip"]),
    gauge(86, "dig, which gets the exchanger", Tolerance::None, |it| it.clocks["dns up"]),
    time(87, "dig's query time", |it| it.clocks["dns"]),
    count(88, "lines of faults in both logs, a grep", |it| it.added("faults")),
    gauge(89, "postqueue -j", Tolerance::None, |it| it.after["deferred"]),
    gauge(90, "files in the folder corrupt", Tolerance::None, |it| it.after["corrupt"]),
    gauge(91, "postqueue -j", Tolerance::None, |it| it.after["queued"]),
];
