//! What a delivery delivers.

use crate::*;

#[tokio::test]
async fn a_delivery_says_who_sent_it_and_nothing_of_the_login() {
    let keys = json!({
        "user": "operator-4711", "password": PASSWORD, "from": "probe@lab.test", "to": "alice@lab.test", "submit": true,
    });
    let login = greeted(&["AUTH PLAIN"]).expect("AUTH PLAIN").say("235 ok");
    let ended = run(login.then(transaction()).then(delivered()).then(goodbye()), &keys).await;
    assert_ok(&ended);
    let heard = &ended.1.heard;
    let data = heard.iter().position(|line| line == "DATA").unwrap();
    let message = &heard[data + 1..];
    let header = |name: &str| message.iter().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
    assert_eq!(header("From: "), ["<probe@lab.test>"]);
    assert_eq!(header("To: "), ["<alice@lab.test>"]);
    assert_eq!(header("Subject: "), ["Watchpost probe"]);
    assert_eq!(header("Auto-Submitted: "), ["auto-generated"]);
    assert!(header("Date: ")[0].ends_with(" +0000"));
    assert!(header("Message-ID: ")[0].ends_with("@lab.test>"));
    assert!(!message.iter().any(|line| line.contains("operator-4711") || line.contains(PASSWORD)), "{message:?}");
    assert_eq!(message.last().map(String::as_str), Some("QUIT"), "no RSET: the message stands");
}
