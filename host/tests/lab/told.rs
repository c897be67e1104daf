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
    let mailbox = Mailbox { demo: &demo, mark: format!("told-{}", server.port()) };
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

/// Alice's mailbox, as Dovecot shows it.
struct Mailbox<'d> {
    demo: &'d Demo,
    mark: String,
}

impl Mailbox<'_> {
    /// Heads of the mails with the mark in their subject, the oldest first.
    fn mails(&self) -> Vec<String> {
        let inbox = format!("imap://127.0.0.1:{}/INBOX", self.demo.lab.port("imap"));
        let login = format!("alice@lab.test:{}", self.demo.lab.password("alice"));
        let ask = |url: &str, more: &[&str]| programs::output_of("curl", &[&["-sS", "--max-time", "10", url, "-u", &login], more].concat());
        let found = ask(&inbox, &["-X", &format!("SEARCH SUBJECT \"{}\"", self.mark)]);
        let numbers = found.trim().strip_prefix("* SEARCH").unwrap_or_else(|| panic!("{found}")).to_owned();
        let head = |number: &str| ask(&format!("{inbox};MAILINDEX={number};SECTION=HEADER"), &[]);
        // A long line of a head is folded.
        numbers.split_whitespace().map(|number| head(number).replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ")).collect()
    }
}
