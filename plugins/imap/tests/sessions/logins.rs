//! Logins: the right mechanism, never one that is not offered, and a password that nobody sees.

use base64::{Engine, prelude::BASE64_STANDARD};
use watchpost_plugin_api::{Level, standard::AUTHENTICATE_TIME};

use crate::*;

/// Base64 of NUL, "probe", NUL and the password.
const PLAIN: &str = "AHByb2JlAEtpcnNjaGJhdW0tNzcxOQ==";
const BEFORE: &[&str] = &["resolve_time", "connect_time", "banner_time"];

/// Base64 of what XOAUTH2 makes of a token.
fn xoauth2(token: &str) -> String {
    BASE64_STANDARD.encode(format!("user=probe\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

/// Everything after a login.
fn opened() -> Script {
    examined().then(searched()).then(fetched()).then(goodbye(5))
}

/// Nothing by which somebody could log in is in anything that is shown.
#[track_caller]
fn assert_hidden(ran: &Ran) {
    let everything = ran.everything();
    for seen in [PASSWORD, PLAIN, &xoauth2(PASSWORD)] {
        assert!(!everything.contains(seen), "{seen} in {everything}");
    }
    assert!(everything.contains("<secret>"), "the dialogue shows that something was hidden: {everything}");
}

#[tokio::test]
async fn plain_says_name_and_password_in_one_command_where_the_server_takes_it() {
    let ended = run(greeted().then(whole()), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard[0], format!("w1 AUTHENTICATE PLAIN {PLAIN}"));
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn plain_waits_for_the_go_ahead_of_a_server_that_does_not_take_it_at_once() {
    for go_ahead in ["+ ", "+", "+ go ahead"] {
        let begun = offering("AUTH=PLAIN").then(asked(1, "AUTHENTICATE PLAIN")).send(format!("{go_ahead}\r\n"));
        let ended = run(begun.expect(PLAIN).say("w1 OK in").then(opened()), &login(json!({}))).await;
        assert_ok(&ended);
        assert_eq!(ended.1.heard[..2], ["w1 AUTHENTICATE PLAIN".to_owned(), PLAIN.to_owned()]);
        assert_hidden(&ended.0);
    }
}

#[tokio::test]
async fn login_says_name_and_password_in_quotes() {
    let script = offering("AUTH=CRAM-MD5").then(takes(1, &format!("LOGIN \"probe\" \"{PASSWORD}\""))).then(opened());
    let ended = run(script, &login(json!({}))).await;
    assert_ok(&ended);
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn a_password_with_signs_of_the_protocol_or_beyond_ascii_arrives_as_it_is_and_is_hidden() {
    let quoted = offering("").then(takes(1, "LOGIN \"probe\" \"Kirsch\\\"baum\\\\7719\""));
    let literal = offering("").then(asked(1, "LOGIN \"probe\" {12}")).say("+ ").expect("Kirschbäume").say("w1 OK in");
    for (password, shown, script) in [("Kirsch\"baum\\7719", "Kirsch", quoted), ("Kirschbäume", "baum", literal)] {
        let ended = run(script.then(opened()), &json!({ "user": "probe", "password": password })).await;
        assert_ok(&ended);
        let everything = ended.0.everything();
        assert!(!everything.contains(shown) && everything.contains("<secret>"), "{everything}");
    }
    let both = offering("").then(asked(1, "LOGIN {6}")).say("+").expect("pröbe {8}").say("+").expect("ümläü").say("w1 OK in");
    assert_ok(&run(both.then(opened()), &json!({ "user": "pröbe", "password": "ümläü" })).await);
}

#[tokio::test]
async fn xoauth2_says_the_token_and_nobody_else_sees_it() {
    for (offers, lines) in [("SASL-IR AUTH=XOAUTH2", 1), ("AUTH=XOAUTH2 AUTH=PLAIN", 2)] {
        let token = xoauth2(PASSWORD);
        let begun = match lines {
            1 => offering(offers).then(asked(1, &format!("AUTHENTICATE XOAUTH2 {token}"))),
            _ => offering(offers).then(asked(1, "AUTHENTICATE XOAUTH2")).say("+ ").expect(&token),
        };
        let ended = run(begun.say("w1 OK in").then(opened()), &login(json!({ "auth": "xoauth2" }))).await;
        assert_ok(&ended);
        assert_hidden(&ended.0);
    }
}

#[tokio::test]
async fn an_error_of_xoauth2_is_acknowledged_decoded_and_told() {
    let error = BASE64_STANDARD.encode(r#"{"status":"401","schemes":"bearer","scope":"mail"}"#);
    let begun = offering("SASL-IR AUTH=XOAUTH2").then(asked(1, "AUTHENTICATE XOAUTH2")).say(&format!("+ {error}"));
    let script = begun.clone().expect("").say("w1 NO [AUTHENTICATIONFAILED] Invalid credentials");
    let (ran, served) = run(script, &login(json!({ "auth": "xoauth2" }))).await;
    let message = "AUTHENTICATE XOAUTH2: the server answered NO [AUTHENTICATIONFAILED] Invalid credentials, because \
                   {\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}";
    assert_failed(&ran, "auth", message, BEFORE);
    assert_eq!(served.heard[1], "");
    assert_hidden(&ran);
    let script = begun.expect("").say(&format!("+ {error}")).expect("*").expect("w2 LOGOUT");
    let (ran, served) = run(script, &login(json!({ "auth": "xoauth2" }))).await;
    assert_failed(&ran, "protocol", "AUTHENTICATE XOAUTH2: the server asks for more than there is", BEFORE);
    assert_eq!(served.broke, None);
}

#[tokio::test]
async fn an_error_of_xoauth2_that_repeats_the_token_is_masked() {
    let error = BASE64_STANDARD.encode(format!("{{\"token\":\"{PASSWORD}\"}}"));
    let begun = offering("SASL-IR AUTH=XOAUTH2").then(asked(1, "AUTHENTICATE XOAUTH2")).say(&format!("+ {error}"));
    let (ran, _) = run(begun.expect("").say("w1 NO no"), &login(json!({ "auth": "xoauth2" }))).await;
    let message = "AUTHENTICATE XOAUTH2: the server answered NO no, because {\"token\":\"<secret>\"}";
    assert_failed(&ran, "auth", message, BEFORE);
    assert_hidden(&ran);
}

#[tokio::test]
async fn what_is_configured_is_said_whatever_else_is_offered() {
    let script = offering("SASL-IR AUTH=PLAIN").then(takes(1, "LOGIN")).then(opened());
    assert_ok(&run(script, &login(json!({ "auth": "login" }))).await);
    let script = offering("SASL-IR AUTH=PLAIN AUTH=XOAUTH2").then(takes(1, "AUTHENTICATE PLAIN")).then(opened());
    assert_ok(&run(script, &login(json!({ "auth": "plain" }))).await);
}

#[tokio::test]
async fn a_server_is_asked_what_it_offers_only_if_it_has_not_said_so() {
    let silent = Script::new().say("* OK ready").then(answers(1, "CAPABILITY", "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\nOK"));
    let script = silent.then(answers(2, "AUTHENTICATE PLAIN", "NO wrong"));
    let (ran, _) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "auth", "AUTHENTICATE PLAIN: the server answered NO wrong", BEFORE);
    let (ran, served) = run(greeted().then(answers(1, "AUTHENTICATE PLAIN", "NO wrong")), &login(json!({}))).await;
    assert_failed(&ran, "auth", "AUTHENTICATE PLAIN: the server answered NO wrong", BEFORE);
    assert_eq!(served.heard.len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_offers_breaks_the_protocol() {
    let (ran, _) = run(Script::new().say("* OK ready").then(takes(1, "CAPABILITY")), &login(json!({}))).await;
    assert_failed(&ran, "protocol", "CAPABILITY: the server does not say what it offers", BEFORE);
    let endless = format!("* CAPABILITY {}\nOK", "X ".repeat(501));
    let (ran, _) = run(Script::new().say("* OK ready").then(answers(1, "CAPABILITY", &endless)), &login(json!({}))).await;
    assert_failed(&ran, "protocol", "CAPABILITY: a list without an end: more than 500 capabilities", BEFORE);
}

#[tokio::test]
async fn a_password_is_not_sent_where_no_login_is_offered() {
    let check = async |offers: &str, auth: &str, message: &str| {
        let (ran, served) = run(offering(offers).expect(""), &login(json!({ "auth": auth }))).await;
        assert_failed(&ran, "auth", &format!("{message} (some servers offer more under TLS)"), BEFORE);
        assert_eq!(commands(&served), ["LOGOUT"]);
    };
    check("STARTTLS LOGINDISABLED", "auto", "the server offers no AUTHENTICATE PLAIN and forbids LOGIN").await;
    check("STARTTLS LOGINDISABLED AUTH=PLAIN", "login", "the server forbids LOGIN").await;
    check("AUTH=CRAM-MD5", "plain", "the server offers no AUTHENTICATE PLAIN").await;
    check("AUTH=PLAIN", "xoauth2", "the server offers no AUTHENTICATE XOAUTH2").await;
}

#[tokio::test]
async fn a_refused_login_is_quoted_with_the_password_masked_even_if_the_server_repeats_it() {
    let refusal = format!("NO [AUTHENTICATIONFAILED] {PASSWORD} is wrong, and so is {PLAIN}");
    let quoted = "the server answered NO [AUTHENTICATIONFAILED] <secret> is wrong, and so is <secret>";
    let (ran, _) = run(greeted().then(answers(1, "AUTHENTICATE PLAIN", &refusal)), &login(json!({}))).await;
    assert_failed(&ran, "auth", &format!("AUTHENTICATE PLAIN: {quoted}"), BEFORE);
    assert_hidden(&ran);
    let (ran, _) = run(offering("").then(answers(1, "LOGIN", &refusal)), &login(json!({}))).await;
    assert_failed(&ran, "auth", &format!("LOGIN: {quoted}"), BEFORE);
    assert_hidden(&ran);
}

#[tokio::test]
async fn what_is_made_of_a_password_is_masked_whatever_a_server_writes_around_it() {
    // With signs that base64 has in its one alphabet only, beside signs of the other: read as a whole this is no base64.
    let password = "Zwetschge>>>???>>>";
    for (auth, made) in [("plain", BASE64_STANDARD.encode(format!("\0probe\0{password}"))), ("xoauth2", xoauth2(password))] {
        assert!(made.contains('/') && made.contains('+'), "{made}");
        let script = offering("SASL-IR AUTH=PLAIN AUTH=XOAUTH2").then(answers(1, "AUTHENTICATE", &format!("NO you_said-{made}_")));
        let (ran, _) = run(script, &json!({ "user": "probe", "password": password, "auth": auth })).await;
        let message = format!("AUTHENTICATE {}: the server answered NO you_said-<secret>_", auth.to_uppercase());
        assert_failed(&ran, "auth", &message, BEFORE);
        assert!(!ran.everything().contains(&made), "{ran:#?}");
    }
}

#[tokio::test]
async fn an_ill_server_and_a_mailbox_in_use_are_no_wrong_password() {
    for text in ["[UNAVAILABLE] later", "[INUSE] locked", "[LIMIT] too many sessions", "[SERVERBUG] oh", "[CLIENTBUG] your fault"] {
        let (ran, _) = run(greeted().then(answers(1, "AUTHENTICATE PLAIN", &format!("NO {text}"))), &login(json!({}))).await;
        assert_failed(&ran, "protocol", &format!("AUTHENTICATE PLAIN: the server answered NO {text}"), BEFORE);
    }
    for text in ["[AUTHENTICATIONFAILED] no", "[AUTHORIZATIONFAILED] no", "[EXPIRED] no", "[PRIVACYREQUIRED] no", "[ALERT] no", "no"] {
        let (ran, _) = run(greeted().then(answers(1, "AUTHENTICATE PLAIN", &format!("NO {text}"))), &login(json!({}))).await;
        assert_failed(&ran, "auth", &format!("AUTHENTICATE PLAIN: the server answered NO {text}"), BEFORE);
    }
}

#[tokio::test]
async fn a_login_of_which_the_server_wants_more_than_there_is_is_taken_back() {
    let script = greeted().then(asked(1, "AUTHENTICATE PLAIN")).say("+ more").expect("*").expect("w2 LOGOUT");
    let (ran, served) = run(script, &login(json!({}))).await;
    assert_failed(&ran, "protocol", "AUTHENTICATE PLAIN: the server asks for more than there is", BEFORE);
    assert_eq!(served.broke, None);
    let (ran, served) = run(offering("").then(asked(1, "LOGIN")).say("+ more").expect("w2 LOGOUT"), &login(json!({}))).await;
    assert_failed(&ran, "protocol", "LOGIN: the server asks for more than there is", BEFORE);
    assert_eq!(served.broke, None);
}

#[tokio::test]
async fn a_server_that_knows_us_already_is_not_told_the_password() {
    let script = Script::new().say("* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN] welcome back");
    let mailbox = answers(1, "EXAMINE", "* 0 EXISTS\nOK").then(answers(2, "SEARCH", "* SEARCH\nOK")).then(goodbye(3));
    let ended = run(script.then(mailbox), &login(json!({}))).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(AUTHENTICATE_TIME), None);
    assert_eq!(ended.0.recorded(), [BEFORE, &ASKED, &["logout_time", "total_time"]].concat());
}

#[tokio::test]
async fn a_login_in_the_clear_on_this_machine_is_no_matter_for_the_log() {
    let ended = run(greeted().then(whole()), &login(json!({}))).await;
    assert_ok(&ended);
    assert!(ended.0.logged.iter().all(|(level, _)| *level != Level::Warn), "{:?}", ended.0.logged);
}
