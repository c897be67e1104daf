//! What a job expects of an answer, and what it is told when another one comes.

use crate::*;

const KEPT: [&str; 4] = ["resolve_time", "query_time", "answers", "answer_ttl"];

/// Asks for records of a type and gets these; `expected` is the message of the failure.
async fn check(rtype: &str, expect: Value, code: Rcode, records: &'static [Wired<'static>], expected: Result<(), &str>) {
    let mut keys = json!({ "type": rtype, "transport": "udp" });
    if !expect.is_null() {
        keys["expect"] = expect;
    }
    let ran = run(by_datagram(move |asked| reply(asked, code, records)), &keys).await;
    let failure = expected.err().map(|message| ("protocol", format!("lab.test. {rtype}: the server answered {message}")));
    assert_eq!(ran.failure().map(|(kind, message)| (kind, message.to_owned())), failure, "{keys} {ran:#?}");
    assert!(ran.recorded().contains(&"query_time"), "the server did answer");
}

const ADDRESSES: &[Wired<'_>] = &[ONE, TWO];
const MAIL: &[Wired<'_>] = &[
    ("lab.test", 60, Rtype::MX, b"\x00\x0a\x04mail\x03Lab\x04test\x00"),
    ("lab.test", 60, Rtype::MX, b"\x00\x14\x06backup\x03lab\x04test\x00"),
];
const TEXTS: &[Wired<'_>] = &[("lab.test", 60, Rtype::TXT, b"\x08v=spf1 a\x05 -all")];

#[tokio::test]
async fn a_record_is_there_however_its_names_and_addresses_are_written() {
    for expect in [json!("192.0.2.2"), json!(["192.0.2.2", "192.0.2.1"])] {
        check("A", expect, Rcode::NOERROR, ADDRESSES, Ok(())).await;
    }
    for expect in ["10 mail.lab.test.", "10 mail.lab.test", "10  MAIL.lab.test.", "20 backup.lab.test."] {
        check("MX", json!(expect), Rcode::NOERROR, MAIL, Ok(())).await;
    }
    const SIX: &[Wired<'_>] = &[("lab.test", 60, Rtype::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa])];
    check("AAAA", json!("2001:0DB8::000A"), Rcode::NOERROR, SIX, Ok(())).await;
    const STRANGE: &[Wired<'_>] = &[("lab.test", 60, Rtype::from_int(65280), &[0xde, 0xad])];
    check("TYPE65280", json!("\\# 2 dead"), Rcode::NOERROR, STRANGE, Ok(())).await;
}

#[tokio::test]
async fn a_text_is_there_in_one_or_as_its_strings_and_in_its_own_letters() {
    for expect in ["v=spf1 a -all", "\"v=spf1 a\" \" -all\""] {
        check("TXT", json!(expect), Rcode::NOERROR, TEXTS, Ok(())).await;
    }
    let missing = Err("\"v=spf1 a -all\", expected was \"V=SPF1 a -all\"");
    check("TXT", json!("V=SPF1 a -all"), Rcode::NOERROR, TEXTS, missing).await;
}

#[tokio::test]
async fn a_record_that_is_missing_is_told_with_those_that_came() {
    let message = "\"192.0.2.1\", \"192.0.2.2\", expected was \"192.0.2.3\"";
    check("A", json!(["192.0.2.1", "192.0.2.3"]), Rcode::NOERROR, ADDRESSES, Err(message)).await;
    check("A", json!("192.0.2"), Rcode::NOERROR, ADDRESSES, Err("\"192.0.2.1\", \"192.0.2.2\", expected was \"192.0.2\"")).await;
    const MANY: &[Wired<'_>] = &[ONE; 9];
    let five = ["\"192.0.2.1\""; 5].join(", ");
    check("A", json!("192.0.2.3"), Rcode::NOERROR, MANY, Err(&format!("{five} and 4 more, expected was \"192.0.2.3\""))).await;
    check("A", json!("192.0.2.3"), Rcode::NOERROR, &[], Err("without such records, expected was \"192.0.2.3\"")).await;
}

#[tokio::test]
async fn a_response_code_fails_the_run_unless_it_is_the_expected_one() {
    let codes = [
        (Rcode::FORMERR, "FORMERR: it does not understand the question"),
        (Rcode::SERVFAIL, "SERVFAIL: it has failed to find out"),
        (Rcode::NXDOMAIN, "NXDOMAIN: there is no such name"),
        (Rcode::NOTIMP, "NOTIMP: it does not know how to"),
        (Rcode::REFUSED, "REFUSED: it does not want to"),
        (Rcode::NOTAUTH, "NOTAUTH"),
    ];
    for (code, words) in codes {
        check("A", Value::Null, code, &[], Err(words)).await;
        check("A", json!("192.0.2.1"), code, &[], Err(words)).await;
        check("A", json!(code.to_string()), code, &[], Ok(())).await;
    }
    check("A", json!("NOERROR"), Rcode::NOERROR, ADDRESSES, Ok(())).await;
    let there = "NOERROR, expected was NXDOMAIN";
    check("A", json!("NXDOMAIN"), Rcode::NOERROR, ADDRESSES, Err(there)).await;
}

#[tokio::test]
async fn how_many_records_there_are_is_unknown_of_a_server_that_does_not_say() {
    for (code, kept) in [(Rcode::NXDOMAIN, 3), (Rcode::SERVFAIL, 2), (Rcode::REFUSED, 2)] {
        let ran = run(by_datagram(move |asked| reply(asked, code, &[])), &json!({})).await;
        assert_eq!(ran.recorded(), KEPT[..kept], "{code}");
    }
    let ran = run(by_datagram(|asked| reply(asked, Rcode::NOERROR, &[])), &json!({})).await;
    assert_eq!(ran.failure(), None, "an empty answer is an answer");
    assert_eq!(ran.recorded(), ["resolve_time", "query_time", "answers", "total_time"]);
}

#[tokio::test]
async fn the_aliases_that_lead_to_a_record_are_not_counted() {
    const ALIAS: Wired<'_> = ("lab.test", 5, Rtype::CNAME, b"\x04mail\x03lab\x04test\x00");
    let ran = run(by_datagram(|asked| reply(asked, Rcode::NOERROR, &[ALIAS, ONE])), &json!({})).await;
    assert_eq!(ran.failure(), None);
    let recorded = |name: &str| ran.outcome.samples.iter().find(|sample| sample.metric == name).map(|sample| sample.value);
    assert_eq!((recorded("answers"), recorded("answer_ttl")), (Some(1.0), Some(60.0)));
}
