//! How a session ends, and what a server's bad manners at the end cost: nothing but quit_time.

use watchpost_plugin_api::standard::{QUIT_TIME, TOTAL_TIME};

use crate::*;

const ENVELOPE: &str = r#"{ "from": "probe@lab.test", "to": "alice@lab.test" }"#;

fn envelope() -> Value {
    serde_json::from_str(ENVELOPE).unwrap()
}

/// The phases before the end, and their sum as the total.
#[track_caller]
fn assert_ended_without_quit(ran: &Ran, phases: &[&str]) {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!(ran.value(QUIT_TIME), None);
    let times: Vec<String> = phases.iter().chain(&["total"]).map(|phase| format!("{phase}_time")).collect();
    assert_eq!(ran.recorded(), times);
    assert_eq!(ran.nanos(TOTAL_TIME), Some(sums::of_phases(ran)));
}

#[tokio::test]
async fn a_server_that_closes_instead_of_answering_quit_is_forgiven() {
    let faults: [fn(Script) -> Script; 6] = [
        Script::cut,
        Script::reset,
        Script::garbage,
        Script::endless_line,
        |script| script.say("500 what?"),
        |script| script.say("421 gone"),
    ];
    for fault in faults {
        let (ran, _) = run(fault(greeted(&[]).expect("QUIT")), &json!({})).await;
        assert_ended_without_quit(&ran, &["resolve", "connect", "banner", "ehlo"]);
        assert!(ran.logged.iter().any(|(_, line)| line.starts_with("no proper end: QUIT: ")), "{:?}", ran.logged);
    }
}

#[tokio::test]
async fn a_server_that_refuses_to_take_a_transaction_back_is_forgiven() {
    let (ran, _) = run(greeted(&[]).then(transaction()).expect("RSET").say("500 what?"), &envelope()).await;
    assert_ended_without_quit(&ran, &["resolve", "connect", "banner", "ehlo", "mail", "rcpt"]);
}

#[tokio::test]
async fn a_server_that_is_silent_at_the_end_meets_the_deadline() {
    let (ran, _) = run_within(Duration::from_millis(500), greeted(&[]).expect("QUIT").silence(), &json!({})).await;
    let message = "no end within 0.5 s: no answer to `QUIT`; ehlo_time was the last it recorded";
    assert_failed(&ran, "timeout", message, &["resolve", "connect", "banner", "ehlo"]);
}

#[tokio::test]
async fn a_transaction_without_a_message_is_taken_back() {
    let ended = run(greeted(&[]).then(transaction()).expect("RSET").say("250 ok").then(goodbye()), &envelope()).await;
    assert_ok(&ended);
    let said = ["EHLO [127.0.0.1]", "MAIL FROM:<probe@lab.test>", "RCPT TO:<alice@lab.test>", "RSET", "QUIT"];
    assert_eq!(ended.1.heard, said);
}

#[tokio::test]
async fn a_recipient_that_is_forwarded_or_not_verified_is_accepted() {
    for answer in ["251 will forward", "252 cannot verify"] {
        let script = greeted(&[]).expect("MAIL").say("250 ok").expect("RCPT").say(answer).expect("RSET").say("250 ok");
        assert_ok(&run(script.then(goodbye()), &envelope()).await);
    }
}

#[tokio::test]
async fn a_session_that_fails_is_left_with_quit() {
    let (ran, served) = run(greeted(&[]).expect("MAIL").say("550 no").expect("QUIT"), &envelope()).await;
    let message = "MAIL: the server answered 550 no";
    assert_failed(&ran, "protocol", message, &["resolve", "connect", "banner", "ehlo"]);
    assert_eq!(served.broke, None);
}
