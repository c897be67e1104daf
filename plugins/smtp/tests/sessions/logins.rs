//! Logins: the right mechanism, never one that is not offered, and a password that nobody sees.

use watchpost_plugin_api::Level;

use crate::*;

/// Base64 of NUL, "probe", NUL and the password; of the name; of the password.
const PLAIN: &str = "AHByb2JlAEtpcnNjaGJhdW0tNzcxOQ==";
const NAME: &str = "cHJvYmU=";
const WORD: &str = "S2lyc2NoYmF1bS03NzE5";

const BEFORE: &[&str] = &["resolve", "connect", "banner", "ehlo"];

fn keys() -> Value {
    json!({ "user": "probe", "password": PASSWORD })
}

#[track_caller]
fn assert_hidden(ran: &Ran) {
    let everything = ran.everything();
    for seen in [PASSWORD, PLAIN, WORD] {
        assert!(!everything.contains(seen), "{seen} in {everything}");
    }
    assert!(everything.contains("<secret>"), "the dialogue shows that something was hidden: {everything}");
}

#[tokio::test]
async fn plain_says_name_and_password_in_the_command() {
    let ended = run(greeted(&["AUTH LOGIN PLAIN"]).expect("AUTH").say("235 ok").then(goodbye()), &keys()).await;
    assert_ok(&ended);
    assert_eq!(ended.1.heard[1], format!("AUTH PLAIN {PLAIN}"));
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn login_answers_two_questions() {
    let asks = Script::new().expect("AUTH LOGIN").say("334 VXNlcm5hbWU6").expect(NAME).say("334 UGFzc3dvcmQ6").expect(WORD);
    let ended = run(greeted(&["AUTH LOGIN"]).then(asks).say("235 ok").then(goodbye()), &keys()).await;
    assert_ok(&ended);
    assert_hidden(&ended.0);
}

#[tokio::test]
async fn a_refused_login_is_quoted_with_the_password_masked_even_if_the_server_repeats_it() {
    let refusal = format!("535 5.7.8 {PASSWORD} is wrong, and so is {WORD} or {PLAIN}");
    let (ran, _) = run(greeted(&["AUTH PLAIN"]).expect("AUTH PLAIN").say(&refusal), &keys()).await;
    let message = "AUTH PLAIN: the server answered 535 5.7.8 <secret> is wrong, and so is <secret> or <secret>";
    assert_failed(&ran, "auth", message, BEFORE);
    assert_hidden(&ran);
    let asks = Script::new().expect("AUTH LOGIN").say("334 x").expect(NAME).say("334 x").expect(WORD).say(&refusal);
    let (ran, _) = run(greeted(&["AUTH LOGIN"]).then(asks), &keys()).await;
    assert_failed(&ran, "auth", &message.replace("PLAIN", "LOGIN"), BEFORE);
    assert_hidden(&ran);
}

#[tokio::test]
async fn a_name_that_is_refused_alone_is_a_refused_login() {
    let (ran, _) = run(greeted(&["AUTH LOGIN"]).expect("AUTH LOGIN").say("334 x").expect(NAME).say("535 nobody"), &keys()).await;
    assert_failed(&ran, "auth", "AUTH LOGIN: the server answered 535 nobody", BEFORE);
}

#[tokio::test]
async fn a_server_that_asks_on_and_on_is_not_answered() {
    let (ran, _) = run(greeted(&["AUTH PLAIN"]).expect("AUTH PLAIN").say("334 more"), &keys()).await;
    assert_failed(&ran, "protocol", "AUTH PLAIN: the server asks for more than the mechanism has", BEFORE);
}

#[tokio::test]
async fn a_password_is_not_sent_where_no_login_is_offered() {
    let check = async |offers: &[&str], message: &str| {
        let (ran, served) = run(greeted(offers), &keys()).await;
        assert_failed(&ran, "auth", message, BEFORE);
        assert_eq!(served.heard, ["EHLO [127.0.0.1]"]);
    };
    check(&[], "the server offers no AUTH here (some offer it only under TLS)").await;
    let message = "the server offers no AUTH mechanism that we know, PLAIN or LOGIN (offers CRAM-MD5 GSSAPI)";
    check(&["AUTH CRAM-MD5 GSSAPI"], message).await;
}

#[tokio::test]
async fn a_login_offered_in_the_clear_is_not_believed_under_tls() {
    let authority = watchpost_testkit::Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let script = greeted(&["STARTTLS", "AUTH PLAIN"]).expect("STARTTLS").say("220 go").tls(&tls).then(hello(&[]));
    let mut keys = keys();
    keys["tls"] = json!("starttls");
    keys["ca_file"] = json!(authority.file());
    let (ran, _) = run(script, &keys).await;
    assert_eq!(ran.failure(), Some(("auth", "the server offers no AUTH here (some offer it only under TLS)")));
}

#[tokio::test]
async fn a_login_in_the_clear_on_this_machine_is_no_matter_for_the_log() {
    let ended = run(greeted(&["AUTH PLAIN"]).expect("AUTH").say("235 ok").then(goodbye()), &keys()).await;
    assert_ok(&ended);
    assert!(ended.0.logged.iter().all(|(level, _)| *level != Level::Warn), "{:?}", ended.0.logged);
}
