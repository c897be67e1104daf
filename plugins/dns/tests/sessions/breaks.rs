//! Every way in which a server breaks: the kind says whose fault, the message says what, and what was measured before is kept.

use watchpost_plugin_api::standard::QUERY_TIME;

use crate::*;

const BY_DATAGRAM: &[&str] = &["resolve_time"];
const BY_STREAM: &[&str] = &["resolve_time", "connect_time"];

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect_by_both_ways() {
    let server = PacketServer::start(Answers::new()).await.unwrap();
    let port = server.port();
    for (transport, doing) in [("auto", "reach"), ("udp", "reach"), ("tcp", "connect to")] {
        let ran = Kit::<Dns>::new(&config(&server, &json!({ "transport": transport }))).unwrap().run().await;
        assert_failed(&ran, "connect", &format!("cannot {doing} 127.0.0.1:{port}: Connection refused"), BY_DATAGRAM);
    }
}

#[tokio::test]
async fn a_truncated_answer_without_tcp_behind_it_fails_and_its_time_is_kept() {
    let cut_short = || by_datagram(|asked| truncated(good(asked)));
    let server = PacketServer::start(cut_short()).await.unwrap();
    let ran = Kit::<Dns>::new(&config(&server, &json!({}))).unwrap().run().await;
    let message = format!("cannot connect to 127.0.0.1:{}: Connection refused", server.port());
    assert_failed(&ran, "connect", &message, &["resolve_time", "query_time"]);
    let ran = run(cut_short(), &json!({ "transport": "udp" })).await;
    let message = "lab.test. A: the answer is truncated, and `transport` allows no TCP";
    assert_failed(&ran, "protocol", message, &["resolve_time", "query_time"]);
}

#[tokio::test]
async fn a_truncated_answer_over_tcp_is_none() {
    let ran = run(by_both(|asked| truncated(good(asked))), &json!({})).await;
    let kept = ["resolve_time", "query_time", "connect_time"];
    assert_failed(&ran, "protocol", "lab.test. A: the answer is truncated even over TCP", &kept);
}

/// The answer bears the question's id and is none.
async fn check_malformed(answering: impl Fn(&[u8]) -> Vec<u8> + Clone + Send + Sync + 'static, why: &str) {
    let message = format!("lab.test. A: the answer is malformed: {why}");
    assert_failed(&run(by_datagram(answering.clone()), &json!({ "transport": "udp" })).await, "protocol", &message, BY_DATAGRAM);
    assert_failed(&run(by_stream(answering), &json!({ "transport": "tcp" })).await, "protocol", &message, BY_STREAM);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_malformed() {
    check_malformed(|asked| good(asked)[..40].to_vec(), "unexpected end of input").await;
    let with_too_many = |asked: &[u8]| {
        let mut message = good(asked);
        message[7] = 3;
        message
    };
    check_malformed(with_too_many, "unexpected end of input").await;
}

#[tokio::test]
async fn data_that_cannot_be_of_its_type_is_malformed() {
    check_malformed(|asked| reply(asked, Rcode::NOERROR, &[("lab.test", 1, Rtype::A, &[1, 2, 3])]), "unexpected end of input").await;
    check_malformed(|asked| reply(asked, Rcode::NOERROR, &[("lab.test", 1, Rtype::A, &[1, 2, 3, 4, 5])]), "trailing data in option").await;
}

#[tokio::test]
async fn a_name_that_leads_back_to_itself_is_malformed() {
    // A pointer to the place where it stands, as the owner of the first record.
    let looping = |asked: &[u8]| {
        let mut message = reply(asked, Rcode::NOERROR, &[(".", 1, Rtype::A, &[1, 2, 3, 4])]);
        let at = message.len() - 15;
        message.splice(at..=at, [0xc0, u8::try_from(at).unwrap()]);
        message
    };
    check_malformed(looping, "too many compression pointers").await;
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_does_is_a_breach_of_the_protocol() {
    let check = async |script: fn(Vec<u8>) -> Script, why: &str| {
        let answers = Answers::new().to_streams(move |asked| script(framed(&good(asked))));
        let ran = run(answers, &json!({ "transport": "tcp" })).await;
        assert_failed(&ran, "protocol", &format!("lab.test. A: connection {why} by the other side"), BY_STREAM);
    };
    check(|_| Script::new().cut(), "closed").await;
    check(|answer| Script::new().send(&answer[..1]).cut(), "closed").await;
    check(|answer| Script::new().send(&answer[..30]).cut(), "closed").await;
    check(|_| Script::new().reset(), "reset").await;
    // A length that promises more than comes.
    check(|answer| Script::new().send([&[0xff, 0xff], &answer[2..]].concat()).cut(), "closed").await;
}

#[tokio::test]
async fn a_length_that_says_too_little_cuts_the_answer() {
    let answers = Answers::new().to_streams(|asked| Script::new().send([&[0, 40], good(asked).as_slice()].concat()));
    let ran = run(answers, &json!({ "transport": "tcp" })).await;
    assert_failed(&ran, "protocol", "lab.test. A: the answer is malformed: unexpected end of input", BY_STREAM);
}

/// A run of a second that met its deadline: what had not come, and what was recorded last.
fn assert_late(ran: &Ran, awaited: &str, last: &str, kept: &[&str]) {
    let told = ran.awaited().unwrap_or_default();
    assert!(told.starts_with(&format!("{awaited} `lab.test. A? (id ")), "{told}");
    assert_failed(ran, "timeout", &format!("no end within 1 s: {told}; {last} was the last it recorded"), kept);
}

#[tokio::test]
async fn a_server_that_says_nothing_meets_the_deadline() {
    let silent = || Answers::new().to_datagrams(|_| Script::new()).to_streams(|_| Script::new().silence());
    let second = Duration::from_secs(1);
    let ran = run_within(second, silent(), &json!({})).await;
    assert_late(&ran, "no answer to", "resolve_time", BY_DATAGRAM);
    let ran = run_within(second, silent(), &json!({ "transport": "tcp" })).await;
    assert_late(&ran, "no answer to", "connect_time", BY_STREAM);
}

#[tokio::test]
async fn a_server_that_trickles_meets_the_deadline_all_the_same() {
    let trickling =
        Answers::new().to_streams(|_| Script::new().trickle("one byte now and then keeps no connection alive", Duration::from_millis(200)));
    let ran = run_within(Duration::from_secs(1), trickling, &json!({ "transport": "tcp" })).await;
    assert_late(&ran, "no end of the answer to", "connect_time", BY_STREAM);
}

#[tokio::test]
async fn a_late_answer_is_taken_and_its_lateness_is_measured() {
    const WAIT: Duration = Duration::from_millis(300);
    let ran = run(Answers::new().to_datagrams(|asked| Script::new().pause(WAIT).send(good(asked))), &json!({})).await;
    assert_eq!(ran.failure(), None);
    assert!(Duration::from_nanos(ran.nanos(QUERY_TIME).unwrap()) >= WAIT, "{ran:#?}");
}

#[tokio::test]
async fn a_question_is_sent_once_however_long_the_answer_takes() {
    let server = PacketServer::start(Answers::new().to_datagrams(|_| Script::new())).await.unwrap();
    let ran = Kit::<Dns>::new(&config(&server, &json!({}))).unwrap().timeout(Duration::from_secs(3)).explain().run().await;
    assert_eq!(ran.failure().unwrap().0, "timeout");
    server.asked().await.unwrap();
    let again = tokio::time::timeout(Duration::from_millis(300), server.asked()).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let ran = Kit::<Dns>::new(&json!({ "host": "ns.watchpost.invalid", "name": "lab.test" })).unwrap().run().await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!(kind, "resolve");
    assert!(message.starts_with("no address for ns.watchpost.invalid: "), "{message}");
    assert!(ran.recorded().is_empty());
}
