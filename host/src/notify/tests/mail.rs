//! Mails to persons: what a hostile alarm says does nothing in any language, alone and in a digest.

use std::collections::BTreeMap;

use super::{server::Server, *};
use crate::notify::{
    channel::{Hidden, Parcel, Sender, Taken, Undelivered},
    language::Voice,
    mail::{Mail, Security, Templates},
    text::{Format, Template},
};

fn mail() -> Mail {
    let own = |source: &str| Templates { subject: Some(Template::parse(source, Format::Line).unwrap()), ..Templates::default() };
    Mail {
        host: "127.0.0.1".into(),
        port: 25,
        security: Security::None,
        ca_file: None,
        login: None,
        from: "Watchpost <watchpost@lab.test>".parse().unwrap(),
        to: vec!["ops@lab.test".parse().unwrap()],
        own: Templates::default(),
        languages: BTreeMap::from([("it".into(), own("ALLARME {{ text }}"))]),
        voice: Voice::default(),
        reader: None,
    }
}

fn to(name: &str, language: &str) -> Mail {
    let address = format!("{name}@lab.test").parse().unwrap();
    mail().to_one(name, address, Some(language), Zone::parse("Europe/Berlin").unwrap()).unwrap()
}

fn hostile(alarm: u64) -> Notice {
    let text = "up of <script>alert(1)</script>\r\nBcc: all@lab.test\r\n\r\nFrom me {{ 7 * 7 }} \u{1b}[31m".to_owned();
    let text = text + &"x".repeat(10_000);
    let comment = Some("\r\n.\r\nMAIL FROM:<evil@lab.test>\r\n".into());
    Notice { text, by: Some("a\r\nX-Evil: 1".into()), comment, ..notice(alarm, Step::Owned, Severity::Critical, 1) }
}

/// Head and body of a mail as it crosses the wire.
fn sent(mail: &Mail, notices: &[&Notice]) -> (String, String) {
    let sender = Sender::new("0123456789ab", std::path::Path::new("/nonexistent"));
    let message = mail.written(&sender, Parcel::Notices(notices)).unwrap().unwrap();
    let text = String::from_utf8(message.formatted()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn what_a_hostile_alarm_says_does_nothing_in_any_language_alone_or_in_a_digest() {
    let (one, other) = (hostile(1), hostile(2));
    for language in ["en", "de", "fr", "it"] {
        for notices in [&[&one][..], &[&one, &other]] {
            let (head, body) = sent(&to("ann", language), notices);
            let names: Vec<&str> =
                head.lines().filter(|line| !line.starts_with([' ', '\t'])).map(|line| line.split(':').next().unwrap()).collect();
            let known = [
                "From",
                "To",
                "Subject",
                "Message-ID",
                "References",
                "In-Reply-To",
                "Auto-Submitted",
                "Precedence",
                "X-Watchpost-Key",
                "MIME-Version",
                "Date",
                "Content-Type",
            ];
            assert!(names.iter().all(|name| known.contains(name)), "{language}: {names:?}");
            assert!(head.contains("To: ann@lab.test\r\n"), "{head}");
            let plain = body.replace("=\r\n", "").replace("=3D", "=");
            assert!(!plain.contains("\r\nBcc:") && !plain.contains("\r\nX-Evil") && !plain.contains("\r\n.\r\n"), "{language}: {plain}");
            assert!(!plain.contains("MAIL FROM:<evil@lab.test>\r\n\r\n") && !plain.contains('\u{1b}') && plain.contains("{{ 7 * 7 }}"));
            let (_, html) = plain.split_once("<html>").unwrap();
            assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{language}: {html}");
        }
    }
}

#[test]
fn a_reminder_is_another_mail_of_the_same_thread_alone_and_in_a_digest() {
    let (one, other) = (notice(1, Step::Raised, Severity::Critical, 1), notice(2, Step::Raised, Severity::Critical, 1));
    let [one_again, other_again] = [&one, &other].map(|notice| Notice { again: 1, ..notice.clone() });
    let header = |notices: &[&Notice], name: &str| {
        let (head, _) = sent(&mail(), notices);
        head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
    };
    let thread = "<alarm-1.0123456789ab@lab.test>";
    for (notices, id, reference, answers) in [
        (&[&one][..], "<1-11.0123456789ab@lab.test>", Some(thread), None),
        (&[&one_again], "<1-11-1.0123456789ab@lab.test>", Some(thread), Some(thread)),
    ] {
        assert_eq!(header(notices, "Message-ID: ").as_deref(), Some(id));
        assert_eq!(header(notices, "References: ").as_deref(), reference);
        assert_eq!(header(notices, "In-Reply-To: ").as_deref(), answers);
    }
    let digest = |notices: &[&Notice]| header(notices, "Message-ID: ").unwrap();
    assert_eq!(digest(&[&one, &other]), digest(&[&one, &other]));
    assert_ne!(digest(&[&one, &other]), digest(&[&one_again, &other_again]));
    assert_ne!(digest(&[&one, &other]), digest(&[&one, &other_again]));
}

#[test]
fn mails_of_one_step_to_two_persons_are_two_and_the_same_each_time() {
    let one = notice(1, Step::Raised, Severity::Critical, 1);
    let id = |mail: &Mail| {
        let (head, _) = sent(mail, &[&one]);
        head.lines().find(|line| line.starts_with("Message-ID")).unwrap().to_owned()
    };
    let (ann, bob) = (to("ann", "de"), to("bob", "de"));
    assert_eq!(id(&ann), id(&to("ann", "fr")));
    assert_ne!(id(&ann), id(&bob));
    assert_ne!(id(&ann), id(&mail()));
    assert!(mail().to_one("ann", "ann@lab.test".parse().unwrap(), Some("es"), Zone::default()).is_none());
    let subject = |mail: &Mail| sent(mail, &[&one]).0.lines().find(|line| line.starts_with("Subject")).unwrap().to_owned();
    assert!(
        subject(&ann).starts_with("Subject: [KRITISCH] connect_time")
            && subject(&to("ann", "it")).starts_with("Subject: ALLARME connect_time")
    );
}

/// Ann, Bob and Cy by one server.
fn to_three(server: &Server) -> Mail {
    let to = ["ann", "bob", "cy"].map(|name| format!("{name}@lab.test").parse().unwrap());
    Mail { port: server.port, to: to.into(), login: Some(("watchpost".into(), Hidden::new("secret".into()))), ..mail() }
}

fn sender() -> Sender {
    Sender::new("0123456789ab", std::path::Path::new("/nonexistent"))
}

async fn attempt(mail: &Mail, sender: &Sender) -> Result<Taken, Undelivered> {
    let one = notice(1, Step::Raised, Severity::Critical, 1);
    mail.deliver(sender, Parcel::Notices(&[&one])).await
}

#[tokio::test]
async fn only_what_a_server_says_of_the_mail_or_of_all_its_readers_is_for_good() {
    let server = Server::start().await;
    for (answers, is_for_good, why) in [
        (&[("", "554 go away")][..], false, "554"),
        (&[("EHLO", "550 who is that")], false, "550"),
        (&[("AUTH", "535 bad password")], false, "535"),
        (&[("MAIL", "553 not from you")], false, "553"),
        (&[("RCPT", "530 log in first")], false, "530"),
        (&[("RCPT", "550 no such user")], true, "cy@lab.test: 127.0.0.1:"),
        (&[("RCPT", "450 not now")], false, "450"),
        (&[("RCPT TO:<ann", "450 not now"), ("RCPT", "550 no such user")], false, "ann@lab.test: 127.0.0.1:"),
        (&[("DATA", "451 not now")], false, "451"),
        (&[(".", "452 full")], false, "452"),
        (&[(".", "421 closing")], false, "421"),
        (&[(".", "554 no such words here")], true, "554"),
    ] {
        server.answers(answers);
        let refused = attempt(&to_three(&server), &sender()).await.unwrap_err();
        assert_eq!(matches!(refused, Undelivered::Never { .. }), is_for_good, "{answers:?}: {refused:?}");
        assert!(refused.why().contains(why) && !refused.why().contains("secret"), "{answers:?}: {refused:?}");
        assert!(server.taken().is_empty());
    }
}

#[tokio::test]
async fn one_whom_a_server_does_not_know_keeps_no_other_from_the_mail() {
    let server = Server::start().await;
    let (mail, sender) = (to_three(&server), sender());
    server.answers(&[("RCPT TO:<bob", "550 no such user")]);
    let Ok(Taken::BySome { but }) = attempt(&mail, &sender).await else { panic!("two have it") };
    assert!(but.starts_with("bob@lab.test: 127.0.0.1:") && but.contains("550") && !but.contains("ann@"), "{but}");
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0, ["ann@lab.test", "cy@lab.test"]);
}

#[tokio::test]
async fn who_is_to_have_it_later_gets_it_then_and_the_others_once() {
    let server = Server::start().await;
    let (mail, sender) = (to_three(&server), sender());
    server.answers(&[("RCPT TO:<bob", "450 not now"), ("RCPT TO:<cy", "550 no such user")]);
    let Ok(Taken::Begun { why }) = attempt(&mail, &sender).await else { panic!("one has it") };
    assert!(why.starts_with("bob@lab.test: ") && why.contains("450"), "{why}");
    let first = server.taken();
    // Nobody can be told: who has it has it all the same.
    server.answers(&[("", "421 down")]);
    assert!(matches!(attempt(&mail, &sender).await, Err(Undelivered::Later { .. })));
    server.answers(&[("RCPT TO:<cy", "550 no such user")]);
    let Ok(Taken::BySome { but }) = attempt(&mail, &sender).await else { panic!("two have it") };
    assert!(but.starts_with("cy@lab.test: "), "{but}");
    let second = server.taken();
    assert_eq!([&first[0].0, &second[0].0], [&["ann@lab.test"], &["bob@lab.test"]]);
    assert_eq!(first[0].1, second[0].1, "it is one mail");
    // It is done with, and forgotten.
    server.answers(&[]);
    assert_eq!(attempt(&mail, &sender).await, Ok(Taken::ByAll));
    assert_eq!(server.taken()[0].0.len(), 3);
}

#[test]
fn a_link_can_be_followed_where_it_leads_to_a_page_and_is_a_text_anywhere_else() {
    let page = |link: &str| {
        let linked = Notice { link: Some(link.into()), ..notice(1, Step::Raised, Severity::Critical, 1) };
        let (_, body) = sent(&mail(), &[&linked]);
        body.replace("=\r\n", "").replace("=3D", "=").split_once("<html>").unwrap().1.to_owned()
    };
    let followed = page("https://wiki.lab.test/?a=1&b=\"2\"");
    assert!(followed.contains("<a href=\"https:&#x2f;&#x2f;wiki.lab.test&#x2f;?a=1&amp;b=&quot;2&quot;\">https:"), "{followed}");
    for link in ["javascript:alert(1)//https://x.test/", "data:text/html,x", "https://x.test/ onclick=alert(1)"] {
        assert!(!page(link).contains("<a "), "{link}: {}", page(link));
    }
}

#[test]
fn a_long_text_has_a_short_subject_and_stands_whole_in_the_mail() {
    let words = "no room left on the disk of the mail store ".repeat(20);
    let long = Notice { text: words.trim_end().into(), ..notice(1, Step::Raised, Severity::Critical, 1) };
    for notices in [&[&long][..], &[&long, &long]] {
        let (head, body) = sent(&mail(), notices);
        let subject = head.split_once("Subject: ").unwrap().1;
        let subject = subject.split("\r\n").enumerate().take_while(|(at, line)| *at == 0 || line.starts_with([' ', '\t']));
        let bytes: usize = subject.map(|(_, line)| line.len()).sum();
        assert!((150..800).contains(&bytes), "{bytes}: {head}");
        assert!(body.replace("=\r\n", "").contains(words.trim_end()), "{body}");
    }
}
