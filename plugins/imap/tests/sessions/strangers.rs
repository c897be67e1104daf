//! What a server says unasked: in every phase it is taken, understood where it matters, and bounded.

use watchpost_imap::{MAILBOX_SIZE, SEARCH_FOUND};

use crate::*;

/// Everything that a server may say of itself at any time, extensions nobody has heard of among it.
const UNASKED: &str = "* OK Still here\n* OK [ALERT] the disk is nearly full {5}\n* NO [OVERQUOTA] a warning\n* FLAGS (\\Seen \\Answered)\n\
                       * 1 FETCH (FLAGS (\\Seen))\n* LIST (\\HasNoChildren) \"/\" \"a {5\"\n* STATUS \"a\" (MESSAGES 3)\n* XAPPLE () \"é\"\n";

fn talkative(tag: u32, command: &str, answer: &str) -> Script {
    answers(tag, command, &format!("{UNASKED}{answer}"))
}

#[tokio::test]
async fn what_nobody_asked_for_is_passed_over_in_every_phase() {
    let script = Script::new()
        .say("* OK ready")
        .then(talkative(1, "CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\nOK"))
        .then(talkative(2, "AUTHENTICATE PLAIN", "OK in"))
        .then(talkative(3, "EXAMINE", "* 2 EXISTS\nOK"))
        .then(talkative(4, "SEARCH", "* SEARCH 1 2\n* 3 EXISTS\n* 0 RECENT\nOK"))
        .then(talkative(5, "FETCH 3", "* 3 FETCH (BODY[]<0> {2}\nab)\nOK"))
        .then(talkative(6, "LOGOUT", "* BYE\nOK"));
    let ended = run(script, &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(SEARCH_FOUND)), (Some(2.0), Some(2.0)));
    assert_eq!(ended.0.recorded(), [&IN[..], &ASKED, &["download_time", "download_bytes", "logout_time", "total_time"]].concat());
}

#[tokio::test]
async fn literals_that_nobody_asked_for_are_passed_over_with_what_is_in_them() {
    let list = "* LIST () \"/\" {12}\r\nw2 OK fooled\r\n* LIST () \"/\" ({3+}\r\n* O {0}\r\n)\r\n* 2 EXISTS\r\nw2 OK\r\n";
    let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).send(list).then(searched()).then(fetched()).then(goodbye(5));
    let ended = run(script, &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(MAILBOX_SIZE), Some(2.0));
}

#[tokio::test]
async fn a_brace_at_the_end_of_a_text_announces_nothing() {
    let script = greeted().then(answers(1, "AUTHENTICATE", "* OK wait {9}\nOK in {5}")).then(examined()).then(searched());
    assert_ok(&run(script.then(fetched()).then(goodbye(5)), &login(json!({}))).await);
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).send("* OK wait\r\n".repeat(10_001)).silence();
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "EXAMINE: an answer without an end: more than 10000 responses", &IN);
}

#[tokio::test]
async fn a_response_of_literals_without_an_end_is_given_up() {
    let check = async |piece: &str, kind: &str, message: &str| {
        let pieces = format!("* LIST ({}", piece.repeat(64 * 1024));
        let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).send(pieces).silence();
        let (ran, _) = run(script, &login(json!({}))).await;
        assert_failed(&ran, kind, message, &IN);
    };
    check("{0}\r\n", "protocol", "EXAMINE: a response without an end: more than 64 KiB").await;
    check("{9}\r\nMirabelle", "limit", "EXAMINE: more than the bound of 64 KiB for a literal allows").await;
}

#[tokio::test]
async fn the_bound_of_literals_is_64_kib_to_the_byte() {
    for (bytes, failure) in [(65_536, None), (65_537, Some(("limit", "EXAMINE: more than the bound of 64 KiB for a literal allows")))] {
        let list = format!("* LIST () {{{bytes}}}\r\n{}\r\n* 0 EXISTS\r\nw2 OK\r\n", "x".repeat(bytes));
        let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).send(list).expect("").say("* SEARCH\nw3 OK").then(goodbye(4));
        let (ran, _) = run(script, &login(json!({}))).await;
        assert_eq!(ran.failure(), failure, "{bytes}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_tell_which_command_was_bad_means_ours() {
    let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).say("* BAD what?").silence();
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "EXAMINE: the server answered BAD what?", &IN);
}
