//! Keys, tokens and logins: sent to the server, shown to nobody.

use watchpost_plugin_api::Level;
use watchpost_testkit::Authority;

use crate::*;

const SECRET: &str = "Mirabelle-1761";

/// The line that the server got, and the run.
async fn authorized(keys: Value, page: Page) -> (String, Ran) {
    let pages = Pages::new().on("GET /metrics", page.clone()).on("POST /metrics", page);
    let server = HttpServer::start(pages).await.unwrap();
    let mut config = json!({ "url": server.url("/metrics"), "map": [{ "from": "mails_total", "to": "messages_received" }] });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let ran = run(&config).await;
    let said = server.asked().await.unwrap().header("Authorization").unwrap().to_owned();
    let word = said.rsplit(' ').next().unwrap();
    for secret in [SECRET, word] {
        assert!(!ran.everything().contains(secret), "{secret} is shown: {ran:#?}");
    }
    (said, ran)
}

#[tokio::test]
async fn each_proof_is_sent_as_its_server_wants_it_and_never_shown() {
    let page = || Page::ok("mails_total 1\n");
    let (said, ran) = authorized(json!({ "source": "prometheus", "token": SECRET }), page()).await;
    assert_eq!((said, ran.failure()), (format!("Bearer {SECRET}"), None));
    let (said, ran) = authorized(json!({ "source": "prometheus", "user": "probe", "password": SECRET }), page()).await;
    assert_eq!((said.as_str(), ran.failure()), ("Basic cHJvYmU6TWlyYWJlbGxlLTE3NjE=", None));
    let (said, ran) = authorized(json!({ "source": "doveadm", "key": SECRET }), page()).await;
    assert_eq!(said, "X-Dovecot-API TWlyYWJlbGxlLTE3NjE=");
    assert_eq!(ran.failure().map(|(kind, _)| kind), Some("protocol"), "no answer of doveadm's");
    assert!(ran.logged.iter().all(|(level, _)| *level != Level::Warn), "what stays on this machine is overheard by nobody: {ran:#?}");
}

#[tokio::test]
async fn a_proof_that_is_refused_is_auth() {
    for status in ["401 Authentication required", "403 Forbidden"] {
        let (_, ran) = authorized(json!({ "source": "doveadm", "key": SECRET }), Page::new(status)).await;
        let code = &status[..3];
        assert_unknown(&ran, "auth", &format!("the server answered {code} to who we are"));
    }
}

#[tokio::test]
async fn a_server_under_tls_is_verified() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["localhost"]).unwrap();
    let server = HttpServer::start(Pages::new().on("GET /metrics", Page::ok("mails_total 1\n")).tls(&tls)).await.unwrap();
    let mut config = prometheus(&server);
    assert_unknown(&run(&config).await, "tls", "");
    config["server_name"] = json!("localhost");
    config["ca_file"] = json!(authority.file());
    let ran = run(&config).await;
    assert_eq!((ran.failure(), value(&ran, "messages_received", &[])), (None, Some(1.0)), "{ran:#?}");
    assert!(ran.recorded().contains(&"tls_time"));
}

#[test]
fn a_secret_that_a_line_cannot_carry_is_refused() {
    for (key, source) in [("token", "prometheus"), ("key", "doveadm")] {
        for (secret, why) in
            [("", "is empty"), ("a b", "cannot contain blanks or characters beyond ASCII"), ("a\r\nX: y", "cannot contain")]
        {
            let config = json!({ "source": source, "url": "http://a/", key: secret, "map": [{ "from": "a", "to": "b" }] });
            let error = Kit::<ServerStats>::examine(&config).unwrap_err();
            assert!(error.path() == key && error.message().starts_with(why), "{error:?}");
        }
    }
}
