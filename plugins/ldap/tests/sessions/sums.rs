//! The phases add up to the total, in nanoseconds, whatever a session has in it.

use watchpost_ldap::{ENTRIES, REFERRALS};
use watchpost_plugin_api::{Metric, standard::*};
use watchpost_testkit::{Authority, Speaker};

use crate::*;

const PHASES: [Metric; 6] = [RESOLVE_TIME, CONNECT_TIME, TLS_TIME, BIND_TIME, SEARCH_TIME, ENTRIES_TIME];

/// Runs of each sort of session.
const RUNS: usize = 3;

pub(crate) fn of_phases(ran: &Ran) -> u64 {
    PHASES.iter().filter_map(|phase| ran.nanos(*phase)).sum()
}

/// A sort of session: how it is encrypted, whether somebody logs in, whether something is found.
#[derive(Clone, Copy, Debug)]
struct Sort {
    tls: &'static str,
    login: bool,
    found: bool,
}

fn sorts() -> impl Iterator<Item = Sort> {
    let logins = |tls| [false, true].map(|login| (tls, login));
    ["none", "starttls", "implicit"]
        .into_iter()
        .flat_map(logins)
        .flat_map(|(tls, login)| [false, true].map(|found| Sort { tls, login, found }))
}

impl Sort {
    fn script(self, authority: &Authority) -> Script {
        let opened = match self.tls {
            "starttls" => secured(authority),
            "implicit" => Script::new().tls(&authority.server(&["127.0.0.1"]).unwrap()),
            _ => Script::new(),
        };
        let bind = if self.tls == "starttls" { 2 } else { 1 };
        let search = match self.found {
            true => found(bind + 1),
            false => search_asked().send(result(bind + 1, SEARCH, 0, "", &[])),
        };
        opened.then(bound(bind)).then(search).then(unbound())
    }

    fn keys(self, authority: &Authority) -> Value {
        let keys = json!({ "tls": self.tls, "ca_file": authority.file() });
        if self.login { login(keys) } else { keys }
    }

    /// What such a session has to have recorded.
    fn recorded(self) -> Vec<&'static str> {
        let mut names = vec!["resolve_time", "connect_time"];
        names.extend((self.tls != "none").then_some("tls_time"));
        names.extend(["bind_time", "search_time"]);
        names.extend(self.found.then_some("entries_time"));
        names.extend(["referrals", "entries", "total_time"]);
        names
    }
}

#[tokio::test]
async fn the_phases_of_every_sort_of_session_add_up_to_the_total() {
    let authority = Authority::new().unwrap();
    for sort in sorts() {
        let server = Server::start(sort.script(&authority)).await.unwrap();
        let mut kit = Kit::<Ldap>::new(&config(&server, &sort.keys(&authority))).unwrap();
        for _ in 0..RUNS {
            let ran = kit.run().await;
            assert_eq!(ran.failure(), None, "{sort:?} {ran:#?}");
            assert_eq!(server.served().await.unwrap().broke, None, "{sort:?}");
            assert_eq!(ran.recorded(), sort.recorded(), "{sort:?}");
            let times = ran.outcome.samples.iter().filter(|sample| sample.metric.ends_with("_time"));
            assert!(times.into_iter().all(|sample| sample.value > 0.0), "{ran:#?}");
            assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS)), (Some(if sort.found { 2.0 } else { 0.0 }), Some(0.0)));
            assert_eq!(ran.nanos(TOTAL_TIME), Some(of_phases(&ran)), "{sort:?} {ran:#?}");
            assert!(ran.nanos(TOTAL_TIME) <= Some(ran.outcome.duration_ns));
        }
    }
}

#[tokio::test]
async fn a_wait_is_counted_in_the_phase_in_which_it_happens() {
    const WAIT: Duration = Duration::from_millis(40);
    let authority = Authority::new().unwrap();
    // Two entries and the end, each with a wait before it: one for the search, two for the entries.
    let slow = search_asked().send(entry(3, "cn=a", &[])).send(entry(3, "cn=b", &[])).send(result(3, SEARCH, 0, "", &[]));
    let script = secured(&authority).then(bound(2)).then(slow).then(unbound()).slowed(WAIT);
    let ended = run(script, &json!({ "tls": "starttls", "ca_file": authority.file() })).await;
    assert_ok(&ended);
    for (phase, times) in [(TLS_TIME, 1), (BIND_TIME, 1), (SEARCH_TIME, 1), (ENTRIES_TIME, 2)] {
        let taken = Duration::from_nanos(ended.0.nanos(phase).unwrap());
        assert!(taken >= WAIT * times && taken < WAIT * times + WAIT * 5, "{} took {taken:?}", phase.name());
    }
    assert_eq!(ended.0.nanos(TOTAL_TIME), Some(of_phases(&ended.0)));
}

#[tokio::test]
async fn the_dialogue_says_in_words_what_went_by_and_how_large_it_was() {
    let authority = Authority::new().unwrap();
    let script = secured(&authority).then(bound(2)).then(found(3)).then(unbound());
    let (ran, _) = run(script, &login(json!({ "tls": "starttls", "ca_file": authority.file(), "base": "dc=lab", "scope": "sub" }))).await;
    let asked = [
        "extendedRequest StartTLS",
        "bindRequest cn=probe,dc=lab,dc=test simple <secret>",
        "searchRequest \"dc=lab\" sub (objectClass=*), at most 1000 entries, at most 10 s",
        "unbindRequest",
    ];
    assert_eq!(ran.said_by(Speaker::Agent), asked);
    let answered = [
        "extendedResponse success (0)",
        "bindResponse success (0)",
        "searchResultEntry \"cn=a\": cn, mail ×2",
        "searchResultEntry \"cn=b\": cn",
        "searchResultDone success (0)",
    ];
    assert_eq!(ran.said_by(Speaker::Target), answered);
    let noted = ran.said_by(Speaker::Host);
    assert!(noted.contains(&"sent 31 bytes") && noted.contains(&"sent 7 bytes"), "{noted:?}");
    assert!(!ran.everything().contains(PASSWORD) && !ran.everything().contains("@lab.test"), "{ran:#?}");
}
