//! The servers of a zone and its serial number: each is asked, those that differ are told, and one that is silent is no agreement.

use watchpost_dns::{SERIAL_LAG, SERIALS_DISTINCT, SOA_SERIAL};
use watchpost_plugin_api::{Metric, Severity};

use crate::*;

/// Answers with the zone's SOA record of this serial number.
fn with_serial(serial: u32) -> Answers {
    let data = [b"\x02ns\x00\x02hm\x00".as_slice(), &serial.to_be_bytes(), &[0; 16]].concat();
    by_both(move |asked| reply(asked, Rcode::NOERROR, &[("lab.test", 60, Rtype::SOA, &data)]))
}

fn of_server(ran: &Ran, metric: Metric) -> Vec<f64> {
    ran.outcome.samples.iter().filter(|sample| sample.metric == metric.name()).map(|sample| sample.value).collect()
}

/// A job that compares these servers, the first of them its own.
fn job(servers: &[&PacketServer], keys: &Value) -> Kit<Dns> {
    let others: Vec<String> = servers[1..].iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    let mut all = json!({ "type": "SOA", "agree": others });
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<Dns>::new(&config(servers[0], &all)).unwrap().timeout(Duration::from_secs(3))
}

#[tokio::test]
async fn servers_of_one_edition_agree_and_a_change_is_told_once() {
    let (first, second) = (PacketServer::start(with_serial(7)).await.unwrap(), PacketServer::start(with_serial(7)).await.unwrap());
    for transport in ["auto", "udp", "tcp"] {
        let ran = job(&[&first, &second], &json!({ "transport": transport, "must_agree": true })).run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!((of_server(&ran, SOA_SERIAL), of_server(&ran, SERIAL_LAG)), (vec![7.0, 7.0], vec![0.0, 0.0]));
        assert_eq!(ran.value(SERIALS_DISTINCT), Some(1.0));
    }
    let mut kit = job(&[&first, &second], &json!({}));
    let mut events = Vec::new();
    for serial in [7, 8, 8, 7] {
        first.answer(with_serial(serial));
        let ran = kit.run().await;
        assert_eq!(ran.failure(), None, "differing is no failure unless the job says so");
        events.push(ran.outcome.events.into_iter().map(|event| (event.severity, event.code)).collect::<Vec<_>>());
    }
    let differ = (Severity::Warning, "serials_differ".to_owned());
    assert_eq!(events, [vec![], vec![differ], vec![], vec![(Severity::Indeterminate, "serials_agree".to_owned())]]);
}

#[tokio::test]
async fn who_lags_behind_is_measured_and_fails_the_run_where_the_job_says_so() {
    let newest = PacketServer::start(with_serial(3)).await.unwrap();
    let (behind, far) = (PacketServer::start(with_serial(1)).await.unwrap(), PacketServer::start(with_serial(u32::MAX)).await.unwrap());
    let servers = [&behind, &newest, &far];
    let ran = job(&servers, &json!({})).run().await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!((of_server(&ran, SERIAL_LAG), ran.value(SERIALS_DISTINCT)), (vec![2.0, 0.0, 4.0], Some(3.0)));
    let ran = job(&servers, &json!({ "must_agree": true })).run().await;
    let [one, two, three] = servers.map(|server| format!("127.0.0.1:{}", server.port()));
    let message = format!("lab.test. SOA: the servers differ: {one} has 1, {two} has 3, {three} has 4294967295");
    assert_eq!(ran.failure(), Some(("protocol", message.as_str())), "{ran:#?}");
    assert_eq!((of_server(&ran, SERIAL_LAG), ran.value(SERIALS_DISTINCT)), (vec![2.0, 0.0, 4.0], Some(3.0)));
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_serial_number_is_named_and_nothing_is_said_of_agreement() {
    let (first, third) = (PacketServer::start(with_serial(7)).await.unwrap(), PacketServer::start(with_serial(8)).await.unwrap());
    let check = async |answers: Answers, kind: &str, message: &str| {
        let second = PacketServer::start(answers).await.unwrap();
        let ran = job(&[&first, &second, &third], &json!({})).run().await;
        let named = format!("127.0.0.1:{}", second.port());
        let (found, said) = ran.failure().unwrap();
        assert!(found == kind && said.contains(&named) && said.ends_with(message), "{ran:#?}");
        assert_eq!(of_server(&ran, SOA_SERIAL), [7.0, 8.0], "what is known is told");
        assert!(of_server(&ran, SERIAL_LAG).is_empty() && ran.value(SERIALS_DISTINCT).is_none(), "{ran:#?}");
    };
    check(Answers::new(), "connect", "Connection refused").await;
    check(Answers::new().to_datagrams(|_| Script::new()), "timeout", "no answer in time").await;
    check(by_both(|asked| reply(asked, Rcode::REFUSED, &[])), "protocol", "the server answered REFUSED: it does not want to").await;
    check(by_both(|asked| reply(asked, Rcode::NOERROR, &[])), "protocol", "the server answered without an SOA record").await;
}
