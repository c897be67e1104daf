//! How a session ends, and what a server's bad manners at the end cost: nothing but logout_time.

use watchpost_plugin_api::standard::{LOGOUT_TIME, TOTAL_TIME};

use crate::*;

const GREETED: [&str; 3] = ["resolve_time", "connect_time", "banner_time"];

#[tokio::test]
async fn without_a_login_a_session_is_a_banner_and_logout() {
    let ended = run(greeted().then(goodbye(1)), &json!({})).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard, ["w1 LOGOUT"]);
    assert!(ended.0.value(LOGOUT_TIME).is_some());
}

#[tokio::test]
async fn a_server_that_ends_without_a_bye_ends_all_the_same() {
    let ended = run(greeted().then(takes(1, "LOGOUT")), &json!({})).await;
    assert_ok(&ended);
    assert!(ended.0.value(LOGOUT_TIME).is_some());
}

#[tokio::test]
async fn a_server_that_closes_instead_of_answering_logout_is_forgiven() {
    let faults: [fn(Script) -> Script; 9] = [
        Script::cut,
        Script::reset,
        Script::garbage,
        Script::endless_line,
        |script| script.say("* BYE").cut(),
        |script| script.say("w1 BAD what"),
        |script| script.say("w2 OK done"),
        |script| script.say("+ go on"),
        |script| script.say("* LIST {99999999}"),
    ];
    for fault in faults {
        let (ran, _) = run(fault(greeted().then(asked(1, "LOGOUT"))), &json!({})).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.value(LOGOUT_TIME), None);
        assert_eq!(ran.recorded(), [&GREETED[..], &["total_time"]].concat());
        assert_eq!(ran.nanos(TOTAL_TIME), Some(sums::of_phases(&ran)));
        assert!(ran.logged.iter().any(|(_, line)| line.starts_with("no proper end: LOGOUT: ")), "{:?}", ran.logged);
    }
}

#[tokio::test]
async fn a_server_that_is_silent_at_the_end_meets_the_deadline() {
    let (ran, _) = run_within(Duration::from_millis(500), greeted().then(asked(1, "LOGOUT")).silence(), &json!({})).await;
    assert_failed(&ran, "timeout", "no end within 0.5 s: no answer to `w1 LOGOUT`; banner_time was the last it recorded", &GREETED);
}

#[tokio::test]
async fn a_session_that_fails_is_left_with_logout() {
    let script = greeted().then(logged_in()).then(answers(2, "EXAMINE", "NO no")).then(asked(3, "LOGOUT"));
    let (ran, served) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "EXAMINE: the server answered NO no", &IN);
    assert_eq!(served.broke, None);
}

#[tokio::test]
async fn a_server_that_serves_nobody_says_so_in_its_banner() {
    let (ran, _) = run(Script::new().say("* BYE [UNAVAILABLE] too many connections"), &json!({})).await;
    assert_failed(&ran, "protocol", "banner: the server answered BYE [UNAVAILABLE] too many connections", &GREETED[..2]);
    let (ran, _) = run(Script::new().say("* NO maybe later"), &json!({})).await;
    assert_failed(&ran, "protocol", "banner: the server answered NO maybe later", &GREETED[..2]);
    let (ran, _) = run(Script::new().say("* 3 EXISTS"), &json!({})).await;
    assert_failed(&ran, "protocol", "banner: an answer before anything was asked", &GREETED[..2]);
}

#[tokio::test]
async fn a_server_that_takes_its_leave_in_the_middle_is_quoted() {
    let script = greeted().then(logged_in()).then(asked(2, "EXAMINE")).say("* 2 EXISTS\n* BYE shutting down").silence();
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "EXAMINE: the server answered BYE shutting down", &IN);
}
