//! The phases add up to the total, in nanoseconds, whichever way a question goes; and each way leaves what it should.

use watchpost_plugin_api::{Metric, Transport, Unit, standard::*};

use crate::*;

const ANSWERS: Metric = Metric::gauge("answers", Unit::Answers, "As the agent has it.");
const ANSWER_TTL: Metric = Metric::gauge("answer_ttl", Unit::Seconds, "As the agent has it.");

/// Runs of each way.
const RUNS: usize = 3;

async fn check(answers: Answers, transport: &str, connects: bool) {
    let server = PacketServer::start(answers).await.unwrap();
    let mut kit = Kit::<Dns>::new(&config(&server, &json!({ "transport": transport }))).unwrap();
    for _ in 0..RUNS {
        let ran = kit.run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.value(CONNECT_TIME).is_some(), connects);
        let phases: u64 = [RESOLVE_TIME, CONNECT_TIME, QUERY_TIME].into_iter().filter_map(|phase| ran.nanos(phase)).sum();
        assert_eq!(ran.nanos(TOTAL_TIME), Some(phases), "{ran:#?}");
        assert!(ran.nanos(QUERY_TIME) > Some(0) && ran.nanos(TOTAL_TIME) <= Some(ran.outcome.duration_ns));
        assert_eq!((ran.value(ANSWERS), ran.value(ANSWER_TTL)), (Some(2.0), Some(30.0)));
    }
}

#[tokio::test]
async fn the_phases_add_up_to_the_total_whichever_way_the_question_goes() {
    check(by_datagram(good), "auto", false).await;
    check(by_datagram(good), "udp", false).await;
    check(by_stream(good), "tcp", true).await;
    let cut_short = by_stream(good).to_datagrams(|asked| Script::new().send(truncated(reply(asked, Rcode::NOERROR, &[]))));
    check(cut_short, "auto", true).await;
}

#[tokio::test]
async fn both_questions_of_a_truncated_answer_count_in_the_query_time() {
    const WAIT: Duration = Duration::from_millis(40);
    let waiting = |message: Vec<u8>| Script::new().pause(WAIT).send(message);
    let answers =
        Answers::new().to_datagrams(move |asked| waiting(truncated(good(asked)))).to_streams(move |asked| waiting(framed(&good(asked))));
    let server = PacketServer::start(answers).await.unwrap();
    let ran = Kit::<Dns>::new(&config(&server, &json!({}))).unwrap().run().await;
    assert_eq!(ran.failure(), None);
    let taken = Duration::from_nanos(ran.nanos(QUERY_TIME).unwrap());
    assert!(taken >= WAIT * 2 && taken < WAIT * 7, "{taken:?}");
    let asked = [server.asked().await.unwrap(), server.asked().await.unwrap()];
    assert_eq!((asked[0].0, asked[1].0), (Transport::Udp, Transport::Tcp));
    assert_eq!(asked[0].1[2..], asked[1].1[2..], "the same question, under an id of its own");
}

#[tokio::test]
async fn the_dialogue_says_in_words_what_went_by_and_how_large_it_was() {
    for (answers, transport) in [(by_datagram(good), "udp"), (by_stream(good), "tcp")] {
        let ran = run(answers, &json!({ "transport": transport })).await;
        let [asked] = ran.said_by(Speaker::Agent)[..] else { panic!("{ran:#?}") };
        assert!(asked.starts_with("lab.test. A? (id "), "{asked}");
        let answered = ["NOERROR, records: 2", "lab.test. 60 A 192.0.2.1", "lab.test. 30 A 192.0.2.2"];
        assert_eq!(ran.said_by(Speaker::Target), answered, "{transport}");
        let noted = ran.said_by(Speaker::Host);
        let (sent, received) =
            if transport == "udp" { ("sent 37 bytes", "received 74 bytes") } else { ("sent 39 bytes", "received 76 bytes") };
        assert!(noted.contains(&sent) && noted.contains(&received), "{noted:?}");
    }
}
