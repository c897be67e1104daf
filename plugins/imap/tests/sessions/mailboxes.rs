//! Opening and searching: what is asked, what is understood of the answers, and what is refused.

use watchpost_imap::{MAILBOX_SIZE, SEARCH_FOUND};
use watchpost_plugin_api::standard::{DOWNLOAD_TIME, SEARCH_TIME, SELECT_TIME, TOTAL_TIME};

use crate::*;

fn entered() -> Script {
    greeted().then(logged_in())
}

/// Opens a mailbox of that many messages.
fn holding(messages: u32) -> Script {
    answers(2, "EXAMINE", &format!("* {messages} EXISTS\nOK done"))
}

/// Without a download, for there is none to speak of here.
fn reading(keys: Value) -> Value {
    let mut keys = login(keys);
    keys["download"] = json!(false);
    keys
}

#[tokio::test]
async fn the_mailbox_is_opened_for_reading_and_nothing_is_changed() {
    let ended = run(greeted().then(whole()), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(SEARCH_FOUND)), (Some(2.0), Some(1.0)));
    let said = commands(&ended.1);
    assert_eq!(said[1..], ["EXAMINE \"INBOX\"", "SEARCH UNSEEN", "FETCH 2 BODY.PEEK[]<0.1048576>", "LOGOUT"]);
}

#[tokio::test]
async fn a_job_may_ask_for_select_another_mailbox_and_another_search() {
    let select = answers(2, "SELECT \"Entw&APw-rfe &- \\\"Co\\\"\"", "* 7 EXISTS\nOK [READ-WRITE] done");
    let search = answers(3, "SEARCH SUBJECT \"probe\" UNDELETED", "* SEARCH 1 2 3\nOK done");
    let keys = json!({ "select": true, "mailbox": "Entwürfe & \"Co\"", "search": "SUBJECT \"probe\" UNDELETED" });
    let ended = run(entered().then(select).then(search).then(goodbye(4)), &reading(keys)).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(SEARCH_FOUND)), (Some(7.0), Some(3.0)));
}

#[tokio::test]
async fn a_search_and_a_download_can_be_left_out() {
    let ended = run(entered().then(examined()).then(goodbye(3)), &reading(json!({ "search": "" }))).await;
    assert_ok(&ended);
    assert!(ended.0.value(SELECT_TIME).is_some());
    assert_eq!((ended.0.value(SEARCH_TIME), ended.0.value(SEARCH_FOUND), ended.0.value(DOWNLOAD_TIME)), (None, None, None));
}

#[tokio::test]
async fn an_empty_mailbox_is_0_messages_and_no_download() {
    let empty = answers(2, "EXAMINE", "* 0 EXISTS\n* 0 RECENT\nOK").then(answers(3, "SEARCH", "* SEARCH\nOK")).then(goodbye(4));
    let ended = run(entered().then(empty), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!((ended.0.value(MAILBOX_SIZE), ended.0.value(SEARCH_FOUND)), (Some(0.0), Some(0.0)));
    assert_eq!(ended.0.value(DOWNLOAD_TIME), None);
    assert!(ended.0.value(TOTAL_TIME).is_some());
}

#[tokio::test]
async fn a_server_that_can_is_asked_for_a_figure_instead_of_a_list() {
    let search = |offers: &str, asked: &str, answer: &str| {
        let login = answers(1, "AUTHENTICATE", &format!("OK [CAPABILITY IMAP4rev1 {offers}] in"));
        greeted().then(login).then(holding(1_000_000)).then(answers(3, asked, &format!("{answer}\nOK done"))).then(goodbye(4))
    };
    for (offers, asked, answer, found) in [
        ("ESEARCH", "SEARCH RETURN (COUNT) UNSEEN", "* ESEARCH (TAG \"w3\") COUNT 1000000", 1e6),
        ("ESEARCH", "SEARCH RETURN (COUNT) UNSEEN", "* ESEARCH (TAG \"w3\") COUNT 0", 0.0),
        ("ID", "SEARCH UNSEEN", "* ESEARCH (TAG \"w3\") ALL 1:4,9", 5.0),
        ("ID", "SEARCH UNSEEN", "* ESEARCH (TAG \"w3\")", 0.0),
        ("ID", "SEARCH UNSEEN", "* SEARCH 1 2\n* SEARCH 3", 3.0),
        ("ESEARCH", "SEARCH RETURN (COUNT) UNSEEN", "* ESEARCH (TAG \"w2\") COUNT 9\n* ESEARCH (TAG \"w3\") COUNT 4", 4.0),
    ] {
        let ended = run(search(offers, asked, answer), &reading(json!({}))).await;
        assert_ok(&ended);
        assert_eq!(ended.0.value(SEARCH_FOUND), Some(found), "{answer}");
    }
}

#[tokio::test]
async fn a_message_may_be_found_and_deleted_in_one_breath() {
    let search = answers(3, "SEARCH", "* SEARCH 1 2\n* 1 EXPUNGE\nOK done");
    let ended = run(entered().then(examined()).then(search).then(goodbye(4)), &reading(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(SEARCH_FOUND), Some(2.0));
}

#[tokio::test]
async fn a_list_of_a_million_messages_is_counted() {
    let list: String = (1..=1_000_000).fold(String::from("* SEARCH"), |list, number| list + " " + &number.to_string());
    let script = entered().then(holding(1_000_000)).then(answers(3, "SEARCH", &format!("{list}\nOK done"))).then(goodbye(4));
    let ended = run(script, &reading(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(SEARCH_FOUND), Some(1e6));
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_told_in_the_servers_words() {
    let script = entered().then(answers(2, "EXAMINE \"Archive\"", "NO [NONEXISTENT] Mailbox doesn't exist: Archive"));
    let (ran, _) = run(script, &login(json!({ "mailbox": "Archive" }))).await;
    let message = "EXAMINE: the server answered NO [NONEXISTENT] Mailbox doesn't exist: Archive";
    assert_failed(&ran, "protocol", message, &IN);
}

#[tokio::test]
async fn answers_that_are_none_or_disagree_break_the_protocol() {
    let check = async |examine: &str, message: &str| {
        let (ran, _) = run(entered().then(answers(2, "EXAMINE", examine)), &login(json!({}))).await;
        assert_failed(&ran, "protocol", &format!("EXAMINE: {message}"), &IN);
    };
    check("OK done", "the server does not say how many messages there are").await;
    check("* 1e9 EXISTS\nOK", "no count of messages: \"1e9 EXISTS\"").await;
    check("* 99999999999 EXISTS\nOK", "no count of messages: \"99999999999 EXISTS\"").await;
    check("* 1 EXISTS\n* 2 EXPUNGE\nOK", "no count of messages: \"2 EXPUNGE\"").await;
    let check = async |search: &str, message: &str| {
        let (ran, _) = run(entered().then(examined()).then(answers(3, "SEARCH", search)), &login(json!({}))).await;
        assert_failed(&ran, "protocol", &format!("SEARCH: {message}"), &[&IN[..], &ASKED[..2]].concat());
    };
    check("OK done", "the server does not say what it found").await;
    check("* SEARCH 1 \u{1b}x\nOK", "no search result: \"SEARCH 1 \\u{1b}x\"").await;
    check("* ESEARCH (TAG \"w9\") COUNT 4\nOK", "the server does not say what it found").await;
    check("* SEARCH 1 2 2\nOK", "the server found 3 of 2 messages").await;
    check("* 3 EXISTS\n* ESEARCH (TAG \"w3\") ALL 1:4\n* 9 EXPUNGE\nOK", "no count of messages: \"9 EXPUNGE\"").await;
    check("NO [BADCHARSET] no", "the server answered NO [BADCHARSET] no").await;
}
