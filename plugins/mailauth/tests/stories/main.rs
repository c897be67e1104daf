//! Domains at resolvers that follow a script: what changes, what breaks, what is hostile.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod changes;
mod hostile;
mod policies;

use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};

use domain::base::{
    Message, MessageBuilder, Name, Rtype, Ttl, UnknownRecordData,
    iana::{Class, Rcode},
};
use serde_json::{Value, json};
use watchpost_mailauth::MailAuth;
use watchpost_testkit::{Answers, Kit, PacketServer, Ran, Script};

/// What a resolver knows: by name and type, the data of records as they go over the wire.
#[derive(Clone, Default)]
struct Zone(HashMap<(String, Rtype), Vec<Vec<u8>>>);

impl Zone {
    fn txt(self, name: &str, text: &str) -> Self {
        let strings = text.as_bytes().chunks(255).flat_map(|part| [&[u8::try_from(part.len()).unwrap()], part].concat());
        self.with(name, Rtype::TXT, strings.collect())
    }

    fn mx(self, name: &str, host: &str) -> Self {
        let host = Name::<Vec<u8>>::from_str(host).unwrap();
        self.with(name, Rtype::MX, [&[0, 10], host.as_slice()].concat())
    }

    fn a(self, name: &str, address: [u8; 4]) -> Self {
        self.with(name, Rtype::A, address.to_vec())
    }

    fn with(mut self, name: &str, rtype: Rtype, data: Vec<u8>) -> Self {
        self.0.entry((name.to_owned(), rtype)).or_default().push(data);
        self
    }

    fn answers(self) -> Answers {
        let zone = Arc::new(self);
        answers(move |name, rtype| match zone.0.get(&(name.to_owned(), rtype)) {
            Some(data) => (Rcode::NOERROR, data.clone()),
            None => (Rcode::NXDOMAIN, Vec::new()),
        })
    }
}

/// Answers each question by code and data; what does not fit into a datagram comes by TCP.
fn answers(find: impl Fn(&str, Rtype) -> (Rcode, Vec<Vec<u8>>) + Clone + Send + Sync + 'static) -> Answers {
    let over_streams = find.clone();
    let datagram = move |asked: &[u8]| {
        let mut message = reply(asked, &find);
        if message.len() > 1232 {
            // The question, with the marks of an answer that is truncated.
            message = asked.to_vec();
            message[2] |= 0x82;
        }
        Script::new().send(message)
    };
    let stream = move |asked: &[u8]| {
        let message = reply(asked, &over_streams);
        Script::new().send([&u16::try_from(message.len()).unwrap().to_be_bytes(), message.as_slice()].concat())
    };
    Answers::new().to_datagrams(datagram).to_streams(stream)
}

fn reply(asked: &[u8], find: impl Fn(&str, Rtype) -> (Rcode, Vec<Vec<u8>>)) -> Vec<u8> {
    let asked = Message::from_octets(asked.to_vec()).unwrap();
    let question = asked.sole_question().unwrap();
    let (code, data) = find(&question.qname().to_string().to_ascii_lowercase(), question.qtype());
    let mut answer = MessageBuilder::new_vec().start_answer(&asked, code).unwrap();
    for data in data {
        let data = UnknownRecordData::from_octets(question.qtype(), data).unwrap();
        answer.push((question.qname(), Class::IN, Ttl::from_secs(60), data)).unwrap();
    }
    answer.finish()
}

/// A domain with everything but a policy.
fn good() -> Zone {
    Zone::default()
        .mx("lab.test", "mx.lab.test")
        .a("mx.lab.test", [127, 0, 0, 1])
        .txt("lab.test", "v=spf1 mx -all")
        .txt("_dmarc.lab.test", "v=DMARC1; p=reject")
}

async fn resolver(answers: Answers) -> PacketServer {
    PacketServer::start(answers).await.unwrap()
}

fn kit(resolver: &PacketServer, keys: &Value) -> Kit<MailAuth> {
    let mut config = json!({ "domain": "lab.test", "resolver": format!("127.0.0.1:{}", resolver.port()) });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::new(&config).unwrap().timeout(Duration::from_secs(20))
}

async fn run(answers: Answers, keys: &Value) -> Ran {
    kit(&resolver(answers).await, keys).run().await
}

fn value(ran: &Ran, metric: &str) -> Option<f64> {
    ran.outcome.samples.iter().find(|sample| sample.metric == metric).map(|sample| sample.value)
}

fn events(ran: &Ran) -> Vec<String> {
    ran.outcome.events.iter().map(|event| format!("{} {}", event.code, event.text)).collect()
}
