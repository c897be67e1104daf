//! Where the most recipients wait for, and why: told when it changes, and not each time.

use crate::{
    server::{HELLO, Showq, Then, message},
    *,
};

fn listing(recipients: &[(&str, &str)]) -> String {
    let messages: String =
        recipients.iter().enumerate().map(|(id, &recipient)| message("deferred", &format!("A{id}"), unix_now(), 1, &[recipient])).collect();
    format!("{HELLO}{messages}\0")
}

/// Code and text of what was told.
fn told(ran: &Ran) -> Vec<(&str, &str)> {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    ran.outcome.events.iter().map(|event| (event.code.as_str(), event.text.as_str())).collect()
}

/// One run after another, each on another queue.
async fn runs(top: u8, listings: &[String]) -> Vec<Ran> {
    let mut cursor: Option<Vec<u8>> = None;
    let mut runs = Vec::new();
    for listing in listings {
        let showq = Showq::start(listing, usize::MAX, Then::Close);
        let mut config = config("postfix", showq.path());
        config["top"] = json!(top);
        let mut kit = Kit::<Queue>::new(&config).unwrap();
        if let Some(cursor) = cursor {
            kit = kit.cursor(cursor);
        }
        let ran = kit.run().await;
        cursor = ran.outcome.cursor.clone();
        runs.push(ran);
    }
    runs
}

#[tokio::test]
async fn a_change_of_who_waits_for_what_is_told_once_and_a_restart_does_not_tell_it_again() {
    let stuck = ("a@stuck.test", "host mx[192.0.2.1] said: 450 <a@stuck.test>: try later");
    let other = ("b@other.test", "Connection refused");
    let listings = [listing(&[stuck, stuck, other]), listing(&[stuck, other, other, other]), listing(&[stuck]), listing(&[]), listing(&[])];
    let runs = runs(5, &listings).await;
    let first = [
        ("queue_destinations", "recipients that wait: 2 × stuck.test; 1 × other.test"),
        ("queue_reasons", "recipients that wait: 2 × host mx[] said: 450 <>: try later; 1 × Connection refused"),
    ];
    assert_eq!(told(&runs[0]), first);
    assert_eq!(told(&runs[1]), [], "how many wait is a figure, and no event");
    let third = [
        ("queue_destinations", "recipients that wait: 1 × stuck.test"),
        ("queue_reasons", "recipients that wait: 1 × host mx[] said: 450 <>: try later"),
    ];
    assert_eq!(told(&runs[2]), third);
    assert_eq!(told(&runs[3]), [("queue_destinations", "nobody waits any more"), ("queue_reasons", "nobody waits any more")]);
    assert_eq!(told(&runs[4]), []);
}

#[tokio::test]
async fn an_event_lists_so_many_and_no_more() {
    let many: Vec<(String, String)> = (0..40).map(|at| (format!("a@d{at:02}.test"), format!("reason {at:02}"))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(recipient, reason)| (recipient.as_str(), reason.as_str())).collect();
    let all = listing(&many);
    assert_eq!(told(&runs(0, std::slice::from_ref(&all)).await[0]), []);
    let ran = runs(2, std::slice::from_ref(&all)).await;
    let expected = [
        ("queue_destinations", "recipients that wait: 1 × d00.test; 1 × d01.test"),
        ("queue_reasons", "recipients that wait: 1 × reason 00; 1 × reason 01"),
    ];
    assert_eq!(told(&ran[0]), expected);
    assert_eq!(told(&runs(20, &[all]).await[0])[0].1.matches(" × ").count(), 20);
}

#[tokio::test]
async fn hostile_texts_are_cut_and_spelt_out() {
    let hostile = format!("\u{1b}]0;owned\u{7}\n{}", "x".repeat(60_000));
    let recipients = format!("a@{hostile}");
    let runs = runs(20, &[listing(&[(&recipients, &hostile)])]).await;
    let events = told(&runs[0]);
    assert_eq!(events.len(), 2);
    for (_, text) in events {
        assert!(text.len() < 300 && !text.contains(char::is_control), "{text:?}");
        assert!(text.contains("\\u{1b}]0;owned\\u{7}\\n"), "{text:?}");
    }
}
