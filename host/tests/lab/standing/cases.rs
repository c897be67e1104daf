//! What stands wrong in the lab, and what must be said of it.

use crate::servers::Lab;

/// A job that meets a fault, and what must become of it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) agent: &'static str,
    pub(super) config: String,
    /// Kind and reason of the failure; none where the fault is expected, or overcome.
    pub(super) fails: Option<(&'static str, &'static str)>,
    /// What is known all the same, by its family without `watchpost_`; nothing else may be.
    pub(super) known: Vec<&'static str>,
}

/// Whom the directory knows by another password.
const USER: &str = "uid=alice,ou=people,dc=lab,dc=test";
/// Up to the connection, as every session begins.
const CONNECTED: [&str; 2] = ["resolve_time_seconds", "connect_time_seconds"];
/// Up to the greeting.
const GREETED: [&str; 3] = ["resolve_time_seconds", "connect_time_seconds", "banner_time_seconds"];
/// Up to the answer of a name server.
const ANSWERED: [&str; 2] = ["resolve_time_seconds", "query_time_seconds"];

fn case(agent: &'static str, name: String, config: String, fails: Option<(&'static str, &'static str)>, known: &[&'static str]) -> Case {
    Case { name, agent, config, fails, known: known.to_vec() }
}

/// The keys that lead to a service of the lab.
fn at(lab: &Lab, host: &str, service: &str) -> String {
    format!("host = \"{host}\", port = {}", lab.port(service))
}

/// The keys of a session that trusts the lab's authority.
fn trusting(lab: &Lab, mode: &str) -> String {
    format!("tls = \"{mode}\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file())
}

/// A wrong password, in each way of saying one: nothing after the login may be claimed.
pub(super) fn logins(lab: &Lab, password: &str) -> Vec<Case> {
    let login = |agent, name: &str, service: &str, more: &str, why, known: &[_]| {
        let place = at(lab, "127.0.0.1", service);
        let config = format!("{place}, user = \"alice@lab.test\", password = {password}, {more}");
        case(agent, format!("{agent}-login-{name}"), config, Some(("auth", why)), known)
    };
    let (starttls, implicit) = (trusting(lab, "starttls"), trusting(lab, "implicit"));
    let (smtp, pop3): (&[_], &[_]) =
        (&[GREETED.as_slice(), &["ehlo_time_seconds", "tls_time_seconds"]].concat(), &[GREETED.as_slice(), &["tls_time_seconds"]].concat());
    let refused = "[AUTH] Authentication failed.";
    let imap = "the server answered NO [AUTHENTICATIONFAILED]";
    let directory = format!("{}, user = {USER:?}, password = {password}", at(lab, "127.0.0.1", "ldap"));
    vec![
        login("smtp", "starttls", "submission", &starttls, "AUTH PLAIN: the server answered 535 5.7.8", smtp),
        login("smtp", "implicit", "smtps", &implicit, "AUTH PLAIN: the server answered 535 5.7.8", smtp),
        login("smtp", "dovecot", "dovecot_submission", &starttls, "AUTH PLAIN: the server answered 535 5.7.8", smtp),
        login("pop3", "plain", "pop3", &format!("{starttls}, auth = \"plain\""), refused, pop3),
        login("pop3", "user", "pop3s", &format!("{implicit}, auth = \"user\""), refused, pop3),
        login("pop3", "apop", "pop3", "auth = \"apop\"", refused, &GREETED),
        login("imap", "plain", "imap", &starttls, imap, pop3),
        login("imap", "login", "imap", "auth = \"login\"", imap, &GREETED),
        case("ldap", "ldap-login".into(), directory, Some(("auth", "bind: the server answered invalidCredentials (49)")), &CONNECTED),
    ]
}

/// What a server refuses by its rules, and goes on: the step before is known, and nothing of that step but its failure.
pub(super) fn refusals(lab: &Lab) -> Vec<Case> {
    let mail = |to: &str| format!("{}, from = \"probe@lab.test\", to = \"{to}\"", at(lab, "127.0.0.1", "smtp"));
    let asked = [GREETED.as_slice(), &["ehlo_time_seconds", "mail_time_seconds"]].concat();
    let login = format!("user = \"alice@lab.test\", password = {{ file = {:?} }}", lab.password_file("alice"));
    let mailbox = format!("{}, {login}, mailbox = \"Nowhere\"", at(lab, "127.0.0.1", "imap"));
    let nowhere = format!("{}, base = \"dc=nowhere\"", at(lab, "127.0.0.1", "ldap"));
    let bound = [CONNECTED.as_slice(), &["bind_time_seconds", "search_time_seconds"]].concat();
    let protocol = |why| Some(("protocol", why));
    vec![
        case("smtp", "smtp-relay".into(), mail("somebody@elsewhere.example"), protocol("RCPT: the server answered 550 5.1.2"), &asked),
        case("smtp", "smtp-nobody".into(), mail("nobody@lab.test"), protocol("RCPT: the server answered 550 5.1.1"), &asked),
        case(
            "imap",
            "imap-mailbox".into(),
            mailbox,
            protocol("EXAMINE: the server answered NO Mailbox doesn't exist"),
            &[GREETED.as_slice(), &["authenticate_time_seconds"]].concat(),
        ),
        case("ldap", "ldap-base".into(), nowhere, protocol("search: the server answered noSuchObject (32)"), &bound),
    ]
}

/// Round trips that never begin: nothing is sent, and nothing of a way is known.
pub(super) fn roundtrips(lab: &Lab, password: &str) -> Vec<Case> {
    let trip = |name: &str, door: &str, to: &str, password: &str, fails| {
        let mailbox = format!("{}, user = \"probe@lab.test\", password = {password}", at(lab, "127.0.0.1", "imap"));
        let config = format!("{door}, from = \"probe@lab.test\", to = \"{to}@lab.test\", receive = {{ imap = {{ {mailbox} }} }}");
        case("roundtrip", format!("roundtrip-{name}"), config, Some(fails), &[])
    };
    let (door, own) = (at(lab, "127.0.0.1", "smtp"), format!("{{ file = {:?} }}", lab.password_file("probe")));
    let expired = format!("{}, {}", at(lab, lab.faulty("expired"), "smtp"), trusting(lab, "starttls"));
    vec![
        trip("expired", &expired, "probe", &own, ("tls", "the certificate expired")),
        trip("nobody", &door, "nobody", &own, ("protocol", "RCPT: the server answered 550 5.1.1")),
        trip("login", &door, "probe", password, ("auth", "the server answered NO [AUTHENTICATIONFAILED]")),
    ]
}

/// Certificates that must be refused, shown by Postfix and Dovecot, before and after a greeting, by slapd and by BIND.
pub(super) fn certificates(lab: &Lab) -> Vec<Case> {
    let faults = [
        ("expired", "the certificate expired"),
        ("wrong_name", "the certificate is for wrong.example, not for mail.lab.test"),
        ("unknown_ca", "the certificate's authority is not in "),
    ];
    let doors = [
        ("smtp", "smtp", "starttls"),
        ("smtp", "smtps", "implicit"),
        ("pop3", "pop3", "starttls"),
        ("pop3", "pop3s", "implicit"),
        ("imap", "imap", "starttls"),
        ("imap", "imaps", "implicit"),
        ("ldap", "ldap", "starttls"),
        ("ldap", "ldaps", "implicit"),
    ];
    let each = doors.iter().flat_map(|&(agent, service, mode)| {
        faults.iter().map(move |&(fault, why)| {
            let config = format!("{}, {}", at(lab, lab.faulty(fault), service), trusting(lab, mode));
            let greeted = [GREETED.as_slice(), if agent == "smtp" { &["ehlo_time_seconds"] } else { &[] }].concat();
            // A directory does not greet.
            let known = if mode == "implicit" || agent == "ldap" { CONNECTED.to_vec() } else { greeted };
            case(agent, format!("{service}-{}", fault.replace('_', "-")), config, Some(("tls", why)), &known)
        })
    });
    let of_named = faults.iter().map(|&(fault, why)| {
        let question = format!("{}, name = \"lab.test\", type = \"MX\"", at(lab, "127.0.0.1", &format!("dot_{fault}")));
        let config = format!("{question}, transport = \"tls\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file());
        case("dns", format!("dot-{}", fault.replace('_', "-")), config, Some(("tls", why)), &CONNECTED)
    });
    each.chain(of_named).chain(certificates_of_this_job(lab)).collect()
}

/// A good certificate, which is not what these jobs ask for.
fn certificates_of_this_job(lab: &Lab) -> Vec<Case> {
    let door = |service: &str, mode: &str, name: &str, more: &str, why| {
        let config = format!("{}, tls = \"{mode}\", {more}", at(lab, "127.0.0.1", service));
        case("ldap", format!("{service}-{name}"), config, Some(("tls", why)), &CONNECTED)
    };
    let other = format!("server_name = \"other.example\", ca_file = {:?}", lab.ca_file());
    vec![
        door("ldap", "starttls", "other-name", &other, "not for other.example"),
        door("ldaps", "implicit", "system-ca", "server_name = \"mail.lab.test\"", "the certificate's authority is unknown to this system"),
    ]
}

/// Names that do not resolve, zones that fail, and answers that are not those expected.
pub(super) fn names(lab: &Lab) -> Vec<Case> {
    let question = |name: &str, more: &str, fails, known: &[_]| {
        case("dns", format!("dns-{name}"), format!("{}, {more}", at(lab, "127.0.0.1", "dns")), fails, known)
    };
    let protocol = |why| Some(("protocol", why));
    let with = |more: &[&'static str]| [ANSWERED.as_slice(), more].concat();
    let (counted, found) = (with(&["dns_answers"]), with(&["dns_answers", "dns_answer_ttl_seconds"]));
    let by_both = with(&["connect_time_seconds", "total_time_seconds", "dns_answers", "dns_answer_ttl_seconds"]);
    vec![
        question("nxdomain", "name = \"nobody.lab.test\"", protocol("NXDOMAIN"), &counted),
        question(
            "nxdomain-expected",
            "name = \"nobody.lab.test\", expect = \"NXDOMAIN\"",
            None,
            &[&counted[..], &["total_time_seconds"]].concat(),
        ),
        question("servfail", "name = \"mail.broken.test\"", protocol("SERVFAIL"), &ANSWERED),
        question("refused", "name = \"www.example.org\"", protocol("REFUSED"), &ANSWERED),
        question("other-answer", "name = \"mail.lab.test\", expect = \"127.0.0.99\"", protocol("127.0.0.99"), &found),
        question("one-missing", MISSING_EXCHANGER, protocol("30 third.lab.test."), &found),
        question("no-answer", "name = \"mail.lab.test\", type = \"AAAA\", expect = \"::1\"", protocol("::1"), &counted),
        question("truncated-udp", "name = \"big.lab.test\", type = \"TXT\", transport = \"udp\"", protocol("truncated"), &ANSWERED),
        question("truncated", "name = \"big.lab.test\", type = \"TXT\"", None, &by_both),
    ]
}

/// Two of three exchangers are there.
const MISSING_EXCHANGER: &str =
    "name = \"lab.test\", type = \"MX\", expect = [\"10 mail.lab.test.\", \"20 backup.lab.test.\", \"30 third.lab.test.\"]";
