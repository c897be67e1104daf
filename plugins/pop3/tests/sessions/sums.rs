//! The phases add up to the total, in nanoseconds, whatever a session has in it.

use watchpost_plugin_api::{Metric, standard::*};
use watchpost_testkit::{Authority, ServerTls};

use crate::*;

const PHASES: [Metric; 8] = [RESOLVE_TIME, CONNECT_TIME, BANNER_TIME, TLS_TIME, AUTHENTICATE_TIME, QUERY_TIME, DOWNLOAD_TIME, QUIT_TIME];

/// Runs of each sort of session.
const RUNS: usize = 3;

pub(crate) fn of_phases(ran: &Ran) -> u64 {
    PHASES.iter().filter_map(|phase| ran.nanos(*phase)).sum()
}

/// A sort of session: how it is encrypted, how it logs in, whether it downloads.
#[derive(Clone, Copy, Debug)]
struct Sort {
    tls: &'static str,
    auth: Option<&'static str>,
    download: bool,
}

fn sorts() -> impl Iterator<Item = Sort> {
    let logins = [None, Some("plain"), Some("user"), Some("apop")];
    ["none", "starttls", "implicit"]
        .into_iter()
        .flat_map(move |tls| logins.map(|auth| (tls, auth)))
        .flat_map(|(tls, auth)| [false, true].map(|download| Sort { tls, auth, download }))
}

impl Sort {
    fn script(self, tls: &ServerTls) -> Script {
        let banner = Script::new().say(&format!("+OK ready {TIMESTAMP}"));
        let opened = match self.tls {
            "starttls" => banner.then(capa(&["STLS"])).expect("STLS").say("+OK go").tls(tls),
            "implicit" => Script::new().tls(tls).then(banner),
            _ => banner,
        };
        let entered = match self.auth {
            None => return opened.then(goodbye()),
            Some("apop") => opened.expect("APOP").say("+OK in"),
            Some("user") => opened.expect("USER").say("+OK").expect("PASS").say("+OK in"),
            Some(_) => opened.then(logged_in()),
        };
        let asked = entered.then(queried());
        if self.download { asked.then(retrieved()).then(goodbye()) } else { asked.then(goodbye()) }
    }

    fn keys(self, authority: &Authority) -> Value {
        let keys = json!({ "tls": self.tls, "ca_file": authority.file(), "download": self.download });
        let Some(auth) = self.auth else { return keys };
        let mut keys = login(keys);
        keys["auth"] = json!(auth);
        keys
    }

    /// What such a session has to have recorded.
    fn recorded(self) -> Vec<&'static str> {
        let mut names = vec!["resolve_time", "connect_time", "banner_time", "quit_time", "total_time"];
        names.extend((self.tls != "none").then_some("tls_time"));
        if self.auth.is_some() {
            names.extend(["authenticate_time", "query_time", "mailbox_size", "mailbox_bytes"]);
            names.extend(self.download.then_some("download_time"));
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
        let mut kit = Kit::<Pop3>::new(&config(&server, &sort.keys(&authority))).unwrap();
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
    let sort = Sort { tls: "starttls", auth: Some("plain"), download: true };
    let ended = run(sort.script(&tls).slowed(WAIT), &sort.keys(&authority)).await;
    assert_ok(&ended);
    // How often the server waits in each phase: CAPA counts where it is asked for, STAT and LIST are the query.
    let waits = [(BANNER_TIME, 1), (TLS_TIME, 2), (AUTHENTICATE_TIME, 2), (QUERY_TIME, 2), (DOWNLOAD_TIME, 1), (QUIT_TIME, 1)];
    for (phase, times) in waits {
        let taken = Duration::from_nanos(ended.0.nanos(phase).unwrap());
        assert!(taken >= WAIT * times && taken < WAIT * times + WAIT * 5, "{} took {taken:?}", phase.name());
    }
    assert_eq!(ended.0.nanos(TOTAL_TIME), Some(of_phases(&ended.0)));
}
