//! Postfix as its socket tells it: whole listings, and every way in which one is not.

use watchpost_testkit::Speaker;

use crate::{
    server::{HELLO, Showq, Then, message},
    *,
};

/// Five messages in four queues.
fn listing() -> String {
    let now = unix_now();
    let refused = "connect to mx.stuck.test[192.0.2.1]:25: Connection refused";
    [
        HELLO.to_owned(),
        message("incoming", "A1", now, 100, &[("a@lab.test", "")]),
        message("active", "A2", now - 10, 200, &[("a@lab.test", ""), ("b@lab.test", "")]),
        message("deferred", "A3", now - 400, 1000, &[("c@stuck.test", refused)]),
        message("deferred", "A4", now - 90_000, 2000, &[("d@stuck.test", refused)]),
        message("hold", "A5", now - 4000, 30_000, &[]),
        "\0".to_owned(),
    ]
    .concat()
}

#[tokio::test]
async fn a_listing_is_counted_by_queue_however_it_is_cut() {
    for piece in [1, 7, 4096, usize::MAX] {
        let showq = Showq::start(listing(), piece, Then::Close);
        write(&showq.path().join("corrupt/B1"), "12345", 50);
        let ran = run("postfix", showq.path()).await;
        assert_queue(&ran, "incoming", 1, 100, 0);
        assert_queue(&ran, "active", 1, 200, 10);
        assert_queue(&ran, "deferred", 2, 3000, 90_000);
        assert_queue(&ran, "hold", 1, 30_000, 4000);
        assert_queue(&ran, "maildrop", 0, 0, 0);
        assert_queue(&ran, "corrupt", 1, 5, 50);
        assert_queue(&ran, "error", 1, 5, 50);
        assert_queue(&ran, "all", 5, 33_300, 90_000);
        assert_queues(&ran, &["maildrop", "incoming", "active", "deferred", "hold", "corrupt", "error", "all"]);
        let classes = |queue| ["5m", "1h", "6h", "1d", "3d", "older"].map(|age| value(&ran, "waiting", &[queue, age]).unwrap() as u32);
        assert_eq!(classes("deferred"), [0, 1, 0, 0, 1, 0]);
        assert_eq!(classes("all"), [2, 1, 1, 0, 1, 0]);
        for time in ["connect_time", "query_time", "total_time"] {
            assert!(value(&ran, time, &[]).is_some_and(|time| time > 0.0), "{time}");
        }
        assert_eq!(ran.outcome.refused, 0);
    }
}

#[tokio::test]
async fn an_empty_queue_is_known_to_be_empty() {
    for listing in [format!("{HELLO}\0"), "\0".to_owned()] {
        let showq = Showq::start(listing, usize::MAX, Then::Close);
        let ran = run("postfix", showq.path()).await;
        for queue in ["maildrop", "incoming", "active", "deferred", "hold", "corrupt", "error", "all"] {
            assert_queue(&ran, queue, 0, 0, 0);
        }
        assert!(ran.outcome.events.is_empty());
    }
}

#[tokio::test]
async fn a_message_that_moves_on_meanwhile_is_counted_once() {
    let now = unix_now();
    let (active, deferred) = (message("active", "A1", now, 100, &[]), message("deferred", "A1", now, 100, &[]));
    let showq = Showq::start(format!("{HELLO}{active}{deferred}\0"), usize::MAX, Then::Close);
    let ran = run("postfix", showq.path()).await;
    assert_queue(&ran, "active", 1, 100, 0);
    assert_queue(&ran, "deferred", 0, 0, 0);
    assert_queue(&ran, "all", 1, 100, 0);
}

#[tokio::test]
async fn a_listing_that_ends_anywhere_before_its_end_tells_nothing() {
    let listing = listing();
    for end in (0..listing.len()).step_by(23).chain([listing.len() - 1]) {
        let showq = Showq::start(&listing[..end], usize::MAX, Then::Close);
        let ran = run("postfix", showq.path()).await;
        let message = "in the middle of the listing: connection closed by the other side";
        assert_unknown(&ran, Some(("protocol", message)));
        assert_eq!(ran.outcome.status.up(), Some(0.0));
    }
}

#[tokio::test]
async fn a_listing_that_stalls_meets_the_deadline() {
    for listing in [String::new(), listing()[..700].to_owned()] {
        let showq = Showq::start(listing, usize::MAX, Then::Stall);
        let ran = Kit::<Queue>::new(&config("postfix", showq.path())).unwrap().timeout(Duration::from_millis(300)).run().await;
        assert!(ran.awaited().is_some_and(|awaited| awaited.ends_with("public/showq")), "{ran:#?}");
        let message = format!("no end within 0.3 s: {}; connect_time was the last it recorded", ran.awaited().unwrap_or_default());
        assert_unknown(&ran, Some(("timeout", &message)));
    }
}

#[tokio::test]
async fn what_another_service_says_is_refused() {
    let check = async |says: &str, message: &str| {
        let showq = Showq::start(says, usize::MAX, Then::Stall);
        assert_unknown(&run("postfix", showq.path()).await, Some(("protocol", message)));
    };
    check("220 mail.lab.test ESMTP\r\n\0", "this is no listing of showq's: it begins with \"220 mail.lab.test ESMTP\\r\\n\"").await;
    check("protocol\0queue_id_protocol\0\0", "showq says that it speaks \"queue_id_protocol\"").await;
    check(&format!("{HELLO}queue_name\0x\u{1b}[2J\0"), "showq says that there is a queue \"x\\u{1b}[2J\"").await;
}

#[tokio::test]
async fn what_has_no_end_is_refused_and_not_kept() {
    let showq = Showq::start(HELLO, usize::MAX, Then::Repeat(vec![b'a'; 8192]));
    let ran = run("postfix", showq.path()).await;
    assert_unknown(&ran, Some(("protocol", "an attribute without an end: more than 64 KiB")));
    let mut config = config("postfix", showq.path());
    config["entries_max"] = json!(3);
    let message = message("hold", "A", 1, 1, &[]).repeat(100);
    let showq = Showq::start(HELLO, usize::MAX, Then::Repeat(message.into()));
    config["path"] = json!(showq.path());
    // The same message over and over is one; a deadline ends that.
    let ran = Kit::<Queue>::new(&config).unwrap().timeout(Duration::from_millis(500)).run().await;
    assert_eq!(ran.failure().map(|(kind, _)| kind), Some("timeout"));
}

#[tokio::test]
async fn more_messages_than_allowed_leave_the_queue_unknown() {
    let showq = Showq::start(listing(), usize::MAX, Then::Close);
    let with = async |entries_max: u32| {
        let mut config = config("postfix", showq.path());
        config["entries_max"] = json!(entries_max);
        run_config(&config).await
    };
    let ran = with(4).await;
    assert_unknown(&ran, Some(("limit", "more than entries_max allows")));
    assert_eq!(ran.outcome.status.up(), None, "Postfix is not to blame");
    assert_queue(&with(5).await, "all", 5, 33_300, 90_000);
}

#[tokio::test]
async fn a_postfix_that_does_not_run_refuses() {
    let showq = Showq::start(listing(), usize::MAX, Then::Close);
    let path = showq.path().to_owned();
    let folder = folder();
    fs::create_dir(folder.path().join("public")).unwrap();
    let socket = folder.path().join("public/showq");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let ran = run("postfix", folder.path()).await;
    let message = format!("cannot connect to {}: Connection refused", socket.display());
    assert_unknown(&ran, Some(("connect", &message)));
    assert_eq!((ran.outcome.status.up(), ran.recorded().len()), (Some(0.0), 0));
    assert_eq!(run("postfix", &path).await.failure(), None, "another one runs all the same");
}

#[tokio::test]
async fn where_corrupt_messages_cannot_be_listed_they_are_unknown_and_the_rest_is_not() {
    let showq = Showq::start(listing(), usize::MAX, Then::Close);
    fs::remove_dir(showq.path().join("corrupt")).unwrap();
    let mut kit = Kit::<Queue>::new(&config("postfix", showq.path())).unwrap();
    let ran = kit.run().await;
    assert_queues(&ran, &["maildrop", "incoming", "active", "deferred", "hold", "all"]);
    assert_queue(&ran, "all", 5, 33_300, 90_000);
    let said = format!("corrupt messages are not counted: cannot read {}/corrupt: No such file or directory", showq.path().display());
    assert_eq!(ran.logged, [(watchpost_plugin_api::Level::Warn, said)]);
    assert!(kit.run().await.logged.is_empty(), "once is enough");
}

#[tokio::test]
async fn the_dialogue_shows_the_first_messages_and_names_nobody() {
    let messages: String = (0..50).map(|id| message("hold", &format!("M{id}"), unix_now(), 7, &[("geheim@lab.test", "")])).collect();
    let showq = Showq::start(format!("{HELLO}{messages}\0"), usize::MAX, Then::Close);
    let ran = run("postfix", showq.path()).await;
    assert_queue(&ran, "hold", 50, 350, 0);
    let said = ran.said_by(Speaker::Target);
    assert!(said.iter().any(|line| line.starts_with("M0 in hold: 7 bytes, for ")), "{said:?}");
    assert!(said.contains(&"(and more)") && said.len() < 40, "{said:?}");
    assert!(!ran.everything().contains("geheim") && !ran.everything().contains("bob@"), "{ran:#?}");
}
