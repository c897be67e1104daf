//! The phases add up to the total, in nanoseconds, whatever a session has in it.

use watchpost_plugin_api::{Metric, standard::*};
use watchpost_testkit::{Authority, ServerTls};

use crate::*;

const PHASES: [Metric; 9] =
    [RESOLVE_TIME, CONNECT_TIME, BANNER_TIME, TLS_TIME, AUTHENTICATE_TIME, SELECT_TIME, SEARCH_TIME, DOWNLOAD_TIME, LOGOUT_TIME];

/// Runs of each sort of session.
const RUNS: usize = 3;

pub(crate) fn of_phases(ran: &Ran) -> u64 {
    PHASES.iter().filter_map(|phase| ran.nanos(*phase)).sum()
}

/// A sort of session: how it is encrypted, how it logs in, what it does with the mailbox.
#[derive(Clone, Copy, Debug)]
struct Sort {
    tls: &'static str,
    auth: Option<&'static str>,
    search: bool,
    download: bool,
}

fn sorts() -> impl Iterator<Item = Sort> {
    let logins = [None, Some("plain"), Some("login"), Some("xoauth2")];
    let uses = [(false, false), (true, false), (false, true), (true, true)];
    ["none", "starttls", "implicit"]
        .into_iter()
        .flat_map(move |tls| logins.map(|auth| (tls, auth)))
        .flat_map(move |(tls, auth)| uses.map(|(search, download)| Sort { tls, auth, search, download }))
        .filter(|sort| sort.auth.is_some() || sort.search)
}

impl Sort {
    fn script(self, tls: &ServerTls) -> Script {
        let capabilities = "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=XOAUTH2 SASL-IR\nOK done";
        let banner = Script::new().say("* OK ready");
        let mut tag = 0;
        let mut next = |command: &str, answer: &str| {
            tag += 1;
            answers(tag, command, answer)
        };
        let opened = match self.tls {
            "starttls" => banner.then(next("CAPABILITY", capabilities)).then(next("STARTTLS", "OK go")).tls(tls),
            "implicit" => Script::new().tls(tls).then(banner),
            _ => banner,
        };
        let Some(auth) = self.auth else { return opened.then(next("LOGOUT", "* BYE\nOK")) };
        let command = if auth == "login" { "LOGIN".to_owned() } else { format!("AUTHENTICATE {}", auth.to_uppercase()) };
        let mut script = opened.then(next("CAPABILITY", capabilities)).then(next(&command, "OK in"));
        script = script.then(next("EXAMINE", "* 2 EXISTS\nOK done"));
        if self.search {
            script = script.then(next("SEARCH", "* SEARCH 1 2\nOK done"));
        }
        if self.download {
            script = script.then(next("FETCH 2", "* 2 FETCH (BODY[]<0> {4}\nabcd)\nOK done"));
        }
        script.then(next("LOGOUT", "* BYE\nOK"))
    }

    fn keys(self, authority: &Authority) -> Value {
        let keys = json!({ "tls": self.tls, "ca_file": authority.file() });
        let Some(auth) = self.auth else { return keys };
        let mut keys = login(keys);
        keys["auth"] = json!(auth);
        keys["download"] = json!(self.download);
        keys["search"] = json!(if self.search { "UNSEEN" } else { "" });
        keys
    }

    /// What such a session has to have recorded.
    fn recorded(self) -> Vec<&'static str> {
        let mut names = vec!["resolve_time", "connect_time", "banner_time", "logout_time", "total_time"];
        names.extend((self.tls != "none").then_some("tls_time"));
        if self.auth.is_some() {
            names.extend(["authenticate_time", "select_time", "mailbox_size"]);
            names.extend(if self.search { &["search_time", "search_found"][..] } else { &[] });
            names.extend(if self.download { &["download_time", "download_bytes"][..] } else { &[] });
        }
        names.sort_unstable();
        names
    }
}

#[tokio::test]
async fn the_phases_of_every_sort_of_session_add_up_to_the_total() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    for sort in sorts() {
        let server = Server::start(sort.script(&tls)).await.unwrap();
        let mut kit = Kit::<Imap>::new(&config(&server, &sort.keys(&authority))).unwrap();
        for _ in 0..RUNS {
            let ran = kit.run().await;
            assert_eq!(ran.failure(), None, "{sort:?}");
            assert_eq!(server.served().await.unwrap().broke, None, "{sort:?}");
            let mut recorded = ran.recorded();
            recorded.sort_unstable();
            assert_eq!(recorded, sort.recorded(), "{sort:?}");
            assert!(ran.outcome.samples.iter().all(|sample| sample.value > 0.0), "{ran:#?}");
            assert_eq!(ran.nanos(TOTAL_TIME), Some(of_phases(&ran)), "{sort:?} {ran:#?}");
            assert!(ran.nanos(TOTAL_TIME) <= Some(ran.outcome.duration_ns));
        }
    }
}

#[tokio::test]
async fn a_wait_is_counted_in_the_phase_in_which_it_happens() {
    const WAIT: Duration = Duration::from_millis(40);
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let sort = Sort { tls: "starttls", auth: Some("plain"), search: true, download: true };
    let ended = run(sort.script(&tls).slowed(WAIT), &sort.keys(&authority)).await;
    assert_ok(&ended);
    // How often the server waits in each phase: CAPABILITY counts where it is asked for.
    let waits =
        [(BANNER_TIME, 1), (TLS_TIME, 2), (AUTHENTICATE_TIME, 2), (SELECT_TIME, 1), (SEARCH_TIME, 1), (DOWNLOAD_TIME, 1), (LOGOUT_TIME, 1)];
    for (phase, times) in waits {
        let taken = Duration::from_nanos(ended.0.nanos(phase).unwrap());
        assert!(taken >= WAIT * times && taken < WAIT * times + WAIT * 5, "{} took {taken:?}", phase.name());
    }
    assert_eq!(ended.0.nanos(TOTAL_TIME), Some(of_phases(&ended.0)));
}
