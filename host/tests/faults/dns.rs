//! The faults of the agent `dns`. A message is its header of 12 bytes, the question, and the answer (RFC 1035 4.1).

use std::time::Duration;

use watchpost_testkit::{Answers, PacketServer, Script};

use crate::{
    lines::late,
    row::{Ends, Post, Row},
};

const WHOLE: [&str; 5] = ["resolve_time", "query_time", "answers", "answer_ttl", "total_time"];
const WHOLE_BY_TCP: [&str; 6] = ["resolve_time", "connect_time", "query_time", "answers", "answer_ttl", "total_time"];

/// Response codes, and the bit of a truncated answer.
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;
const TRUNCATED: u8 = 0x02;

/// How long the question is that was asked: the name up to its empty label, type and class.
fn question_bytes(asked: &[u8]) -> usize {
    let name = asked[12..].iter().position(|&byte| byte == 0).expect("a name ends");
    name + 5
}

/// The answer of a server that knows what it does: one address.
fn good(asked: &[u8]) -> Vec<u8> {
    let mut message = refusal(asked, 0);
    message[7] = 1;
    message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01");
    message
}

/// An answer without records, under that response code.
fn refusal(asked: &[u8], code: u8) -> Vec<u8> {
    let head = [asked[0], asked[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head, &asked[12..12 + question_bytes(asked)]].concat()
}

/// The same message, changed.
fn with(mut message: Vec<u8>, change: impl Fn(&mut [u8])) -> Vec<u8> {
    change(&mut message);
    message
}

fn truncated(asked: &[u8]) -> Vec<u8> {
    with(good(asked), |message| message[2] |= TRUNCATED)
}

fn under_another_id(asked: &[u8]) -> Vec<u8> {
    with(good(asked), |message| message[0] ^= 0xff)
}

/// As it goes over a connection.
fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn by_udp(answering: fn(&[u8]) -> Vec<u8>) -> Answers {
    Answers::new().to_datagrams(move |asked| Script::new().send(answering(asked)))
}

fn by_tcp(answering: fn(&[u8]) -> Script) -> Answers {
    Answers::new().to_streams(answering)
}

/// A server that answers well by either way.
pub(crate) fn neighbour() -> Answers {
    by_udp(good).to_streams(|asked| Script::new().send(framed(&good(asked))))
}

/// All of them.
pub(crate) async fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (fault, ill, ends, known) in over_datagrams() {
        rows.push(row(fault, "auto", &WHOLE, ill, ends, known).await);
    }
    for (fault, does, ends) in over_connections() {
        rows.push(row(fault, "tcp", &WHOLE_BY_TCP, by_tcp(does), ends, &["resolve_time", "connect_time"]).await);
    }
    rows.push(row("port-closed", "tcp", &WHOLE_BY_TCP, Answers::new(), refused("cannot connect to 127.0.0.1:"), &["resolve_time"]).await);
    let unknown = Ends::Fails("resolve", "no address for ".into());
    rows.push(Row { post: Post::Nowhere, ..row("unknown-name", "auto", &WHOLE, Answers::new(), unknown, &[]).await });
    rows
}

/// Datagrams that are no answer, and answers that are none.
fn over_datagrams() -> Vec<(&'static str, Answers, Ends, &'static [&'static str])> {
    let resolved: &[&str] = &["resolve_time"];
    let answered: &[&str] = &["resolve_time", "query_time"];
    let by_both: &[&str] = &["resolve_time", "query_time", "connect_time"];
    let another_question = |asked: &[u8]| with(good(asked), |message| message[13] ^= 1);
    let too_short = |asked: &[u8]| good(asked)[..40].to_vec();
    let truncated_by_both = by_udp(truncated).to_streams(|asked| Script::new().send(framed(&truncated(asked))));
    vec![
        ("port-closed", Answers::new(), refused("cannot reach 127.0.0.1:"), resolved),
        ("no-answer", Answers::new().to_datagrams(|_| Script::new()), late(), resolved),
        ("wrong-id", by_udp(under_another_id), late(), resolved),
        ("wrong-question", by_udp(another_question), late(), resolved),
        ("garbage", by_udp(|_| b"\x00\xff\x1b[31m SSH-2.0".to_vec()), late(), resolved),
        ("empty", by_udp(|_| Vec::new()), late(), resolved),
        ("own-question", by_udp(<[u8]>::to_vec), late(), resolved),
        ("broken-off", by_udp(too_short), malformed(), resolved),
        ("server-failed", by_udp(|asked| refusal(asked, SERVFAIL)), protocol("the server answered SERVFAIL"), answered),
        ("refused", by_udp(|asked| refusal(asked, REFUSED)), protocol("the server answered REFUSED"), answered),
        ("truncated-no-tcp", by_udp(truncated), refused("cannot connect to 127.0.0.1:"), answered),
        ("truncated-twice", truncated_by_both, protocol("the answer is truncated even over TCP"), by_both),
    ]
}

/// A fault over a connection: its name, what the server does to who has asked, how the run ends.
type OverConnection = (&'static str, fn(&[u8]) -> Script, Ends);

/// What a server does to who has connected and asked.
fn over_connections() -> [OverConnection; 10] {
    let closed = || protocol("connection closed by the other side");
    [
        ("closed", |_| Script::new().cut(), closed()),
        ("closed-in-length", |asked| Script::new().send(&framed(&good(asked))[..1]).cut(), closed()),
        ("closed-in-answer", |asked| Script::new().send(&framed(&good(asked))[..30]).cut(), closed()),
        ("reset", |_| Script::new().reset(), protocol("connection reset by the other side")),
        ("silent", |_| Script::new().silence(), late()),
        ("trickle", |_| Script::new().trickle("one byte a second", Duration::from_secs(1)), late()),
        ("length-too-large", |asked| Script::new().send([&[0xff, 0xff], &good(asked)[..]].concat()).silence(), late()),
        ("length-too-large-closed", |asked| Script::new().send([&[0xff, 0xff], &good(asked)[..]].concat()).cut(), closed()),
        ("length-too-small", |asked| Script::new().send([&[0, 40], &good(asked)[..]].concat()), malformed()),
        ("endless-answers", |asked| strangers(asked), protocol("1000 messages, and none of them answers")),
    ]
}

/// Answers to another's question, more than anybody reads.
fn strangers(asked: &[u8]) -> Script {
    Script::new().send(framed(&under_another_id(asked)).repeat(2000)).silence()
}

fn protocol(why: &str) -> Ends {
    Ends::Fails("protocol", format!("lab.test. A: {why}"))
}

fn malformed() -> Ends {
    protocol("the answer is malformed: ")
}

fn refused(doing: &str) -> Ends {
    Ends::Fails("connect", doing.into())
}

async fn row(fault: &'static str, transport: &str, whole: &[&'static str], ill: Answers, ends: Ends, known: &[&'static str]) -> Row {
    let well = neighbour();
    let server = PacketServer::start(well.clone()).await.unwrap();
    let job = format!("dns-{fault}-{transport}");
    let keys = format!("name = \"lab.test\"\ntransport = \"{transport}\"");
    let post = Post::Packets { server, well, ill };
    Row { fault, job, agent: "dns", keys, post, ends, whole: whole.to_vec(), known: known.to_vec() }
}
