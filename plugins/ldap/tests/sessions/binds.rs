//! Logins: as whom, and what a refusal is.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};
use watchpost_plugin_api::Level;

use crate::*;

const BEFORE: &[&str] = &["resolve_time", "connect_time"];

#[tokio::test]
async fn a_name_is_bound_with_its_password_and_nobody_without() {
    let ended = run(whole(), &login(json!({}))).await;
    assert_ok(&ended);
    assert!(ended.1.heard[0].ends_with(&format!("\u{4}\u{17}{USER}\u{fffd}\u{f}{PASSWORD}")), "{:?}", ended.1.heard[0]);
    assert!(!ended.0.everything().contains(PASSWORD));
    let ended = run(whole(), &json!({})).await;
    assert_ok(&ended);
    assert!(ended.1.heard[0].ends_with("\u{4}\0\u{fffd}\0"), "{:?}", ended.1.heard[0]);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_text_and_the_password_masked_even_if_the_server_repeats_it() {
    for (code, name) in
        [(49, "invalidCredentials"), (48, "inappropriateAuthentication"), (8, "strongerAuthRequired"), (53, "unwillingToPerform")]
    {
        let script = bind_asked().send(result(1, BIND, code, &format!("{PASSWORD} is\u{7} wrong"), &[])).then(unbound());
        let (ran, served) = run(script, &login(json!({}))).await;
        assert_failed(&ran, "auth", &format!("bind: the server answered {name} ({code}): <secret> is\\u{{7}} wrong"), BEFORE);
        assert!(!ran.everything().contains(PASSWORD));
        assert_eq!(served.broke, None, "the session is left with an unbind");
    }
}

#[tokio::test]
async fn a_server_that_is_ill_is_no_matter_of_the_login() {
    for (code, name) in [(51, "busy"), (52, "unavailable"), (80, "other"), (2, "protocolError"), (14, "saslBindInProgress")] {
        let (ran, _) = run(bind_asked().send(result(1, BIND, code, "", &[])), &login(json!({}))).await;
        assert_failed(&ran, "protocol", &format!("bind: the server answered {name} ({code})"), BEFORE);
    }
}

#[tokio::test]
async fn a_login_in_the_clear_on_this_machine_is_no_matter_for_the_log() {
    let (ran, _) = run(whole(), &login(json!({}))).await;
    assert!(ran.logged.iter().all(|(level, _)| *level != Level::Warn), "{:?}", ran.logged);
}

#[tokio::test]
async fn by_a_socket_the_server_knows_who_we_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ldapi");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let (mut heard, mut search) = (vec![0; 26], vec![0; 2]);
        client.read_exact(&mut heard).await.unwrap();
        client.write_all(&result(1, BIND, 0, "", &[])).await.unwrap();
        client.read_exact(&mut search).await.unwrap();
        client.write_all(&[two(2), result(2, SEARCH, 0, "", &[])].concat()).await.unwrap();
        heard
    });
    let ran = Kit::<Ldap>::new(&json!({ "socket": path, "auth": "external" })).unwrap().run().await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!(ran.recorded()[..2], ["connect_time", "bind_time"], "a socket has no name to resolve");
    let heard = server.await.unwrap();
    assert!(heard.ends_with(b"\xa3\x0c\x04\x08EXTERNAL\x04\x00"), "{heard:02x?}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_failure_to_connect() {
    let ran = Kit::<Ldap>::new(&json!({ "socket": "/nonexistent/ldapi" })).unwrap().run().await;
    assert_failed(&ran, "connect", "cannot connect to /nonexistent/ldapi: No such file or directory", &[]);
}
