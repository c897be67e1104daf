//! What mailboxes hold: none, much, long lines, dots, and answers that disagree.

use watchpost_plugin_api::standard::{DOWNLOAD_TIME, QUERY_TIME, TOTAL_TIME};
use watchpost_pop3::{MAILBOX_BYTES, MAILBOX_SIZE};
use watchpost_testkit::Speaker;

use crate::*;

const IN: [&str; 4] = ["resolve_time", "connect_time", "banner_time", "authenticate_time"];
const ASKED: [&str; 3] = ["query_time", "mailbox_size", "mailbox_bytes"];

fn entered() -> Script {
    greeted().then(logged_in())
}

async fn check_fails(script: Script, kind: &str, message: &str, asked: bool) {
    let (ran, _) = run(entered().then(script), &login(json!({}))).await;
    let kept = if asked { [&IN[..], &ASKED].concat() } else { IN.to_vec() };
    assert_failed(&ran, kind, message, &kept);
}

#[tokio::test]
async fn size_and_volume_are_those_of_stat() {
    let ended = run(entered().then(queried()).then(retrieved()).then(goodbye()), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(MAILBOX_BYTES)), (Some(2.0), Some(320.0)));
    assert!(ended.0.value(DOWNLOAD_TIME).is_some());
    assert_eq!(ended.1.heard[2..], ["STAT", "LIST", "RETR 2", "QUIT"], "nothing is deleted");
}

#[tokio::test]
async fn an_empty_mailbox_is_0_messages_and_no_download() {
    let empty = Script::new().expect("STAT").say("+OK 0 0").expect("LIST").say("+OK\n.");
    let ended = run(entered().then(empty).then(goodbye()), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(MAILBOX_BYTES)), (Some(0.0), Some(0.0)));
    assert_eq!(ended.0.value(DOWNLOAD_TIME), None);
    assert!(ended.0.value(QUERY_TIME).is_some() && ended.0.value(TOTAL_TIME).is_some());
}

#[tokio::test]
async fn nothing_is_downloaded_where_that_is_forbidden() {
    let ended = run(entered().then(queried()).then(goodbye()), &login(json!({ "download": false }))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(DOWNLOAD_TIME), None);
    assert_eq!(ended.0.value(MAILBOX_SIZE), Some(2.0));
}

#[tokio::test]
async fn a_message_is_shown_by_its_size_only() {
    let script = entered().then(queried()).expect("RETR 2").say("+OK 200 octets\nSubject: Mirabelle-3\n\nMirabelle-4\n.").then(goodbye());
    let ended = run(script, &login(json!({}))).await;
    assert_ok(&ended);
    let ran = ended.0;
    assert!(!ran.everything().contains("Mirabelle"), "{ran:#?}");
    assert_eq!(ran.said_by(Speaker::Agent)[2..], ["STAT", "LIST", "RETR 2", "QUIT"]);
    let said = ran.said_by(Speaker::Target);
    assert_eq!(said[said.len() - 3..], ["+OK 200 octets", "the message, 40 bytes", "+OK bye"]);
    let counted: Vec<&str> = ran.said_by(Speaker::Host).into_iter().filter(|said| said.contains(" bytes")).collect();
    assert_eq!(counted, ["sent 8 bytes", "received 56 bytes", "sent 6 bytes", "received 9 bytes"]);
}

#[tokio::test]
async fn what_follows_a_message_that_ended_too_early_is_not_quoted() {
    let script = entered().then(queried()).expect("RETR 2").say("+OK\nSubject: probe\n.\nMirabelle-5").expect("QUIT");
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!(ran.logged[0].1, "no proper end: QUIT: no POP3 reply after the message");
    assert!(!ran.everything().contains("Mirabelle"), "{ran:#?}");
}

#[tokio::test]
async fn a_message_ends_with_its_last_dot_whatever_dots_it_has() {
    let body = "+OK\r\n..\r\n..QUIT\r\n\n.\n a.\r\n.\r\n";
    let script = entered().then(queried()).expect("RETR 2").send(body).then(goodbye());
    assert_ok(&run(script, &login(json!({}))).await);
}

#[tokio::test]
async fn a_message_may_have_longer_lines_than_a_reply() {
    let script = entered().then(queried()).expect("RETR 2").say(&format!("+OK\n{}\n.", "x".repeat(1_000_000))).then(goodbye());
    assert_ok(&run(script, &login(json!({}))).await);
}

#[tokio::test]
async fn a_message_that_comes_in_pieces_is_one() {
    let wait = Duration::from_millis(5);
    let pieces = ["+OK\r", "\ntext\r\n", ".", "\r", "\n"];
    let sent = pieces.iter().fold(entered().then(queried()).expect("RETR 2"), |script, piece| script.pause(wait).send(*piece));
    assert_ok(&run(sent.then(goodbye()), &login(json!({}))).await);
}

#[tokio::test]
async fn a_message_beyond_the_bound_is_not_asked_for() {
    let large = Script::new().expect("STAT").say("+OK 1 67108865").expect("LIST").say("+OK\n1 67108865\n.").expect("QUIT");
    check_fails(large, "limit", "RETR: more than the bound of 64 MiB for a message allows", true).await;
}

#[tokio::test]
async fn a_message_without_an_end_is_given_up_at_the_bound() {
    let script = queried().expect("RETR 2").say("+OK 200 octets").endless_line();
    let (ran, _) = run_within(Duration::from_secs(60), entered().then(script), &login(json!({}))).await;
    let kept = [&IN[..], &ASKED].concat();
    assert_failed(&ran, "limit", "RETR: more than the bound of 64 MiB for a message allows", &kept);
}

#[tokio::test]
async fn the_bound_is_64_mib_to_the_byte() {
    const END: &str = "\r\n.\r\n";
    for (beyond, failure) in [(0, None), (1, Some(("limit", "RETR: more than the bound of 64 MiB for a message allows")))] {
        let message = "x".repeat(64 * 1024 * 1024 + beyond - END.len());
        let script = entered().then(queried()).expect("RETR 2").say("+OK").send(message + END).expect("QUIT").say("+OK");
        let (ran, _) = run_within(Duration::from_secs(60), script, &login(json!({}))).await;
        assert_eq!(ran.failure(), failure, "{beyond} bytes beyond");
    }
}

#[tokio::test]
async fn answers_that_are_none_or_disagree_break_the_protocol() {
    let stat = |answer| Script::new().expect("STAT").say(answer);
    let list = |lines| Script::new().expect("STAT").say("+OK 2 320").expect("LIST").say(lines);
    check_fails(stat("+OK"), "protocol", "STAT: no count and size: \"\"", false).await;
    check_fails(stat("+OK -1 0"), "protocol", "STAT: no count and size: \"-1 0\"", false).await;
    check_fails(list("+OK\n1 120\n."), "protocol", "LIST: fewer messages than the 2 that STAT counted", false).await;
    let more = format!("+OK\n{}", "1 120\n".repeat(1000));
    check_fails(list(&more), "protocol", "LIST: more messages than the 2 that STAT counted", false).await;
    check_fails(list("+OK\n1 \u{1b}x\n."), "protocol", "LIST: no number and size: \"1 \\u{1b}x\"", false).await;
}
