//! Whole questions to servers that follow a script: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod agree;
mod breaks;
mod expectations;
mod secure;
mod strangers;
mod sums;

use std::{str::FromStr, time::Duration};

use domain::base::{
    Message, MessageBuilder, Name, Rtype, Ttl, UnknownRecordData,
    iana::{Class, Rcode},
};
use serde_json::{Value, json};
use watchpost_dns::Dns;
use watchpost_testkit::{Answers, Kit, PacketServer, Ran, Script, Speaker};

/// A record of an answer: owner, time to live, type, and data as they go over the wire.
type Wired<'a> = (&'a str, u32, Rtype, &'a [u8]);

const ONE: Wired<'_> = ("lab.test", 60, Rtype::A, &[192, 0, 2, 1]);
const TWO: Wired<'_> = ("lab.test", 30, Rtype::A, &[192, 0, 2, 2]);

/// The answer of a server that knows what it does.
fn reply(asked: &[u8], code: Rcode, records: &[Wired<'_>]) -> Vec<u8> {
    let asked = Message::from_octets(asked.to_vec()).unwrap();
    let mut answer = MessageBuilder::new_vec().start_answer(&asked, code).unwrap();
    for &(owner, ttl, rtype, data) in records {
        let owner = Name::<Vec<u8>>::from_str(owner).unwrap();
        let data = UnknownRecordData::from_octets(rtype, data).unwrap();
        answer.push((owner, Class::IN, Ttl::from_secs(ttl), data)).unwrap();
    }
    answer.finish()
}

fn good(asked: &[u8]) -> Vec<u8> {
    reply(asked, Rcode::NOERROR, &[ONE, TWO])
}

/// The same message under another id.
fn under_another_id(mut message: Vec<u8>) -> Vec<u8> {
    message[0] ^= 0xff;
    message
}

/// The same message with the mark of a truncated one.
fn truncated(mut message: Vec<u8>) -> Vec<u8> {
    message[2] |= 0x02;
    message
}

/// As it goes over a connection.
fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn by_datagram(answering: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Answers {
    Answers::new().to_datagrams(move |asked| Script::new().send(answering(asked)))
}

fn by_stream(answering: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Answers {
    Answers::new().to_streams(move |asked| Script::new().send(framed(&answering(asked))))
}

/// Answers all alike by both ways.
fn by_both(answering: impl Fn(&[u8]) -> Vec<u8> + Clone + Send + Sync + 'static) -> Answers {
    let over_streams = answering.clone();
    by_datagram(answering).to_streams(move |asked| Script::new().send(framed(&over_streams(asked))))
}

/// The configuration against that server, with these keys besides.
fn config(server: &PacketServer, keys: &Value) -> Value {
    let mut config = json!({ "host": "127.0.0.1", "port": server.port(), "name": "lab.test" });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// Runs once against a server with these answers.
async fn run(answers: Answers, keys: &Value) -> Ran {
    run_within(Duration::from_secs(10), answers, keys).await
}

async fn run_within(timeout: Duration, answers: Answers, keys: &Value) -> Ran {
    let server = PacketServer::start(answers).await.unwrap();
    Kit::<Dns>::new(&config(&server, keys)).unwrap().timeout(timeout).explain().run().await
}

/// The run failed so, and kept exactly these metrics.
#[track_caller]
fn assert_failed(ran: &Ran, kind: &str, message: &str, kept: &[&str]) {
    assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
    assert_eq!(ran.recorded(), kept, "{ran:#?}");
}
