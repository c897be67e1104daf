//! Banner and EHLO in all the forms that servers give them.

use crate::*;

async fn check_fails(script: Script, kind: &str, message: &str, kept: &[&str]) {
    let (ran, _) = run(script, &json!({})).await;
    assert_failed(&ran, kind, message, kept);
}

#[tokio::test]
async fn a_banner_of_several_lines_and_bare_line_feeds_are_understood() {
    let script = Script::new().send("220-mx\n220-no spam\n220 please\n").expect("EHLO").send("250-mx\n250 HELP\n").then(goodbye());
    assert_ok(&run(script, &json!({})).await);
}

#[tokio::test]
async fn a_server_without_ehlo_is_greeted_by_helo() {
    for refusal in ["500 what?", "502 not here", "550 no"] {
        let script = Script::new().say("220 old").expect("EHLO [").say(refusal).expect("HELO [127.0.0.1]").say("250 old").then(goodbye());
        assert_ok(&run(script, &json!({})).await);
    }
}

#[tokio::test]
async fn a_server_that_takes_neither_greeting_is_quoted_twice() {
    let script = Script::new().say("220 hi").expect("EHLO").say("550 who are you").expect("HELO").say("550 go away");
    let message = "EHLO was answered 550 who are you: HELO: the server answered 550 go away";
    check_fails(script, "protocol", message, &["resolve", "connect", "banner"]).await;
}

#[tokio::test]
async fn a_server_that_serves_nobody_says_so_in_its_banner() {
    let script = Script::new().say("554 5.3.2 no service here");
    check_fails(script, "protocol", "banner: the server answered 554 5.3.2 no service here", &["resolve", "connect"]).await;
}

#[tokio::test]
async fn an_ehlo_of_too_many_lines_is_given_up() {
    let script = Script::new().say("220 hi").expect("EHLO").say(&"250-x\n".repeat(500)).silence();
    let message = "EHLO: a reply without an end: more than 100 lines or 65536 bytes";
    check_fails(script, "protocol", message, &["resolve", "connect", "banner"]).await;
}

#[tokio::test]
async fn starttls_that_is_not_offered_is_not_tried() {
    let ended = run(greeted(&["SIZE"]), &json!({ "tls": "starttls" })).await;
    assert_failed(&ended.0, "tls", "the server offers no STARTTLS", &["resolve", "connect", "banner", "ehlo"]);
    assert_eq!(ended.1.heard, ["EHLO [127.0.0.1]"]);
}

#[tokio::test]
async fn what_is_said_in_the_clear_after_starttls_does_not_count_as_said_under_tls() {
    let script = greeted(&["STARTTLS"]).expect("STARTTLS").send("220 go\r\n250 injected\r\n").silence();
    let (ran, _) = run(script, &json!({ "tls": "starttls" })).await;
    let message = "STARTTLS: the server sent more before the TLS handshake; it may have been put there by another";
    assert_failed(&ran, "protocol", message, &["resolve", "connect", "banner", "ehlo"]);
}
