//! Postfix and Dovecot deliver the mails that tell of an alarm: one thread for each alarm, each mail once.

use std::{thread::sleep, time::Duration};

use crate::{demo::Demo, harness::until, programs, server};

/// How long Postfix and Dovecot may take to put a message into its mailbox, and the daemon to write it.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(40);

#[test]
fn the_mails_of_an_alarm_are_one_thread_and_each_comes_once() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    let mut server = server::Server::down();
    let channel = format!(
        "[[channel]]\nname = \"ops\"\ntype = \"mail\"\nserver = \"127.0.0.1:{}\"\nfrom = \"Watchpost <watchpost@lab.test>\"\n\
         to = [\"alice@lab.test\"]\nsubject = \"{{{{ state }}}} told-{} {{{{ text }}}}\"\n[[route]]\nchannels = [\"ops\"]\nmatch = '{{job=\"mx\"}}'\n",
        demo.lab.port("smtp"),
        server.port()
    );
    let house = server::house(&server, &channel);
    let mailbox = Mailbox { demo: &demo, user: "alice", mark: format!("told-{}", server.port()) };
    let daemon = house.start();
    let arrived = |count: usize| {
        let found = until(DELIVERY_TIMEOUT, || {
            sleep(Duration::from_millis(200));
            Some(mailbox.mails()).filter(|mails| mails.len() >= count)
        });
        found.unwrap_or_else(|| panic!("{count} mails do not arrive: {}", house.run(&["notify"]).out))
    };
    let raised = arrived(1);
    daemon.kill();
    let daemon = house.start();
    server.comes_up();
    let mails = arrived(2);
    assert!(daemon.stop().status.success());
    assert_eq!(mailbox.mails().len(), 2, "each comes once");
    let header = |mail: &str, name: &str| {
        let found = mail.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("{name} is not in\n{mail}")).trim().to_owned()
    };
    assert_eq!(header(&raised[0], "Message-ID"), header(&mails[0], "Message-ID"));
    assert_ne!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
    assert_eq!(header(&mails[0], "References"), header(&mails[1], "References"));
    assert_eq!(header(&mails[1], "In-Reply-To"), header(&mails[1], "References"));
    assert_eq!(header(&mails[0], "Auto-Submitted"), "auto-generated");
    assert!(header(&mails[0], "Subject").starts_with("CRITICAL told-") && header(&mails[1], "Subject").starts_with("CLEARED told-"));
    assert!(header(&mails[0], "Content-Type").starts_with("multipart/alternative"), "{}", mails[0]);
}

/// Alice sends by both doors of submission, with her password, within TLS; at doors whose certificates nobody should trust she says nothing.
#[test]
fn mail_goes_within_tls_with_a_login_and_not_past_a_certificate_that_is_wrong() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    let lab = &demo.lab;
    let server = server::Server::down();
    let mark = format!("closed-{}", server.port());
    let password = lab.password("alice");
    let channel = |name: &str, host: &str, tls: &str, port: u16, user: &str| {
        format!(
            "[[channel]]\nname = {name:?}\ntype = \"mail\"\nserver = \"{host}:{port}\"\ntls = {tls:?}\nca_file = {:?}\nuser = \"alice@lab.test\"\n\
             password = {{ file = {user:?} }}\nfrom = \"alice@lab.test\"\nto = [\"alice@lab.test\"]\nsubject = \"{mark} {name}\"\n\
             [[route]]\nchannels = [{name:?}]\nmatch = '{{site=\"nowhere\"}}'\n",
            lab.ca_file()
        )
    };
    let (starttls, implicit) = (lab.port("submission"), lab.port("smtps"));
    let channels = [
        channel("starttls", "127.0.0.1", "starttls", starttls, "good"),
        channel("implicit", "127.0.0.1", "implicit", implicit, "good"),
        channel("stranger", "127.0.0.1", "implicit", implicit, "bad"),
        channel("expired", lab.faulty("expired"), "implicit", implicit, "good"),
        channel("unknown", lab.faulty("unknown_ca"), "implicit", implicit, "good"),
    ];
    let house = server::house(&server, &channels.concat());
    house.keep("good", password.as_bytes());
    house.keep("bad", b"not-hers");
    let daemon = house.start();
    for name in ["starttls", "implicit"] {
        assert_eq!(house.run(&["notify", "test", name]).ok(), format!("{name}: a test was delivered\n"));
    }
    let mailbox = Mailbox { demo: &demo, user: "alice", mark };
    until(DELIVERY_TIMEOUT, || {
        sleep(Duration::from_millis(200));
        (mailbox.mails().len() == 2).then_some(())
    })
    .expect("both arrive");
    for (name, at, why) in [
        ("stranger", "127.0.0.1", "535"),
        ("expired", lab.faulty("expired"), "the certificate expired on 2020-02-01, "),
        ("expired", lab.faulty("expired"), "; the certificate is that of "),
        ("unknown", lab.faulty("unknown_ca"), "the certificate's authority is not in "),
        ("unknown", lab.faulty("unknown_ca"), "that authority's certificate belongs into the file"),
    ] {
        let said = house.run(&["notify", "test", name]);
        let begins = format!("error: cannot tell anybody by channel `{name}`: {at}:{implicit}: ");
        assert!(said.code == Some(1) && said.err.starts_with(&begins) && said.err.contains(why), "{said:?}");
        assert!(!said.err.contains(&password) && !said.err.contains("not-hers"), "{said:?}");
    }
    assert!(daemon.stop().status.success());
}

/// Somebody's mailbox, as Dovecot shows it.
pub(crate) struct Mailbox<'d> {
    pub(crate) demo: &'d Demo,
    pub(crate) user: &'static str,
    pub(crate) mark: String,
}

impl Mailbox<'_> {
    /// Heads of the mails with the mark in their subject, the oldest first.
    pub(crate) fn mails(&self) -> Vec<String> {
        // A long line of a head is folded.
        self.sections("HEADER").iter().map(|head| head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ")).collect()
    }

    /// A section of each of those mails.
    pub(crate) fn sections(&self, section: &str) -> Vec<String> {
        let inbox = format!("imap://127.0.0.1:{}/INBOX", self.demo.lab.port("imap"));
        let login = format!("{}@lab.test:{}", self.user, self.demo.lab.password(self.user));
        let ask = |url: &str, more: &[&str]| programs::output_of("curl", &[&["-sS", "--max-time", "10", url, "-u", &login], more].concat());
        let found = ask(&inbox, &["-X", &format!("SEARCH SUBJECT \"{}\"", self.mark)]);
        // A mail that comes meanwhile is told of beside it.
        let numbers = found.lines().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or_else(|| panic!("{found}")).to_owned();
        numbers.split_whitespace().map(|number| ask(&format!("{inbox};MAILINDEX={number};SECTION={section}"), &[])).collect()
    }
}
