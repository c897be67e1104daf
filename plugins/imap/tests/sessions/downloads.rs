//! Downloads: the right message, as much of it as was asked for, its text seen by nobody; and literals that lie.

use watchpost_imap::DOWNLOAD_BYTES;
use watchpost_plugin_api::standard::{DOWNLOAD_TIME, LOGOUT_TIME, TOTAL_TIME};
use watchpost_testkit::Speaker;

use crate::*;

/// A session up to the download.
fn asked_for() -> Script {
    greeted().then(logged_in()).then(examined()).then(searched())
}

/// A session with that download, and its end.
fn download(answer: impl Into<Vec<u8>>) -> Script {
    asked_for().then(asked(4, "FETCH 2 BODY.PEEK[]")).send(answer).then(goodbye(5))
}

fn kept() -> Vec<&'static str> {
    [&IN[..], &ASKED].concat()
}

async fn check_size(answer: &str, bytes: f64) {
    let ended = run(download(answer), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(DOWNLOAD_BYTES), Some(bytes), "{answer}");
}

async fn check_fails(answer: &str, kind: &str, message: &str) {
    let (ran, _) = run(asked_for().then(asked(4, "FETCH 2")).send(answer).silence(), &login(json!({}))).await;
    assert_failed(&ran, kind, message, &kept());
    assert!(!ran.everything().contains("Mirabelle"), "{ran:#?}");
}

#[tokio::test]
async fn a_message_is_shown_by_its_size_only() {
    let message = "Subject: Mirabelle-3\r\n\r\nMirabelle-4\r\n";
    let answer = format!("* 2 FETCH (BODY[]<0> {{{}}}\r\n{message})\r\nw4 OK Fetch completed.\r\n", message.len());
    let ended = run(download(answer.as_str()), &login(json!({}))).await;
    assert_ok(&ended);
    let ran = ended.0;
    assert!(!ran.everything().contains("Mirabelle"), "{ran:#?}");
    assert_eq!(ran.value(DOWNLOAD_BYTES), Some(37.0));
    assert_eq!(ran.said_by(Speaker::Agent)[2..], ["w3 SEARCH UNSEEN", "w4 FETCH 2 BODY.PEEK[]<0.1048576>", "w5 LOGOUT"]);
    let said = ran.said_by(Speaker::Target);
    assert_eq!(said[said.len() - 4..], ["* 2 FETCH, 37 bytes", "w4 OK Fetch completed.", "* BYE", "w5 OK done"]);
    let counted: Vec<&str> = ran.said_by(Speaker::Host).into_iter().filter(|said| said.contains(" bytes")).collect();
    assert_eq!(counted, ["sent 35 bytes", &format!("received {} bytes", answer.len()), "sent 11 bytes", "received 27 bytes"]);
}

#[tokio::test]
async fn a_message_is_what_its_literal_says_whatever_it_looks_like() {
    for message in ["w4 OK done\r\n", "* BYE\r\n", ")\r\nw4 OK\r\n", "{99999999}\r\n", "\0\u{7f}", "", "\r\n.\r\n"] {
        check_size(&format!("* 2 FETCH (BODY[]<0> {{{}}}\r\n{message})\r\nw4 OK\r\n", message.len()), message.len() as f64).await;
    }
}

#[tokio::test]
async fn a_message_may_come_in_any_form_that_the_protocol_has() {
    check_size("* 2 FETCH (BODY[] {4+}\r\nabcd)\r\nw4 OK\r\n", 4.0).await;
    check_size("* 2 FETCH (FLAGS (\\Seen) BODY[]<0> {4}\r\nabcd UID 9)\r\nw4 OK\r\n", 4.0).await;
    check_size("* 2 FETCH (BODY[]<0> \"ab\\\"c\")\r\nw4 OK\r\n", 4.0).await;
    check_size("* 2 fetch (X-NAME {2}\r\nx) BODY[]<0> {4}\r\nabcd)\r\nw4 ok\r\n", 4.0).await;
}

#[tokio::test]
async fn a_message_that_comes_in_pieces_is_one() {
    let wait = Duration::from_millis(5);
    let pieces = ["* 2 FETCH (BOD", "Y[]<0> {", "6}", "\r", "\nab", "c", "def", ")\r\nw", "4 OK\r\n"];
    let begun = asked_for().then(asked(4, "FETCH 2"));
    let sent = pieces.iter().fold(begun, |script, piece| script.pause(wait).send(*piece));
    let ended = run(sent.then(goodbye(5)), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(DOWNLOAD_BYTES), Some(6.0));
}

#[tokio::test]
async fn as_much_of_a_message_is_asked_for_as_the_job_says_and_no_more_is_taken() {
    for (bytes, failure) in [(1000, None), (1001, Some(("limit", "FETCH: more than download_max allows")))] {
        let answer = format!("* 2 FETCH (BODY[]<0> {{{bytes}}}\r\n{})\r\nw4 OK\r\n", "x".repeat(bytes));
        let script = asked_for().then(asked(4, "FETCH 2 BODY.PEEK[]<0.1000>")).send(answer).expect("w5 LOGOUT").say("w5 OK");
        let (ran, _) = run(script, &login(json!({ "download_max": 1000 }))).await;
        assert_eq!(ran.failure(), failure, "{bytes}");
        assert_eq!(ran.value(DOWNLOAD_BYTES), failure.is_none().then_some(1000.0));
    }
    let answer = format!("* 2 FETCH (BODY[]<0> \"{}\")\r\nw4 OK\r\n", "x".repeat(1001));
    let script = asked_for().then(asked(4, "FETCH 2")).send(answer);
    let (ran, _) = run(script, &login(json!({ "download_max": 1000 }))).await;
    assert_eq!(ran.failure(), Some(("limit", "FETCH: more than download_max allows")));
}

#[tokio::test]
async fn a_large_message_is_counted_to_the_byte() {
    let bytes = 64 * 1024 * 1024;
    let answer = format!("* 2 FETCH (BODY[]<0> {{{bytes}}}\r\n{})\r\nw4 OK\r\n", "x".repeat(bytes));
    let ended = run_within(Duration::from_secs(60), download(answer), &login(json!({ "download_max": bytes }))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(DOWNLOAD_BYTES), Some(bytes as f64));
}

#[tokio::test]
async fn a_message_is_named_by_its_uid_where_the_job_says_so() {
    let keys = login(json!({ "uid": 4711 }));
    let begun = asked_for().then(asked(4, "UID FETCH 4711 BODY.PEEK[]<0.1048576>"));
    let script = begun.clone().send("* 1 FETCH (UID 4711 BODY[]<0> {3}\r\nabc)\r\nw4 OK\r\n").then(goodbye(5));
    let ended = run(script, &keys).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(DOWNLOAD_BYTES), Some(3.0));
    let missing = "UID FETCH: there is no message with UID 4711";
    for (answer, message) in [
        ("w4 OK\r\n", missing),
        ("* 1 FETCH (UID 4711 FLAGS ())\r\nw4 OK\r\n", missing),
        ("* 1 FETCH (UID 4711 BODY[] NIL)\r\nw4 OK\r\n", missing),
        ("* 1 FETCH (UID 4712 BODY[]<0> {3}\r\nabc)\r\nw4 OK\r\n", "UID FETCH: the server sent another message"),
        ("* 1 FETCH (BODY[]<0> {3}\r\nabc)\r\nw4 OK\r\n", "UID FETCH: the server sent another message"),
    ] {
        let (ran, _) = run(begun.clone().send(answer), &keys).await;
        assert_failed(&ran, "protocol", message, &kept());
    }
}

#[tokio::test]
async fn the_newest_message_is_that_of_the_moment() {
    let search = answers(3, "SEARCH", "* 4 EXISTS\n* SEARCH 2\n* 1 EXPUNGE\nOK done");
    let fetch = asked(4, "FETCH 3 ").send("* 3 FETCH (BODY[]<0> {3}\r\nabc)\r\nw4 OK\r\n");
    let ended = run(greeted().then(logged_in()).then(examined()).then(search).then(fetch).then(goodbye(5)), &login(json!({}))).await;
    assert_ok(&ended);
}

#[tokio::test]
async fn a_message_that_is_deleted_meanwhile_is_no_failure_and_no_time() {
    const WAIT: Duration = Duration::from_millis(300);
    for answer in
        ["w4 OK\r\n", "w4 NO [EXPUNGEISSUED] Some of the requested messages no longer exist\r\n", "* 2 FETCH (BODY[] NIL)\r\nw4 OK\r\n"]
    {
        let begun = asked_for().then(asked(4, "FETCH 2")).pause(WAIT);
        let ended = run(begun.send(answer).then(goodbye(5)), &login(json!({}))).await;
        assert_ok(&ended);
        assert_eq!((ended.0.value(DOWNLOAD_TIME), ended.0.value(DOWNLOAD_BYTES)), (None, None));
        let logout = Duration::from_nanos(ended.0.nanos(LOGOUT_TIME).unwrap());
        assert!(logout < WAIT, "the attempt is no part of the logout: {logout:?}");
        assert_eq!(ended.0.nanos(TOTAL_TIME), Some(sums::of_phases(&ended.0)));
    }
    check_fails("w4 NO not now\r\n", "protocol", "FETCH: the server answered NO not now").await;
}

#[tokio::test]
async fn a_literal_that_lies_is_caught_and_nothing_after_it_is_quoted() {
    let short = |bytes: usize| format!("* 2 FETCH (BODY[]<0> {{{bytes}}}\r\nSubject: Mirabelle-6\r\n\r\nMirabelle-7\r\n)\r\nw4 OK\r\n");
    // Too short: what is left of the message is no answer, whatever it looks like.
    check_fails(&short(3), "protocol", "FETCH: no answer to FETCH").await;
    check_fails(&short(22), "protocol", "FETCH: no answer to FETCH").await;
    check_fails(&short(0), "protocol", "FETCH: no answer to FETCH").await;
    // Too long: the end of the answer is taken for the message, and the server waits for us.
    let (ran, _) =
        run_within(Duration::from_secs(1), asked_for().then(asked(4, "FETCH 2")).send(short(5000)).silence(), &login(json!({}))).await;
    let awaited = "nothing more came after the answer to `w4 FETCH 2 BODY.PEEK[]<0.1048576>` began";
    assert_failed(&ran, "timeout", &format!("no end within 1 s: {awaited}; search_found was the last it recorded"), &kept());
    assert!(!ran.everything().contains("Mirabelle"), "{ran:#?}");
}

#[tokio::test]
async fn a_message_that_goes_on_as_responses_is_not_shown() {
    for line in [
        "Mirabelle-8",
        "* OK Mirabelle-8",
        "* Mirabelle EXISTS",
        "* BYE Mirabelle-8",
        "* Mirabelle-8 x",
        "w9 OK Mirabelle-8",
        "+ Mirabelle-8",
    ] {
        let answer = format!("* 2 FETCH (BODY[]<0> {{2}}\r\nab)\r\n{line}\r\nw4 OK\r\n");
        let (ran, _) = run(asked_for().then(asked(4, "FETCH 2")).send(answer).expect("").say("* BYE\nw5 OK"), &login(json!({}))).await;
        assert!(!ran.everything().contains("Mirabelle"), "{line}: {ran:#?}");
    }
}

#[tokio::test]
async fn another_message_than_the_one_asked_for_is_refused() {
    check_fails("* 1 FETCH (BODY[]<0> {3}\r\nabc)\r\nw4 OK\r\n", "protocol", "FETCH: the server sent another message").await;
    check_fails("* 2 FETCH BODY[]<0> {3}\r\nMirabelle)\r\n", "protocol", "FETCH: no answer to FETCH").await;
}
