//! A mailbox read by POP3, at a server that follows a script.

use watchpost_mail::date;

use crate::*;

struct Post {
    smtp: Server,
    pop3: Server,
    kit: Kit<Roundtrip>,
}

impl Post {
    async fn new(script: Script) -> Self {
        let (smtp, pop3) = (Server::start(taking()).await.unwrap(), Server::start(script).await.unwrap());
        let config = json!({
            "host": "127.0.0.1", "port": smtp.port(), "from": "probe@lab.test", "to": "alice@lab.test", "wait": "0s",
            "receive": { "pop3": { "host": "127.0.0.1", "port": pop3.port(), "user": "alice", "password": PASSWORD, "auth": "user" } },
        });
        Self { smtp, pop3, kit: Kit::new(&config).unwrap().explain() }
    }

    async fn run(&mut self) -> Ran {
        let ran = self.kit.run().await;
        assert!(!ran.everything().contains(PASSWORD), "{ran:#?}");
        ran
    }
}

fn listed(names: &str) -> Script {
    let login = Script::new().say("+OK ready").expect("USER alice").say("+OK").expect("PASS ").say("+OK");
    login.expect("UIDL").say(&format!("+OK\n{names}."))
}

fn head(number: u32, head: &str) -> Script {
    Script::new().expect(&format!("TOP {number} 0")).send(format!("+OK\r\n{head}\r\n.\r\n"))
}

fn bye() -> Script {
    Script::new().expect("QUIT").say("+OK")
}

#[tokio::test]
async fn a_message_is_found_by_its_head_and_deleted_alone_when_its_count_is_safe() {
    let mut post = Post::new(listed("").then(bye())).await;
    assert_counts(&post.run().await, [1, 0, 1, 0, 0, 0]);
    let sent = taken(&post.smtp).await;
    let received = format!("Received: from a by store.lab.test; {}\r\n", date::written(Duration::from_secs(unix_seconds())));
    let ours = received + sent.split("\r\n\r\n").next().unwrap() + "\r\n";
    // Each run looks twice, and reads each stranger's head once only.
    let first = listed("1 a\n2 b\n").then(head(1, "Subject: stranger\r\n")).then(head(2, &ours)).then(bye());
    post.pop3.play(first);
    let ran = post.run().await;
    // The second look of that run found another script than it has; it stops waiting, and the message it sent is in flight.
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
    assert!(ran.value(standard::ROUNDTRIP_TIME).is_some() && ran.value(RESOLUTION).unwrap() <= 1.0);
    assert!(ran.outcome.samples.iter().any(|sample| sample.metric == "hop_time" && sample.value <= 1.0));
    post.pop3.play(listed("1 a\n2 b\n").then(head(2, &ours)).expect("DELE 2").say("+OK").then(bye()));
    let ran = post.run().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(post.pop3.served().await.unwrap());
    }
    assert_eq!(heard[2].broke, None, "{heard:#?}");
    assert_eq!(heard[4].broke, None, "{heard:#?}");
    assert!(heard.iter().all(|served| !served.heard.iter().any(|line| line.starts_with("DELE") && line != "DELE 2")), "{heard:#?}");
}

async fn check(script: Script, kind: &str, message: &str) {
    let mut post = Post::new(script).await;
    let ran = post.run().await;
    assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
    assert!(tokio::time::timeout(Duration::from_millis(50), post.smtp.served()).await.is_err(), "nothing is sent");
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_looked_into_fails_the_run_before_anything_is_sent() {
    let login = || Script::new().say("+OK ready").expect("USER alice").say("+OK").expect("PASS ");
    check(login().say("-ERR [AUTH] no").expect("QUIT"), "auth", "PASS: the server answered -ERR [AUTH] no").await;
    check(login().say("-ERR [IN-USE] locked").expect("QUIT"), "protocol", "PASS: the server answered -ERR [IN-USE] locked").await;
    check(login().say("+OK").expect("UIDL").say("-ERR what"), "protocol", "UIDL: the server answered -ERR what").await;
    check(listed("x y\n"), "protocol", "UIDL: no number and name: \"x y\"").await;
    let many: String = (1..=10_001).map(|number| format!("{number} u{number}\n")).collect();
    check(listed(&many), "limit", "UIDL: more than 10000 messages in the mailbox").await;
    check(listed("1 a\n").expect("TOP 1 0").say("-ERR what"), "protocol", "TOP: the server answered -ERR what").await;
    check(listed("1 a\n").expect("TOP 1 0").say("+OK\nSubject: x").cut(), "protocol", "TOP: connection closed by the other side").await;
}
