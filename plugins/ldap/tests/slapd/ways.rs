//! Every way in: in the clear, under TLS of both kinds, by the socket; as nobody, by password, as whom the socket says.

use watchpost_ldap::ENTRIES;
use watchpost_plugin_api::standard::{TLS_TIME, TOTAL_TIME};

use crate::*;

#[tokio::test]
async fn every_way_in_finds_the_same() {
    let Some(lab) = Lab::up() else { return };
    let tls = json!({ "server_name": "mail.lab.test", "ca_file": lab.ca_file() });
    let (plain, nobody) = (lab.plain(), json!({ "host": "127.0.0.1", "port": lab.port("ldap") }));
    let search = json!({ "base": "ou=people,dc=lab,dc=test", "scope": "one", "expect": "mail=probe@lab.test" });
    let ways = [
        (plain.clone(), false),
        (with(with(plain.clone(), &tls), &json!({ "tls": "starttls" })), true),
        (with(with(plain.clone(), &tls), &json!({ "tls": "implicit", "port": lab.port("ldaps") })), true),
        (nobody, false),
        (json!({ "socket": lab.socket(), "auth": "external" }), false),
        (json!({ "socket": lab.socket(), "user": USER, "password": lab.password() }), false),
    ];
    for (way, encrypted) in ways {
        let ran = run(&with(way.clone(), &search)).await;
        assert_eq!(ran.failure(), None, "{way} {ran:#?}");
        assert_eq!((ran.value(ENTRIES), ran.value(TLS_TIME).is_some()), (Some(3.0), encrypted), "{way}");
        let times = ran.outcome.samples.iter().filter(|sample| sample.metric.ends_with("_time") && sample.metric != TOTAL_TIME.name());
        let nanos: u64 = times.map(|sample| (sample.value * 1e9).round() as u64).sum();
        assert_eq!(ran.nanos(TOTAL_TIME), Some(nanos), "{way}");
        assert!(!ran.everything().contains(&lab.password()));
    }
}

#[tokio::test]
async fn the_monitor_is_read_by_the_one_who_may() {
    let Some(lab) = Lab::up() else { return };
    let search = json!({ "base": "cn=Operations,cn=Monitor", "scope": "one", "attributes": ["monitorOpCompleted"], "entries_min": 10 });
    for may in [lab.plain(), json!({ "socket": lab.socket(), "auth": "external" })] {
        let ran = run(&with(may, &search)).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
    }
    let ran = run(&with(json!({ "host": "127.0.0.1", "port": lab.port("ldap") }), &search)).await;
    assert_eq!(ran.failure(), Some(("protocol", "search: the server answered noSuchObject (32)")), "{ran:#?}");
}
