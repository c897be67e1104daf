//! The phases add up to the total, in nanoseconds, whatever a session has in it.

use watchpost_plugin_api::{Metric, standard::*};
use watchpost_testkit::{Authority, ServerTls};

use crate::*;

const PHASES: [Metric; 10] =
    [RESOLVE_TIME, CONNECT_TIME, BANNER_TIME, TLS_TIME, EHLO_TIME, AUTHENTICATE_TIME, MAIL_TIME, RCPT_TIME, DATA_TIME, QUIT_TIME];

/// Runs of each sort of session.
const RUNS: usize = 3;

pub(crate) fn of_phases(ran: &Ran) -> u64 {
    PHASES.iter().filter_map(|phase| ran.nanos(*phase)).sum()
}

/// A sort of session: how it is encrypted, how it logs in, what it sends.
#[derive(Clone, Copy, Debug)]
struct Sort {
    tls: &'static str,
    login: Option<&'static str>,
    transaction: Option<bool>,
}

fn sorts() -> impl Iterator<Item = Sort> {
    let with_login = |tls| [None, Some("PLAIN"), Some("LOGIN")].map(|login| (tls, login));
    ["none", "starttls", "implicit"]
        .into_iter()
        .flat_map(with_login)
        .flat_map(|(tls, login)| [None, Some(false), Some(true)].map(|transaction| Sort { tls, login, transaction }))
}

impl Sort {
    fn script(self, tls: &ServerTls) -> Script {
        let offers: Vec<String> = self.login.map(|mechanism| format!("AUTH {mechanism}")).into_iter().collect();
        let offers: Vec<&str> = offers.iter().map(String::as_str).collect();
        let opened = match self.tls {
            "starttls" => greeted(&["STARTTLS"]).expect("STARTTLS").say("220 go").tls(tls).then(hello(&offers)),
            "implicit" => Script::new().tls(tls).then(greeted(&offers)),
            _ => greeted(&offers),
        };
        let logged_in = match self.login {
            None => opened,
            Some("LOGIN") => opened.expect("AUTH").say("334 a").expect("").say("334 b").expect("").say("235 ok"),
            Some(_) => opened.expect("AUTH PLAIN").say("235 ok"),
        };
        let sent = match self.transaction {
            None => logged_in,
            Some(false) => logged_in.then(transaction()).expect("RSET").say("250 ok"),
            Some(true) => logged_in.then(transaction()).then(delivered()),
        };
        sent.then(goodbye())
    }

    fn keys(self, authority: &Authority) -> Value {
        let mut keys = json!({ "tls": self.tls, "ca_file": authority.file() });
        if self.login.is_some() {
            keys["user"] = json!("probe");
            keys["password"] = json!(PASSWORD);
        }
        if let Some(submit) = self.transaction {
            keys["from"] = json!("probe@lab.test");
            keys["to"] = json!("alice@lab.test");
            keys["submit"] = json!(submit);
        }
        keys
    }

    /// What such a session has to have recorded.
    fn phases(self) -> Vec<&'static str> {
        let mut phases = vec!["resolve_time", "connect_time", "banner_time", "ehlo_time", "quit_time", "total_time"];
        phases.extend((self.tls != "none").then_some("tls_time"));
        phases.extend(self.login.map(|_| "authenticate_time"));
        phases.extend(self.transaction.into_iter().flat_map(|_| ["mail_time", "rcpt_time"]));
        phases.extend((self.transaction == Some(true)).then_some(["data_time", "transmission_time"]).into_iter().flatten());
        phases.sort_unstable();
        phases
    }
}

#[tokio::test]
async fn the_phases_of_every_sort_of_session_add_up_to_the_total() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    for sort in sorts() {
        let server = Server::start(sort.script(&tls)).await.unwrap();
        let mut kit = Kit::<Smtp>::new(&config(&server, &sort.keys(&authority))).unwrap();
        for _ in 0..RUNS {
            let ran = kit.run().await;
            assert_eq!(ran.failure(), None, "{sort:?}");
            assert_eq!(server.served().await.unwrap().broke, None, "{sort:?}");
            let mut recorded = ran.recorded();
            recorded.sort_unstable();
            assert_eq!(recorded, sort.phases(), "{sort:?}");
            assert!(ran.outcome.samples.iter().all(|sample| sample.value > 0.0), "{ran:#?}");
            assert_eq!(ran.nanos(TOTAL_TIME), Some(of_phases(&ran)), "{sort:?} {ran:#?}");
            assert!(ran.nanos(TOTAL_TIME) <= Some(ran.outcome.duration_ns));
            let transaction: u64 = [MAIL_TIME, RCPT_TIME, DATA_TIME].into_iter().filter_map(|phase| ran.nanos(phase)).sum();
            assert_eq!(ran.nanos(TRANSMISSION_TIME), (sort.transaction == Some(true)).then_some(transaction), "{sort:?}");
        }
    }
}

#[tokio::test]
async fn a_wait_is_counted_in_the_phase_in_which_it_happens() {
    const WAIT: Duration = Duration::from_millis(40);
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let sort = Sort { tls: "starttls", login: Some("PLAIN"), transaction: Some(true) };
    let slow = sort.script(&tls).slowed(WAIT);
    let ended = run(slow, &sort.keys(&authority)).await;
    assert_ok(&ended);
    // How often the server waits in each phase: two EHLO, two answers to DATA.
    let waits = [(BANNER_TIME, 1), (EHLO_TIME, 2), (TLS_TIME, 1), (AUTHENTICATE_TIME, 1), (MAIL_TIME, 1), (RCPT_TIME, 1), (DATA_TIME, 2)];
    for (phase, times) in waits {
        let taken = Duration::from_nanos(ended.0.nanos(phase).unwrap());
        assert!(taken >= WAIT * times && taken < WAIT * times + WAIT * 5, "{} took {taken:?}", phase.name());
    }
    assert_eq!(ended.0.nanos(TOTAL_TIME), Some(of_phases(&ended.0)));
}

#[tokio::test]
async fn the_wait_of_our_own_kernel_for_more_to_acknowledge_is_not_counted_as_the_servers() {
    // 40 ms on Linux; a server that sends session tickets and then speaks is held up by them, in every single run.
    const WAIT: u64 = 35_000_000;
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    for (mode, phase) in [("implicit", BANNER_TIME), ("starttls", EHLO_TIME)] {
        let sort = Sort { tls: mode, login: None, transaction: None };
        let server = Server::start(sort.script(&tls)).await.unwrap();
        let mut kit = Kit::<Smtp>::new(&config(&server, &sort.keys(&authority))).unwrap();
        let mut fastest = u64::MAX;
        for _ in 0..10 {
            fastest = fastest.min(kit.run().await.nanos(phase).unwrap());
        }
        assert!(fastest < WAIT, "{mode}: {fastest} ns");
    }
}
