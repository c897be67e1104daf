//! Connections that the kernel knows, beside what `ss` and `doveadm who` say of the same.

use std::{os::unix::net::UnixStream, time::Duration};

use super::{Counting, job, talk::Talk};
use crate::{harness::until, programs, servers::Lab};

/// How long Postfix may take to begin a delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn jobs(lab: &Lab) -> String {
    let port = |service: &str| lab.port(service);
    let [mta, pop, imap] = [["smtp", "submission", "smtps"].as_slice(), &["pop3", "pop3s"], &["imap", "imaps"]].map(|services| {
        let ports: Vec<String> = services.iter().map(|service| port(service).to_string()).collect();
        format!("local = [{}]", ports.join(", "))
    });
    let lmtp = port("lmtp");
    let mut jobs = job("mta-clients", "connections", &mta);
    jobs += &job("pop-clients", "connections", &pop);
    jobs += &job("imap-clients", "connections", &imap);
    jobs += &job("store-clients", "connections", &format!("local = {lmtp}"));
    jobs += &job("deliveries", "connections", &format!("remote = \"127.0.0.1:{lmtp}\""));
    jobs + &job("auth-clients", "connections", &format!("socket = {:?}", auth_socket(lab)))
}

fn auth_socket(lab: &Lab) -> String {
    lab.dir.join("dovecot/auth-postfix").display().to_string()
}

#[test]
fn the_kernel_counts_who_is_connected_as_ss_and_dovecot_do() {
    let Some(counting) = Counting::start() else { return };
    if !programs::there("ss") {
        return;
    }
    let lab = &counting.lab;
    // Those of the lab that looked whether the servers are up have to be gone.
    let active = |job: &str| counting.measure(job).get("connections_active");
    let idle =
        until(DELIVERY_TIMEOUT, || ["mta-clients", "pop-clients", "imap-clients"].iter().all(|job| active(job) == 0.0).then_some(()));
    assert!(idle.is_some(), "somebody else is connected");

    let mta: Vec<Talk> = ["smtp", "smtp", "smtp", "submission"].map(|service| Talk::to(lab, service)).into();
    let imap: Vec<(Talk, String)> = (0..3).map(|_| Talk::log_in(lab, "alice@lab.test", &lab.password("alice"))).collect();
    let stranger = Talk::to(lab, "imap"); // connected, and nobody yet
    let pop: Vec<Talk> = (0..2).map(|_| pop3(lab, "bob")).collect();
    assert!(imap.iter().all(|(_, said)| said.starts_with("OK")));
    assert_eq!(["mta-clients", "imap-clients", "pop-clients"].map(active), [4.0, 4.0, 2.0]);
    let count = |services: &[&str]| services.iter().map(|service| ss(lab, "sport", service)).sum::<usize>();
    assert_eq!((count(&["smtp", "submission", "smtps"]), count(&["imap", "imaps"]), count(&["pop3", "pop3s"])), (4, 4, 2), "as ss counts");
    // doveadm knows those who are logged in.
    assert_eq!((active("doveadm-imap"), active("dovecot-pop3")), (3.0, 2.0));
    let conf = lab.dir.join("dovecot/dovecot.conf");
    let who = programs::output_of("doveadm", &["-c", conf.to_str().unwrap(), "who", "-1"]);
    let of = |service: &str| who.lines().filter(|line| line.split_whitespace().any(|word| word == service)).count();
    assert_eq!((of("imap"), of("pop3")), (3, 2), "{who}");

    let had = active("auth-clients");
    let sockets: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(auth_socket(lab)).unwrap()).collect();
    let accepted = until(DELIVERY_TIMEOUT, || (active("auth-clients") == had + 3.0).then_some(()));
    assert!(accepted.is_some(), "{} and not {had} + 3", active("auth-clients"));
    let theirs = programs::output_of("ss", &["--no-header", "-x", "state", "established", "src", &auth_socket(lab)]).lines().count();
    assert_eq!(theirs as f64, had + 3.0, "as ss counts");
    drop((mta, imap, pop, stranger, sockets));
    deliveries(&counting);
}

/// A mail store that is stuck: deliveries of Postfix wait in their connections, which both ends show.
fn deliveries(counting: &Counting) {
    let lab = &counting.lab;
    let active = |job: &str| counting.measure(job).get("connections_active");
    lab.stall("dovecot");
    for to in ["alice", "bob"] {
        let mut talk = Talk::to(lab, "smtp");
        talk.ask("EHLO test");
        for line in ["MAIL FROM:<probe@lab.test>", &format!("RCPT TO:<{to}@lab.test>"), "DATA"] {
            assert!(talk.ask(line).starts_with(['2', '3']), "{line}");
        }
        assert!(talk.ask("Subject: stuck\r\n\r\n.").starts_with("250"));
    }
    let under_way = until(DELIVERY_TIMEOUT, || (active("deliveries") == 2.0).then_some(()));
    assert!(under_way.is_some(), "{} deliveries", active("deliveries"));
    assert_eq!(ss(lab, "dport", "lmtp"), 2, "as ss counts");
    assert_eq!((active("store-clients"), ss(lab, "sport", "lmtp")), (2.0, 2));
    lab.resume("dovecot");
    let ended = until(DELIVERY_TIMEOUT, || (active("deliveries") == 0.0).then_some(()));
    assert!(ended.is_some(), "{} deliveries still", active("deliveries"));
    lab.stop("dovecot");
    counting.fails("store-clients", "connect");
    assert_eq!(active("deliveries"), 0.0, "that nobody is connected to a port elsewhere is a fact");
}

fn pop3(lab: &Lab, user: &str) -> Talk {
    let mut talk = Talk::to(lab, "pop3");
    talk.ask(&format!("USER {user}@lab.test"));
    let said = talk.ask(&format!("PASS {}", lab.password(user)));
    assert!(said.starts_with("+OK"), "{said}");
    talk
}

/// Established connections that `ss` shows at one end of a service's port.
pub(super) fn ss(lab: &Lab, end: &str, service: &str) -> usize {
    let filter = format!("{end} = :{}", lab.port(service));
    programs::output_of("ss", &["--no-header", "-tn", "state", "established", &filter]).lines().count()
}
