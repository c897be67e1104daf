//! Messages that are no answer to the question are passed over; the answer may still come.

use crate::*;

/// Something else comes first, then the answer.
async fn check(stranger: impl Fn(&[u8]) -> Vec<u8> + Clone + Send + Sync + 'static, why: &str) {
    let over_streams = stranger.clone();
    let answers = Answers::new()
        .to_datagrams(move |asked| Script::new().send(stranger(asked)).send(good(asked)))
        .to_streams(move |asked| Script::new().send(framed(&over_streams(asked))).send(framed(&good(asked))));
    for transport in ["udp", "tcp"] {
        let ran = run(answers.clone(), &json!({ "transport": transport })).await;
        assert_eq!(ran.failure(), None, "{transport} {ran:#?}");
        assert_eq!(ran.said_by(Speaker::Target)[..2], [format!("passed over: {why}"), "NOERROR, records: 2".into()]);
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_passed_over() {
    check(|asked| reply(&asked_for("mail.test", asked), Rcode::NOERROR, &[]), "it answers another question").await;
    check(|asked| asked.to_vec(), "it is a question itself").await;
}

#[tokio::test]
async fn what_is_no_message_is_passed_over() {
    check(|_| b"SSH-2.0".to_vec(), "7 bytes are no DNS message").await;
    check(|_| Vec::new(), "0 bytes are no DNS message").await;
}

#[tokio::test]
async fn an_answer_under_another_id_is_passed_over() {
    for transport in ["udp", "tcp"] {
        let answers = Answers::new()
            .to_datagrams(|asked| Script::new().send(under_another_id(good(asked))).send(good(asked)))
            .to_streams(|asked| Script::new().send(framed(&under_another_id(good(asked)))).send(framed(&good(asked))));
        let ran = run(answers, &json!({ "transport": transport })).await;
        assert_eq!(ran.failure(), None, "{transport} {ran:#?}");
        assert!(ran.said_by(Speaker::Target)[0].starts_with("passed over: its id is "), "{ran:#?}");
    }
}

#[tokio::test]
async fn a_server_that_never_comes_to_the_answer_is_given_up() {
    let flood = |message: Vec<u8>| (0..2000).fold(Script::new(), |script, _| script.send(message.clone()));
    let answers = Answers::new().to_streams(move |asked| flood(framed(&under_another_id(good(asked)))));
    let ran = run(answers, &json!({ "transport": "tcp" })).await;
    assert_failed(&ran, "protocol", "lab.test. A: 1000 messages, and none of them answers", &["resolve_time", "connect_time"]);
}

#[tokio::test]
async fn the_letters_of_the_name_may_come_back_in_another_case() {
    let shouting = |asked: &[u8]| {
        good(asked).iter().enumerate().map(|(at, byte)| if (13..16).contains(&at) { byte.to_ascii_uppercase() } else { *byte }).collect()
    };
    let ran = run(by_datagram(shouting), &json!({})).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
}

/// The query with another name in it.
fn asked_for(name: &str, asked: &[u8]) -> Vec<u8> {
    let id = Message::from_octets(asked.to_vec()).unwrap().header().id();
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    let mut questions = builder.question();
    questions.push((Name::<Vec<u8>>::from_str(name).unwrap(), Rtype::A)).unwrap();
    questions.finish()
}
