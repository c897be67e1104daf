//! How a session ends, and what a server's bad manners at the end cost: nothing but quit_time.

use watchpost_plugin_api::standard::{QUIT_TIME, TOTAL_TIME};

use crate::*;

const GREETED: [&str; 3] = ["resolve_time", "connect_time", "banner_time"];

#[tokio::test]
async fn without_a_login_a_session_is_a_banner_and_quit() {
    let ended = run(greeted().then(goodbye()), &json!({})).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard, ["QUIT"]);
}

#[tokio::test]
async fn a_server_that_closes_instead_of_answering_quit_is_forgiven() {
    let faults: [fn(Script) -> Script; 5] =
        [Script::cut, Script::reset, Script::garbage, Script::endless_line, |script| script.say("-ERR some deleted messages not removed")];
    for fault in faults {
        let (ran, _) = run(fault(greeted().expect("QUIT")), &json!({})).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.value(QUIT_TIME), None);
        assert_eq!(ran.recorded(), [&GREETED[..], &["total_time"]].concat());
        assert_eq!(ran.nanos(TOTAL_TIME), Some(sums::of_phases(&ran)));
        assert!(ran.logged.iter().any(|(_, line)| line.starts_with("no proper end: QUIT: ")), "{:?}", ran.logged);
    }
}

#[tokio::test]
async fn a_server_that_is_silent_at_the_end_meets_the_deadline() {
    let (ran, _) = run_within(Duration::from_millis(500), greeted().expect("QUIT").silence(), &json!({})).await;
    assert_failed(&ran, "timeout", "no end within 0.5 s: no answer to `QUIT`; banner_time was the last it recorded", &GREETED);
}

#[tokio::test]
async fn a_session_that_fails_is_left_with_quit() {
    let script = greeted().then(logged_in()).expect("STAT").say("-ERR no").expect("QUIT");
    let (ran, served) = run(script, &login(json!({}))).await;
    let kept = [&GREETED[..], &["authenticate_time"]].concat();
    assert_failed(&ran, "protocol", "STAT: the server answered -ERR no", &kept);
    assert_eq!(served.broke, None);
}

#[tokio::test]
async fn a_server_that_serves_nobody_says_so_in_its_banner() {
    let (ran, _) = run(Script::new().say("-ERR [SYS/TEMP] too many connections"), &json!({})).await;
    assert_failed(&ran, "protocol", "banner: the server answered -ERR [SYS/TEMP] too many connections", &GREETED[..2]);
}
