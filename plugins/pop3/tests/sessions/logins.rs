//! Logins: the right mechanism, never one that is not offered, and a password that nobody sees.

use watchpost_plugin_api::Level;

use crate::*;

/// Base64 of NUL, "probe", NUL and the password; MD5 of timestamp and password.
const PLAIN: &str = "AHByb2JlAEtpcnNjaGJhdW0tNzcxOQ==";
const DIGEST: &str = "a05dfc661305324b99205e6428a3516f";

const BEFORE: &[&str] = &["resolve_time", "connect_time", "banner_time"];

fn stamped() -> Script {
    Script::new().say(&format!("+OK ready {TIMESTAMP}"))
}

fn opened() -> Script {
    queried().then(retrieved()).then(goodbye())
}

/// Nothing by which somebody could log in, or try passwords, is in anything that is shown.
#[track_caller]
fn assert_hidden(ran: &Ran) {
    let everything = ran.everything();
    for seen in [PASSWORD, PLAIN, DIGEST] {
        assert!(!everything.contains(seen), "{seen} in {everything}");
    }
    assert!(everything.contains("<secret>"), "the dialogue shows that something was hidden: {everything}");
}

#[tokio::test]
async fn plain_says_name_and_password_in_one_command() {
    let ended = run(greeted().then(logged_in()).then(opened()), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard[1], format!("AUTH PLAIN {PLAIN}"));
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn a_long_password_is_said_after_the_servers_go_ahead() {
    let password = PASSWORD.repeat(20);
    let script = greeted().then(capa(&["SASL PLAIN"])).expect("AUTH PLAIN").say("+ ").expect("AHByb2JlA").say("+OK").then(opened());
    let ended = run(script, &json!({ "user": "probe", "password": password })).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard[1], "AUTH PLAIN");
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn user_and_pass_are_said_to_a_server_that_has_nothing_better() {
    for offers in [capa(&["TOP", "USER"]), Script::new().expect("CAPA").say("-ERR unknown command")] {
        let script = greeted().then(offers).expect("USER probe").say("+OK").expect(&format!("PASS {PASSWORD}")).say("+OK in");
        let ended = run(script.then(opened()), &login(json!({}))).await;
        assert_ok(&ended);
        assert_hidden(&ended.0);
    }
}

#[tokio::test]
async fn what_is_configured_is_said_whatever_else_is_offered() {
    let user = stamped().expect("USER probe").say("+OK").expect("PASS").say("+OK in");
    assert_ok(&run(user.then(opened()), &login(json!({ "auth": "user" }))).await);
    let plain = stamped().then(capa(&["USER", "SASL PLAIN"])).expect("AUTH PLAIN").say("+OK in");
    assert_ok(&run(plain.then(opened()), &login(json!({ "auth": "plain" }))).await);
}

#[tokio::test]
async fn apop_says_a_digest_that_nobody_else_sees() {
    for keys in [json!({}), json!({ "auth": "apop" })] {
        let ended = run(stamped().expect("APOP").say("+OK in").then(opened()), &login(keys)).await;
        assert_ok(&ended);
        assert_eq!(ended.1.heard[0], format!("APOP probe {DIGEST}"));
        assert!(ended.0.dialogue.iter().any(|said| said.text == "APOP probe <secret>"), "{:?}", ended.0.dialogue);
        assert_hidden(&ended.0);
    }
}

#[tokio::test]
async fn a_refused_login_is_quoted_with_the_password_masked_even_if_the_server_repeats_it() {
    let refusal = format!("-ERR [AUTH] {PASSWORD} is wrong, and so is {PLAIN}");
    let quoted = "the server answered -ERR [AUTH] <secret> is wrong, and so is <secret>";
    let (ran, _) = run(greeted().then(capa(&["SASL PLAIN"])).expect("AUTH PLAIN").say(&refusal), &login(json!({}))).await;
    assert_failed(&ran, "auth", &format!("AUTH PLAIN: {quoted}"), BEFORE);
    assert_hidden(&ran);
    let (ran, _) = run(greeted().expect("USER").say("+OK").expect("PASS").say(&refusal), &login(json!({ "auth": "user" }))).await;
    assert_failed(&ran, "auth", &format!("PASS: {quoted}"), BEFORE);
    assert_hidden(&ran);
    let (ran, _) = run(stamped().expect("APOP").say(&format!("-ERR {DIGEST} is wrong")), &login(json!({}))).await;
    assert_failed(&ran, "auth", "APOP: the server answered -ERR <secret> is wrong", BEFORE);
    assert_hidden(&ran);
}

#[tokio::test]
async fn a_name_that_is_refused_alone_is_a_refused_login_and_the_password_is_not_sent() {
    let (ran, served) = run(greeted().expect("USER").say("-ERR nobody").expect("QUIT"), &login(json!({ "auth": "user" }))).await;
    assert_failed(&ran, "auth", "USER: the server answered -ERR nobody", BEFORE);
    assert_eq!(served.broke, None);
}

#[tokio::test]
async fn a_mailbox_in_use_and_an_ill_server_are_no_wrong_password() {
    for text in ["[IN-USE] locked by another session", "[SYS/TEMP] later", "[SYS/PERM] call us", "[LOGIN-DELAY] not again"] {
        let script = greeted().then(capa(&["SASL PLAIN"])).expect("AUTH PLAIN").say(&format!("-ERR {text}"));
        let (ran, _) = run(script, &login(json!({}))).await;
        assert_failed(&ran, "protocol", &format!("AUTH PLAIN: the server answered -ERR {text}"), BEFORE);
    }
    let (ran, _) = run(greeted().expect("CAPA").say("-ERR [SYS/TEMP] later"), &login(json!({}))).await;
    assert_failed(&ran, "protocol", "CAPA: the server answered -ERR [SYS/TEMP] later", BEFORE);
}

#[tokio::test]
async fn a_server_that_asks_on_and_on_is_not_answered() {
    let (ran, _) = run(greeted().then(capa(&["SASL PLAIN"])).expect("AUTH PLAIN").say("+ more"), &login(json!({}))).await;
    assert_failed(&ran, "protocol", "AUTH PLAIN: the server asks for more than there is", BEFORE);
}

#[tokio::test]
async fn a_password_is_not_sent_where_no_login_is_offered() {
    let check = async |script: Script, auth: &str, heard: &[&str], message: &str| {
        let (ran, served) = run(script, &login(json!({ "auth": auth }))).await;
        assert_failed(&ran, "auth", message, BEFORE);
        assert_eq!(served.heard, heard);
    };
    let none = "the server offers neither AUTH PLAIN nor USER nor APOP here (some offer them only under TLS)";
    check(greeted().then(capa(&["STLS", "SASL CRAM-MD5"])), "auto", &["CAPA"], none).await;
    check(greeted().then(capa(&["USER"])), "plain", &["CAPA"], "the server offers no AUTH PLAIN here (some offer it only under TLS)").await;
    check(greeted(), "apop", &[], "the server offers no APOP: its banner has no timestamp").await;
}

#[tokio::test]
async fn a_list_of_capabilities_without_an_end_is_given_up() {
    let script = greeted().expect("CAPA").say(&format!("+OK\n{}", "X-SPAM\n".repeat(500))).silence();
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "CAPA: a list without an end: more than 100 lines", BEFORE);
}

#[tokio::test]
async fn a_login_in_the_clear_on_this_machine_is_no_matter_for_the_log() {
    let ended = run(greeted().then(logged_in()).then(opened()), &login(json!({}))).await;
    assert_ok(&ended);
    assert!(ended.0.logged.iter().all(|(level, _)| *level != Level::Warn), "{:?}", ended.0.logged);
}
