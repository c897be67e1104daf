//! Servers that mean us harm: what they send is bounded, and refused where LDAP has no such thing.

use watchpost_testkit::Speaker;

use crate::{breaks::check, *};

const BOUND: &[&str] = &["resolve_time", "connect_time", "bind_time"];

/// A bind is answered by these bytes, and no more.
async fn check_bind(answer: Vec<u8>, message: &str) {
    let (ran, _) = run(bind_asked().send(answer).silence(), &json!({})).await;
    assert_failed(&ran, "protocol", &format!("bind: {message}"), &BOUND[..2]);
}

#[tokio::test]
async fn a_length_that_nothing_could_have_in_any_phase_is_refused_before_it_comes() {
    for length in [16 * 1024 * 1024 + 1, u32::MAX] {
        let head = [&[0x30, 0x84], length.to_be_bytes().as_slice()].concat();
        check(
            |_, script| script.send(head.clone()).silence(),
            |phase| ("protocol", format!("{}: a message of {length} bytes; at most 16 MiB are taken", phase.name)),
        )
        .await;
    }
    check_bind(vec![0x30, 0x88, 1, 0, 0, 0, 0, 0, 0, 0], "the answer is malformed: a length of more than four bytes").await;
}

#[tokio::test]
async fn a_length_that_is_not_told_is_refused_wherever_it_stands() {
    check_bind(vec![0x30, 0x80, 2, 1, 1], "the answer is malformed: a length that is not told").await;
    let inside = [0x30, 12, 2, 1, 1, 0x61, 0x80, 10, 1, 0, 4, 0, 4, 0].to_vec();
    check_bind(inside, "the answer is malformed: a length that is not told").await;
}

#[tokio::test]
async fn elements_within_elements_without_end_are_not_descended_into() {
    // A megabyte of heads, each the contents of the one before.
    let nested = (0..170_000).rev().flat_map(|level: u32| [&[0x30, 0x84], (level * 6).to_be_bytes().as_slice()].concat());
    let bomb: Vec<u8> = nested.collect();
    check_bind(element(0x30, &[&[2, 1, 1], bomb.as_slice()].concat()), "the answer is malformed: its type is unknown").await;
    // Where an unknown component may stand they are passed over.
    let script = bind_asked().send(result(1, BIND, 0, "", &bomb)).then(found(2)).then(unbound());
    assert_ok(&run(script, &json!({})).await);
    let attributes = message(2, 0x64, &[string("cn=a"), bomb].concat());
    let (ran, _) = run(bound(1).then(search_asked()).send(attributes), &json!({})).await;
    let malformed = "search: the answer is malformed: an element is of another type";
    assert_failed(&ran, "protocol", malformed, BOUND);
}

#[tokio::test]
async fn an_answer_to_what_nobody_sent_is_refused_in_any_phase() {
    check(
        |phase, script| script.send(result(phase.id + 1, SEARCH, 0, "", &[])).silence(),
        |phase| ("protocol", format!("{}: an answer to message {}, which nobody sent", phase.name, phase.id + 1)),
    )
    .await;
}

#[tokio::test]
async fn an_answer_to_something_else_is_refused_in_any_phase() {
    check(
        |phase, script| {
            let tag = if phase.name == "bind" { SEARCH } else { BIND };
            script.send(result(phase.id, tag, 0, "hello", &[])).silence()
        },
        |phase| {
            let name = if phase.name == "bind" { "searchResultDone" } else { "bindResponse" };
            ("protocol", format!("{}: the server answered something else: {name} success (0): hello", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn what_nobody_asked_for_is_passed_over_a_hundred_times() {
    let unasked = result(0, 0x78, 0, "", &element(0x8a, b"1.2.3"));
    let answer = |count| bind_asked().send(unasked.repeat(count)).then(Script::new().send(result(1, BIND, 0, "", &[])));
    let ended = run(answer(100).then(found(2)).then(unbound()), &json!({})).await;
    assert_ok(&ended);
    assert_eq!(ended.0.said_by(Speaker::Target)[0], "unasked: extendedResponse 1.2.3 success (0)");
    let (ran, _) = run(answer(101).silence(), &json!({})).await;
    assert_failed(&ran, "protocol", "bind: more than 100 messages that nobody asked for", &BOUND[..2]);
}

#[tokio::test]
async fn entries_without_an_end_are_given_up_at_the_bound() {
    let searching = |answers: Vec<u8>| bound(1).then(search_asked()).send(answers.repeat(2000)).silence();
    let kept = [BOUND, &["search_time"]].concat();
    for one in [entry(2, "cn=a", &[]), reference(2, "ldap://b")] {
        let (ran, served) = run(searching(one.clone()), &json!({})).await;
        assert_failed(&ran, "limit", "search: more than `entries_max = 1000` allows", &kept);
        assert!(served.heard[1].contains("\u{2}\u{2}\u{3}\u{fffd}"), "the server was told: {:?}", served.heard);
        let (ran, _) = run(searching(one), &json!({ "entries_max": 7 })).await;
        assert_failed(&ran, "limit", "search: more than `entries_max = 7` allows", &kept);
    }
}

#[tokio::test]
async fn an_entry_may_have_megabytes_and_is_told_in_a_line() {
    let member = "cn=somebody with a long name,ou=people,dc=lab,dc=test";
    let members = vec![member; 100_000];
    let group = entry(2, "cn=everybody", &[("member", &members)]);
    assert!(group.len() > 5_000_000);
    let script = bound(1).then(search_asked()).send([group, result(2, SEARCH, 0, "", &[])].concat()).then(unbound());
    let ended = run(script, &json!({ "expect": format!("member={member}") })).await;
    assert_ok(&ended);
    assert_eq!(ended.0.said_by(Speaker::Target)[1], "searchResultEntry \"cn=everybody\": member ×100000");
}

#[tokio::test]
async fn of_many_entries_the_dialogue_shows_the_first() {
    let script = bound(1).then(search_asked()).send([entry(2, "cn=a", &[]).repeat(90), result(2, SEARCH, 0, "", &[])].concat());
    let (ran, _) = run(script.then(unbound()), &json!({})).await;
    let said = ran.said_by(Speaker::Target);
    assert_eq!(
        (said.len(), said[20], said[21], said[22]),
        (23, "searchResultEntry \"cn=a\"", "(and more)", "searchResultDone success (0)")
    );
}
