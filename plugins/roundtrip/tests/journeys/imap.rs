//! A mailbox read by IMAP, at a server that follows a script.

use watchpost_mail::date;

use crate::*;

/// A server for mail in and one for mailboxes, and a job between them.
struct Post {
    smtp: Server,
    imap: Server,
    kit: Kit<Roundtrip>,
}

impl Post {
    async fn new(script: Script, keys: Value) -> Self {
        let (smtp, imap) = (Server::start(taking()).await.unwrap(), Server::start(script).await.unwrap());
        let mut receive = json!({ "host": "127.0.0.1", "port": imap.port(), "user": "alice", "password": PASSWORD });
        receive.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let config = json!({
            "host": "127.0.0.1", "port": smtp.port(), "from": "probe@lab.test", "to": "alice@lab.test", "wait": "0s",
            "receive": { "imap": receive },
        });
        Self { smtp, imap, kit: Kit::new(&config).unwrap().explain() }
    }

    async fn run(&mut self) -> Ran {
        let ran = self.kit.run().await;
        assert!(!ran.everything().contains(PASSWORD), "{ran:#?}");
        ran
    }
}

const OFFERS: &str = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS IDLE";

fn opened_by(offers: &str, messages: u32, codes: &str) -> Script {
    Script::new()
        .say(&format!("* OK [CAPABILITY {offers}] ready"))
        .expect("w1 AUTHENTICATE PLAIN ")
        .say(&format!("w1 OK [CAPABILITY {offers}] in"))
        .expect("w2 SELECT \"INBOX\"")
        .say(&format!("* {messages} EXISTS\n{codes}\nw2 OK [READ-WRITE] open"))
}

fn opened(messages: u32) -> Script {
    opened_by(OFFERS, messages, "* OK [UIDVALIDITY 5] ok\n* OK [UIDNEXT 8] ok")
}

/// The search of command `tag` from that UID on finds these.
fn found(tag: u32, from: u32, uids: &str) -> Script {
    let search = format!("w{tag} UID SEARCH UID {from}:* HEADER X-Watchpost-Roundtrip \"");
    Script::new().expect(&search).say(&format!("* SEARCH{uids}\nw{tag} OK done"))
}

fn head(tag: u32, uid: u32, delivered: u64, head: &str) -> Script {
    let date = date::written(Duration::from_secs(delivered));
    let words: Vec<&str> = date.split(' ').collect();
    let date = format!("{:>2}-{}-{} {} +0000", words[1], words[2], words[3], words[4]);
    let answer = format!("* 1 FETCH (UID {uid} INTERNALDATE \"{date}\" BODY[HEADER]<0> {{{}}}\r\n{head})\r\n", head.len());
    let command = format!("w{tag} UID FETCH {uid} (UID INTERNALDATE BODY.PEEK[HEADER]<0.65536>)");
    Script::new().expect(&command).send(answer).say(&format!("w{tag} OK done"))
}

/// The look after sending finds nothing new, and the session ends.
fn nothing_more(tag: u32) -> Script {
    let next = tag + 1;
    Script::new()
        .expect(&format!("w{tag} NOOP"))
        .say(&format!("w{tag} OK"))
        .expect(&format!("w{next} LOGOUT"))
        .say(&format!("* BYE\nw{next} OK"))
}

fn header_of(message: &str) -> String {
    message.split("\r\n\r\n").next().unwrap().to_owned() + "\r\n\r\n"
}

#[tokio::test]
async fn a_message_is_found_by_its_header_timed_by_its_stamp_and_expunged_alone_when_its_count_is_safe() {
    let mut post = Post::new(opened(2).then(found(3, 1, "")).then(nothing_more(4)), json!({})).await;
    let ran = post.run().await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
    let sent = taken(&post.smtp).await;
    assert_eq!(post.imap.served().await.unwrap().broke, None);

    // UID 7 was in the answer although the search began above it: `8:*` has no order.
    let now = unix_seconds();
    let script = opened(3).then(found(3, 8, " 7 9")).then(head(4, 9, now, &header_of(&sent))).then(nothing_more(5));
    post.imap.play(script);
    let ran = post.run().await;
    assert_eq!(post.imap.served().await.unwrap().broke, None);
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
    let (time, resolution) = (ran.value(standard::ROUNDTRIP_TIME).unwrap(), ran.value(RESOLUTION).unwrap());
    assert!(resolution <= 1.0 && (0.0..30.0).contains(&time), "{time} {resolution}");
    taken(&post.smtp).await;

    let script = opened(3)
        .then(found(3, 9, " 9"))
        .then(head(4, 9, now, &header_of(&sent)))
        .expect("w5 UID STORE 9 +FLAGS.SILENT (\\Deleted)")
        .say("w5 OK")
        .expect("w6 UID EXPUNGE 9")
        .say("* 3 EXPUNGE\nw6 OK");
    post.imap.play(script.expect("w7 NOOP").say("w7 OK").then(found(8, 10, "")).expect("w9 LOGOUT").say("* BYE\nw9 OK"));
    let ran = post.run().await;
    assert_eq!(post.imap.served().await.unwrap().broke, None);
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
}

#[tokio::test]
async fn without_uidplus_nobody_elses_messages_are_expunged() {
    let offers = "IMAP4rev1 AUTH=PLAIN SASL-IR";
    let codes = "* OK [UIDVALIDITY 5] ok";
    let script = opened_by(offers, 0, codes).then(found(3, 1, "")).then(nothing_more(4));
    let mut post = Post::new(script, json!({})).await;
    post.run().await;
    let sent = header_of(&taken(&post.smtp).await);
    let script = opened_by(offers, 1, codes).then(found(3, 1, " 1")).then(head(4, 1, unix_seconds(), &sent)).then(nothing_more(5));
    post.imap.play(script.clone());
    assert_counts(&post.run().await, [2, 1, 1, 0, 0, 0]);
    let script = opened_by(offers, 1, codes).then(found(3, 1, " 1")).then(head(4, 1, unix_seconds(), &sent));
    post.imap.play(script.expect("w5 UID STORE 1 +FLAGS.SILENT (\\Deleted)").say("w5 OK").then(nothing_more(6)));
    let ran = post.run().await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert!(ran.logged.iter().any(|(_, line)| line.contains("UIDPLUS")), "{:?}", ran.logged);
    for _ in 0..3 {
        assert_eq!(post.imap.served().await.unwrap().broke, None);
    }
}

#[tokio::test]
async fn with_another_validity_the_mailbox_is_looked_through_anew() {
    let mut post = Post::new(opened(2).then(found(3, 1, "")).then(nothing_more(4)), json!({})).await;
    post.run().await;
    post.imap.play(opened_by(OFFERS, 2, "* OK [UIDVALIDITY 6] ok\n* OK [UIDNEXT 8] ok").then(found(3, 1, "")).then(nothing_more(4)));
    assert_eq!(post.run().await.failure(), None);
    for _ in 0..2 {
        assert_eq!(post.imap.served().await.unwrap().broke, None);
    }
}

#[tokio::test]
async fn a_server_that_tells_is_told_of_nothing_but_what_was_sent() {
    let script = opened(2).then(found(3, 1, "")).expect("w4 NOOP").say("w4 OK");
    let script = script.expect("w5 IDLE").say("+ idling").pause(Duration::from_millis(150)).say("* 3 EXISTS").expect("DONE").say("w5 OK");
    let strange = "X-Watchpost-Roundtrip: forged\r\n\r\n";
    let script = script.expect("w6 NOOP").say("w6 OK").then(found(7, 8, " 9")).then(head(8, 9, unix_seconds(), strange));
    let script = script.expect("w9 IDLE").say("+ idling").expect("DONE").say("w9 OK").then(nothing_more(10));
    let mut post = Post::new(script, json!({ "watch": "idle" })).await;
    let smtp = post.smtp.port();
    let config = json!({
        "host": "127.0.0.1", "port": smtp, "from": "probe@lab.test", "to": "alice@lab.test", "wait": "1s",
        "receive": { "imap": { "host": "127.0.0.1", "port": post.imap.port(), "user": "alice", "password": PASSWORD, "watch": "idle" } },
    });
    post.kit = Kit::new(&config).unwrap();
    let ran = post.run().await;
    assert_eq!(post.imap.served().await.unwrap().broke, None);
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
}

async fn check(script: Script, keys: Value, kind: &str, message: &str) {
    let mut post = Post::new(script, keys).await;
    let ran = post.run().await;
    assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
    assert!(ran.outcome.cursor.is_none());
    // Nothing was sent: nobody would know of it.
    assert!(tokio::time::timeout(Duration::from_millis(50), post.smtp.served()).await.is_err());
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_looked_into_fails_the_run_before_anything_is_sent() {
    let offers = format!("* OK [CAPABILITY {OFFERS}] ready");
    let refused = Script::new().say(&offers).expect("w1 AUTH").say("w1 NO [AUTHENTICATIONFAILED] no").expect("w2 LOGOUT");
    check(refused, json!({}), "auth", "AUTHENTICATE PLAIN: the server answered NO [AUTHENTICATIONFAILED] no").await;
    check(Script::new().cut(), json!({}), "protocol", "banner: connection closed by the other side").await;
    let without = "SELECT: the server gives no UIDVALIDITY, so its UIDs mean nothing";
    check(opened_by(OFFERS, 2, "* FLAGS ()").expect("w3 LOGOUT"), json!({}), "protocol", without).await;
    let poor = opened_by("IMAP4rev1 AUTH=PLAIN SASL-IR", 2, "* OK [UIDVALIDITY 5] ok").expect("w3 LOGOUT");
    check(poor, json!({ "watch": "idle" }), "protocol", "the server offers no IDLE; set watch to \"poll\"").await;
    let search = || opened(2).expect("w3 UID SEARCH");
    check(search().say("w3 NO later"), json!({}), "protocol", "UID SEARCH: the server answered NO later").await;
    check(search().say("w3 OK"), json!({}), "protocol", "UID SEARCH: the server does not say what it found").await;
    let nonsense = "UID SEARCH: no search result: \"SEARCH 1 x\"";
    check(search().say("* SEARCH 1 x\nw3 OK"), json!({}), "protocol", nonsense).await;
    let many: String = (1..=10_001).map(|uid| format!(" {uid}")).collect();
    check(search().say(&format!("* SEARCH{many}\nw3 OK")), json!({}), "limit", "more than 10000 messages found").await;
    let fetch = || opened(2).then(found(3, 1, " 7")).expect("w4 UID FETCH 7");
    let huge = "* 1 FETCH (UID 7 BODY[HEADER]<0> {65537}\nx";
    check(fetch().say(huge), json!({}), "limit", "UID FETCH: more than the bound for a head allows").await;
    check(fetch().cut(), json!({}), "protocol", "UID FETCH: connection closed by the other side").await;
}

#[tokio::test]
async fn a_mailbox_that_breaks_while_the_run_waits_leaves_the_message_in_flight() {
    let looked = opened(2).then(found(3, 1, "")).expect("w4 NOOP");
    for script in [looked.clone().cut(), looked.clone().reset(), looked.clone().garbage(), looked.say("w4 BAD what")] {
        let mut post = Post::new(script, json!({})).await;
        let ran = post.run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
        assert!(ran.outcome.cursor.is_some() && ran.logged.iter().any(|(_, line)| line.starts_with("stopped waiting: ")));
        taken(&post.smtp).await;
    }
}

#[tokio::test]
async fn a_message_that_may_not_be_deleted_fails_the_run() {
    let mut post = Post::new(opened(2).then(found(3, 1, "")).then(nothing_more(4)), json!({})).await;
    post.run().await;
    let sent = header_of(&taken(&post.smtp).await);
    post.imap.play(opened(3).then(found(3, 8, " 9")).then(head(4, 9, unix_seconds(), &sent)).then(nothing_more(5)));
    assert_eq!(post.run().await.failure(), None);
    let script = opened(3).then(found(3, 9, " 9")).then(head(4, 9, unix_seconds(), &sent)).expect("w5 UID STORE").say("w5 NO [NOPERM] no");
    post.imap.play(script.expect("w6 LOGOUT").say("w6 OK"));
    assert_eq!(post.run().await.failure(), Some(("protocol", "UID STORE: the server answered NO [NOPERM] no")));
}
